//! Links that show one thing to whoever has them: the first look exchanges the token for a cookie, so that it neither stays in
//! the address nor goes on with it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use sqlx::PgPool;

use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::store;
use crate::web::cookies;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::state::Gate;
use crate::web::urls;

fn gone() -> Error {
    Error::Refused {
        status: StatusCode::NOT_FOUND,
        message:
            "This link shows nothing any more: it has expired or was taken back. Ask whoever gave it to you for a new \
                  one."
                .to_owned(),
    }
}

/// GET /links/{token}
pub async fn show(
    State(pool): State<PgPool>,
    State(gate): State<Gate>,
    Path(token): Path<String>,
) -> PageResult<Response> {
    let token = Token::parse(TokenKind::Link, &token).map_err(|_| gone())?;
    let thing = store::links::find(&mut *pool.acquire().await?, token.hashed()).await?;
    let path = urls::filed(thing.ok_or_else(gone)?);
    let cookie = cookies::give_link(&token.text(), &path, gate.is_https)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&path)).into_response())
}
