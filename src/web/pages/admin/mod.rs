//! The administration: who may come in and what each may do, how much of the house is whose, and what was done.

mod accounts;
mod invitations;
mod log;
mod quotas;
mod settings;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use crate::auth::administration::AdministrationError;
use crate::auth::token::TokenText;
use crate::condition::Condition;
use crate::model::user::Role;
use crate::web::error::PageResult;
use crate::web::fragment;
use crate::web::state::AppState;
use crate::web::state::Gate;
use crate::web::urls;
use crate::web::view::Choice;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::ADMIN, get(index))
        .route(urls::ADMIN_ACCOUNTS, get(accounts::index))
        .route("/admin/accounts/{id}", get(accounts::show))
        .route("/admin/accounts/{id}/role", post(accounts::set_role))
        .route("/admin/accounts/{id}/shut-out", post(accounts::shut_out))
        .route("/admin/accounts/{id}/let-in", post(accounts::let_in))
        .route("/admin/accounts/{id}/password", post(accounts::link_for_new_password))
        .route("/admin/accounts/{id}/quotas", post(accounts::set_quotas))
        .route(
            urls::ADMIN_INVITATIONS,
            get(invitations::index).post(invitations::create),
        )
        .route("/admin/invitations/{id}/delete", post(invitations::destroy))
        .route(urls::ADMIN_SETTINGS, get(settings::edit))
        .route(urls::ADMIN_REGISTRATION, post(settings::set_registration))
        .route(urls::ADMIN_QUOTAS, post(settings::set_quotas))
        .route(urls::ADMIN_LOG, get(log::index))
}

#[derive(Template)]
#[template(path = "admin/index.html")]
struct IndexPage {
    /// Whether there is anybody to look after.
    is_local: bool,
    /// What of PostgreSQL's programs here is known to be open to harm.
    holes: Vec<String>,
}

/// GET /admin
async fn index(State(gate): State<Gate>, State(condition): State<Condition>) -> PageResult<Response> {
    fragment::page(&IndexPage {
        is_local: !gate.keeps_accounts(),
        holes: condition.holes.to_vec(),
    })
}

/// What a select of roles offers.
fn roles(chosen: Role) -> Vec<Choice> {
    let choice = |role: Role| Choice {
        value: role.word().to_owned(),
        text: match role {
            Role::Viewer => "viewer: looks at what others share",
            Role::Editor => "editor: also uploads and launches",
            Role::Admin => "admin: also looks after accounts and settings",
        }
        .to_owned(),
        is_chosen: role == chosen,
    };
    Role::ALL.map(choice).into()
}

/// The link of an invitation, to be given to somebody.
fn link(gate: &Gate, headers: &HeaderMap, token: &TokenText) -> String {
    format!("{}{}", gate.address(headers), urls::register(token.expose()))
}

/// The refusal as a sentence for a page.
fn in_words(error: AdministrationError) -> anyhow::Result<String> {
    match error {
        AdministrationError::Fault(error) => Err(error),
        refusal @ (AdministrationError::NoAccount | AdministrationError::LastAdmin | AdministrationError::ShutOut) => {
            Ok(refusal.to_string())
        }
    }
}
