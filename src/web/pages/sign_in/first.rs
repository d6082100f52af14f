//! The first admin: made by whoever holds the token that pgassay printed when it started.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use crate::auth::accounts::Accounts;
use crate::experiment::fields::FieldError;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::pages::experiment::sources;
use crate::web::state::Gate;
use crate::web::urls;

#[derive(Deserialize)]
pub struct Given {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
pub struct SetupForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

#[derive(Template)]
#[template(path = "sign_in/setup.html")]
struct SetupPage {
    token: String,
    name: String,
    errors: Vec<FieldError>,
}

impl SetupPage {
    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }
}

/// GET /setup
pub async fn new(
    State(gate): State<Gate>,
    State(accounts): State<Accounts>,
    Query(Given { token }): Query<Given>,
) -> PageResult<Response> {
    super::require_accounts(&gate)?;
    if !accounts.awaits_setup().await? {
        return Ok(Redirect::to(urls::LOGIN).into_response());
    }
    fragment::page(&SetupPage {
        token,
        name: String::new(),
        errors: Vec::new(),
    })
}

/// POST /setup
pub async fn create(
    State(gate): State<Gate>,
    State(accounts): State<Accounts>,
    asker: Asker,
    Form(form): Form<SetupForm>,
) -> PageResult<Response> {
    super::require_accounts(&gate)?;
    let SetupForm { token, name, password } = form;
    match accounts.set_up(&token, &name, &password, &asker.client).await {
        Ok(entered) => super::enter(&gate, &entered, urls::DASHBOARD),
        Err(error) => {
            let errors = vec![super::by_field(error)?];
            let page = SetupPage { token, name, errors };
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
