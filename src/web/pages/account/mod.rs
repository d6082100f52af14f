//! One's own account: the password, the browsers that are signed in, the tokens of programs, and how this browser wants its
//! pages. Where nobody signs in there are the last two only.

mod browser;
mod password;
mod preferences;
mod sessions;
mod tokens;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::auth::api_tokens;
use crate::auth::quota;
use crate::experiment::fields::FieldError;
use crate::model::dataset::Setting;
use crate::model::ids::UserId;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::pages::account::preferences::PreferencesForm;
use crate::web::pages::account::sessions::SessionRow;
use crate::web::pages::account::tokens::MadeView;
use crate::web::pages::account::tokens::TokenForm;
use crate::web::pages::account::tokens::TokenRow;
use crate::web::pages::experiment::sources;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view::Choice;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::ACCOUNT, get(show))
        .route(urls::ACCOUNT_PASSWORD, get(back).post(password::update))
        .route(urls::ACCOUNT_PREFERENCES, get(back).post(preferences::update))
        .route(urls::ACCOUNT_SIGN_OUT, get(back).post(sessions::destroy_all))
        .route("/account/sessions/{id}/end", get(back).post(sessions::destroy))
        .route(urls::ACCOUNT_TOKENS, get(back).post(tokens::create))
        .route("/account/tokens/{id}/revoke", get(back).post(tokens::destroy))
}

/// What has just been done, in the address that it leads to.
#[derive(Clone, Copy, Debug)]
enum Done {
    Password,
    Session,
    Token,
    Preferences,
}

#[derive(Deserialize)]
struct ShowParams {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "account/show.html")]
struct ShowPage {
    /// None where nobody signs in.
    person: Option<PersonView>,
    /// What the account has, of what it may have; nothing where nobody signs in.
    quotas: Vec<Setting>,
    sessions: Vec<SessionRow>,
    tokens: Vec<TokenRow>,
    token_form: TokenForm,
    preferences: PreferencesForm,
    made: Option<MadeView>,
    done: Option<&'static str>,
    errors: Vec<FieldError>,
}

struct PersonView {
    name: String,
    role: &'static str,
    /// What the role allows: "With it you may ...".
    may: &'static str,
}

impl Done {
    const ALL: [Self; 4] = [Self::Password, Self::Session, Self::Token, Self::Preferences];

    fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Session => "session",
            Self::Token => "token",
            Self::Preferences => "preferences",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Password => "Your password is changed. Every other browser that was signed in is signed out.",
            Self::Session => "That browser is signed out.",
            Self::Token => "The token is revoked. No program can use it any more.",
            Self::Preferences => "Kept: from now on this browser has pages like that.",
        }
    }

    /// The page that says so.
    fn address(self) -> String {
        urls::with_query(urls::ACCOUNT, [("done", self.word())])
    }
}

impl ShowPage {
    async fn of(state: &AppState, asker: &Asker) -> Result<Self, Error> {
        let user_id = asker.viewer.user_id;
        let mut conn = state.pool.acquire().await?;
        let tokens = store::tokens::list(&mut conn, user_id).await?;
        let (person, sessions, quotas) = if state.gate.keeps_accounts() {
            let role = asker.viewer.role;
            let person = PersonView {
                name: asker.name.clone().unwrap_or_default(),
                role: role.word(),
                may: role.in_words(),
            };
            let sessions = store::sessions::list(&mut conn, user_id).await?;
            (Some(person), sessions, quotas(&mut conn, user_id).await?)
        } else {
            (None, Vec::new(), Vec::new())
        };
        Ok(Self {
            person,
            quotas,
            sessions: sessions
                .into_iter()
                .map(|session| SessionRow::new(session, asker.session))
                .collect(),
            tokens: tokens.into_iter().map(TokenRow::from).collect(),
            token_form: TokenForm::default(),
            preferences: PreferencesForm::default(),
            made: None,
            done: None,
            errors: Vec::new(),
        })
    }

    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }

    fn scopes(&self) -> Vec<Choice> {
        self.token_form.scopes()
    }
}

/// What an account has, of what it may have.
async fn quotas(conn: &mut PgConnection, user_id: UserId) -> store::Result<Vec<Setting>> {
    let quotas = store::quotas::of(conn, user_id).await?;
    let usage = store::quotas::usage(conn, user_id).await?;
    let lines = quota::ALL.map(|one| Setting {
        name: quota::field(one).label.to_owned(),
        value: quota::in_words(&quotas, &usage, one),
    });
    Ok(lines.into())
}

/// What is said beside the field for the lifetime of a token.
fn days_help() -> String {
    let (usual, most) = (api_tokens::USUAL_DAYS, api_tokens::MOST_DAYS);
    format!("{usual} unless you say otherwise, at most {most}.")
}

/// GET /account
async fn show(
    State(state): State<AppState>,
    asker: Asker,
    Query(ShowParams { done }): Query<ShowParams>,
) -> PageResult<Response> {
    let mut page = ShowPage::of(&state, &asker).await?;
    let said = Done::ALL.into_iter().find(|one| one.word() == done);
    page.done = said.map(Done::in_words);
    fragment::page(&page)
}

/// An address that forms are sent to, opened in a browser: the page that they stand on.
async fn back() -> Redirect {
    Redirect::to(urls::ACCOUNT)
}
