//! New accounts, by an invitation or where everybody may; and new passwords, by an admin's link.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::auth::accounts::AccountError;
use crate::auth::accounts::Accounts;
use crate::experiment::fields::FieldError;
use crate::model::user::Registration;
use crate::store;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::pages::experiment::sources;
use crate::web::state::AppState;
use crate::web::urls;

#[derive(Deserialize)]
pub struct Given {
    #[serde(default)]
    invitation: String,
}

#[derive(Deserialize)]
pub struct RegisterForm {
    #[serde(default)]
    invitation: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

#[derive(Template)]
#[template(path = "sign_in/register.html")]
struct RegisterPage {
    invitation: String,
    name: String,
    /// The account that gets a new password, in place of a new account.
    again: Option<String>,
    /// What the account may do.
    may: &'static str,
    errors: Vec<FieldError>,
}

impl RegisterPage {
    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }
}

/// The form for what an invitation is for, or a refusal.
async fn page(
    accounts: &Accounts,
    registration: Registration,
    invitation: String,
) -> Result<RegisterPage, AccountError> {
    let known = match invitation.as_str() {
        "" => None,
        token => Some(accounts.invitation(token).await?.ok_or(AccountError::NoInvitation)?),
    };
    let again = known.as_ref().and_then(|known| known.for_user.as_ref());
    let again = again.map(|(_, name)| name.clone());
    match (registration, &known) {
        // A new password for somebody who is here has nothing to do with new people.
        _ if again.is_some() => {}
        (Registration::Closed, _) | (Registration::Invited, None) => return Err(AccountError::Closed),
        (Registration::Invited | Registration::Open, _) => {}
    }
    Ok(RegisterPage {
        may: known
            .map_or(crate::model::user::Role::Editor, |known| known.role)
            .in_words(),
        invitation,
        name: String::new(),
        again,
        errors: Vec::new(),
    })
}

/// GET /register
pub async fn new(State(state): State<AppState>, Query(Given { invitation }): Query<Given>) -> PageResult<Response> {
    super::require_accounts(&state.gate)?;
    let registration = store::settings::registration(&mut *state.pool.acquire().await?).await?;
    fragment::page(&page(&state.accounts, registration, invitation).await?)
}

/// POST /register
pub async fn create(
    State(state): State<AppState>,
    asker: Asker,
    Form(form): Form<RegisterForm>,
) -> PageResult<Response> {
    super::require_accounts(&state.gate)?;
    let (accounts, client) = (&state.accounts, &asker.client);
    let registration = store::settings::registration(&mut *state.pool.acquire().await?).await?;
    let mut page = page(accounts, registration, form.invitation).await?;
    let entered = if page.again.is_some() {
        let link = &page.invitation;
        accounts.choose_password_again(link, &form.password, client).await
    } else {
        let invitation = Some(page.invitation.as_str()).filter(|token| !token.is_empty());
        accounts.register(invitation, &form.name, &form.password, client).await
    };
    match entered {
        Ok(entered) => super::enter(&state.gate, &entered, urls::DASHBOARD),
        Err(error) => {
            page.errors = vec![super::by_field(error)?];
            page.name = form.name;
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
