//! The browsers that are signed in to an account, and how their sessions are ended.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use sqlx::PgPool;

use crate::model::ids::SessionId;
use crate::store;
use crate::store::sessions::Session;
use crate::web::cookies;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::middleware::identity::Asker;
use crate::web::pages::account::Done;
use crate::web::pages::account::browser;
use crate::web::pages::sign_in;
use crate::web::state::Gate;
use crate::web::urls;
use crate::web::view;

/// A session in the list.
pub struct SessionRow {
    pub browser: String,
    pub address: String,
    pub since: String,
    pub since_datetime: String,
    pub seen: String,
    pub seen_datetime: String,
    /// The one that asks for the page.
    pub is_own: bool,
    pub end_href: String,
}

impl SessionRow {
    pub fn new(session: Session, own: Option<SessionId>) -> Self {
        Self {
            browser: browser::in_words(&session.agent),
            address: session.address,
            since: view::date(session.created_at),
            since_datetime: view::rfc3339(session.created_at),
            seen: view::date(session.seen_at),
            seen_datetime: view::rfc3339(session.seen_at),
            is_own: Some(session.id) == own,
            end_href: urls::session_end(session.id),
        }
    }
}

/// POST /account/sessions/{id}/end
pub async fn destroy(
    State(pool): State<PgPool>,
    State(gate): State<Gate>,
    asker: Asker,
    Id(id): Id<SessionId>,
) -> PageResult<Response> {
    sign_in::require_accounts(&gate)?;
    let mut conn = pool.acquire().await?;
    if !store::sessions::delete(&mut conn, asker.viewer.user_id, id).await? {
        return Err(Error::NotFound("session"));
    }
    if asker.session == Some(id) {
        return signed_out(&gate);
    }
    Ok(Redirect::to(&Done::Session.address()).into_response())
}

/// POST /account/sign-out
pub async fn destroy_all(State(pool): State<PgPool>, State(gate): State<Gate>, asker: Asker) -> PageResult<Response> {
    sign_in::require_accounts(&gate)?;
    let mut conn = pool.acquire().await?;
    store::sessions::delete_all(&mut conn, asker.viewer.user_id, None).await?;
    signed_out(&gate)
}

/// Takes the cookie of a session that is over, and leads to the sign-in.
fn signed_out(gate: &Gate) -> PageResult<Response> {
    let gone = [(header::SET_COOKIE, cookies::take_session(gate.is_https)?)];
    Ok((gone, Redirect::to(urls::LOGIN)).into_response())
}
