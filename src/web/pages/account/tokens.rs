//! The API tokens of an account: the list, the one answer that shows a new one, and how one is revoked.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::auth::accounts::AccountError;
use crate::auth::api_tokens;
use crate::auth::api_tokens::MadeToken;
use crate::auth::api_tokens::TokenWish;
use crate::experiment::fields::FieldError;
use crate::model::ids::TokenId;
use crate::model::user::TokenScope;
use crate::store;
use crate::store::tokens::ApiToken;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::pages::account::Done;
use crate::web::pages::account::ShowPage;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;
use crate::web::view::Choice;

/// What the browser sent.
#[derive(Deserialize)]
#[serde(default)]
pub struct TokenForm {
    pub name: String,
    pub scope: String,
    pub days: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            scope: TokenScope::Read.word().to_owned(),
            days: api_tokens::USUAL_DAYS.to_string(),
        }
    }
}

impl TokenForm {
    pub fn scopes(&self) -> Vec<Choice> {
        let choices = TokenScope::ALL.into_iter().map(|scope| Choice {
            value: scope.word().to_owned(),
            text: match scope {
                TokenScope::Read => "read: look at what you may see",
                TokenScope::Write => "write: upload, launch, stop and delete, too",
            }
            .to_owned(),
            is_chosen: scope.word() == self.scope,
        });
        choices.collect()
    }
}

/// A token in the list.
pub struct TokenRow {
    pub name: String,
    pub prefix: String,
    pub scope: &'static str,
    pub is_expired: bool,
    pub expires: String,
    pub expires_datetime: String,
    /// None of one that no program has used.
    pub used: Option<(String, String)>,
    pub revoke_href: String,
}

impl From<ApiToken> for TokenRow {
    fn from(token: ApiToken) -> Self {
        Self {
            name: token.name,
            prefix: token.prefix,
            scope: token.scope.word(),
            is_expired: token.is_expired,
            expires: view::date(token.expires_at),
            expires_datetime: view::rfc3339(token.expires_at),
            used: token.used_at.map(|at| (view::rfc3339(at), view::date(at))),
            revoke_href: urls::token_revoke(token.id),
        }
    }
}

/// A new token, on the one page that shows it.
pub struct MadeView {
    pub text: String,
    pub expires: String,
}

impl From<MadeToken> for MadeView {
    fn from(made: MadeToken) -> Self {
        Self {
            text: made.text.expose().to_owned(),
            expires: view::date(made.expires_at),
        }
    }
}

/// POST /account/tokens
pub async fn create(State(state): State<AppState>, asker: Asker, Form(form): Form<TokenForm>) -> PageResult<Response> {
    match TokenWish::parse(&form.name, &form.scope, &form.days) {
        Ok(wish) => match api_tokens::make(&state.pool, asker.viewer.user_id, &wish).await {
            Ok(made) => {
                let mut page = ShowPage::of(&state, &asker).await?;
                page.made = Some(made.into());
                fragment::page(&page)
            }
            Err(error @ AccountError::TooManyTokens) => {
                let mut page = ShowPage::of(&state, &asker).await?;
                page.errors = vec![FieldError::new("", error.to_string())];
                page.token_form = form;
                fragment::with_status(StatusCode::CONFLICT, &page)
            }
            Err(error) => Err(error.into()),
        },
        Err(wrong) => {
            let mut page = ShowPage::of(&state, &asker).await?;
            let wrong = wrong.iter();
            page.errors = wrong
                .map(|error| FieldError::new(error.field(), error.to_string()))
                .collect();
            page.token_form = form;
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// POST /account/tokens/{id}/revoke
pub async fn destroy(State(pool): State<PgPool>, asker: Asker, Id(id): Id<TokenId>) -> PageResult<Response> {
    if !store::tokens::delete(&mut *pool.acquire().await?, asker.viewer.user_id, id).await? {
        return Err(Error::NotFound("token"));
    }
    Ok(Redirect::to(&Done::Token.address()).into_response())
}
