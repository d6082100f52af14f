//! A new password for oneself, for whoever knows the old one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::auth::accounts::AccountError;
use crate::experiment::fields::FieldError;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::pages::account::Done;
use crate::web::pages::account::ShowPage;
use crate::web::pages::sign_in;
use crate::web::state::AppState;

#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(default)]
    old: String,
    #[serde(default)]
    password: String,
}

/// POST /account/password
pub async fn update(
    State(state): State<AppState>,
    asker: Asker,
    Form(PasswordForm { old, password }): Form<PasswordForm>,
) -> PageResult<Response> {
    sign_in::require_accounts(&state.gate)?;
    let user_id = asker.viewer.user_id;
    let changed = state.accounts.change_password(user_id, &old, &password, &asker.client);
    let error = match changed.await {
        Ok(entered) => return sign_in::enter(&state.gate, &entered, &Done::Password.address()),
        Err(error) => error,
    };
    let field = match error {
        AccountError::NotYours => "old",
        AccountError::Password(_) => "password",
        error => return Err(error.into()),
    };
    let mut page = ShowPage::of(&state, &asker).await?;
    page.errors = vec![FieldError::new(field, error.to_string())];
    fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
