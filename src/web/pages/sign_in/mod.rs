//! How people come in and go: sign-in, the first admin, new accounts, links.

mod first;
mod links;
mod register;

use askama::Template;
use axum::Extension;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use sqlx::PgPool;

use crate::auth::accounts::AccountError;
use crate::auth::accounts::Accounts;
use crate::auth::accounts::Entered;
use crate::experiment::fields::FieldError;
use crate::model::user::Registration;
use crate::store;
use crate::web::cookies;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::middleware::audit::CameIn;
use crate::web::middleware::identity::Asker;
use crate::web::pages::experiment::sources;
use crate::web::state::AppState;
use crate::web::state::Gate;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::LOGIN, get(new).post(create))
        .route(urls::LOGOUT, post(destroy))
        .route(urls::SETUP, get(first::new).post(first::create))
        .route(urls::REGISTER, get(register::new).post(register::create))
        .route("/links/{token}", get(links::show))
}

/// Where somebody goes who has signed in.
#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct LoginForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "sign_in/login.html")]
struct LoginPage {
    name: String,
    next: String,
    errors: Vec<FieldError>,
    /// Whether everybody may make an account.
    is_open: bool,
}

impl LoginPage {
    /// The page with nothing typed yet.
    async fn load(pool: &PgPool, next: &str) -> PageResult<Self> {
        let registration = store::settings::registration(&mut *pool.acquire().await?).await?;
        Ok(Self {
            name: String::new(),
            next: next.to_owned(),
            errors: Vec::new(),
            is_open: registration == Registration::Open,
        })
    }

    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }
}

/// GET /login
async fn new(State(state): State<AppState>, asker: Asker, Query(Next { next }): Query<Next>) -> PageResult<Response> {
    if !state.gate.keeps_accounts() || asker.viewer.is_account() {
        return Ok(Redirect::to(urls::own(&next)).into_response());
    }
    if state.accounts.awaits_setup().await? {
        return Ok(Redirect::to(urls::SETUP).into_response());
    }
    fragment::page(&LoginPage::load(&state.pool, urls::own(&next)).await?)
}

/// POST /login
async fn create(State(state): State<AppState>, asker: Asker, Form(form): Form<LoginForm>) -> PageResult<Response> {
    require_accounts(&state.gate)?;
    let next = urls::own(&form.next);
    match state.accounts.sign_in(&form.name, &form.password, &asker.client).await {
        Ok(entered) => enter(&state.gate, &entered, next),
        Err(error @ AccountError::Wrong) => {
            let page = LoginPage {
                errors: vec![FieldError::new("name", error.to_string())],
                name: form.name,
                ..LoginPage::load(&state.pool, next).await?
            };
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// POST /logout
async fn destroy(State(gate): State<Gate>, State(accounts): State<Accounts>, asker: Asker) -> PageResult<Response> {
    if let Some(session) = asker.session {
        accounts.sign_out(asker.viewer.user_id, session).await?;
    }
    let gone = [(header::SET_COOKIE, cookies::take_session(gate.is_https)?)];
    Ok((gone, Redirect::to(urls::LOGIN)).into_response())
}

/// Gives a browser its session, and leads it on.
pub fn enter(gate: &Gate, entered: &Entered, next: &str) -> PageResult<Response> {
    let session = [(
        header::SET_COOKIE,
        cookies::give_session(&entered.session, gate.is_https)?,
    )];
    let came_in = Extension(CameIn(entered.viewer));
    Ok((session, came_in, Redirect::to(next)).into_response())
}

/// What is wrong with an account that somebody wants to make, by the field it is about.
fn by_field(error: AccountError) -> Result<FieldError, Error> {
    let field = match error {
        AccountError::Name(_) | AccountError::Taken => "name",
        AccountError::Password(_) => "password",
        AccountError::NoSetup => "token",
        error => return Err(error.into()),
    };
    Ok(FieldError::new(field, error.to_string()))
}

/// For pages that there are none of where nobody signs in.
pub fn require_accounts(gate: &Gate) -> Result<(), Error> {
    if gate.keeps_accounts() {
        Ok(())
    } else {
        Err(Error::Elsewhere(urls::DASHBOARD.to_owned()))
    }
}
