//! Who is asking.

use axum::extract::FromRef;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::model::user::Viewer;

/// The account behind a request; until people can sign in, the one local user.
#[derive(Clone, Copy, Debug)]
pub struct CurrentUser(pub Viewer);

impl<S> FromRequestParts<S> for CurrentUser
where
    S: Send + Sync,
    Viewer: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Viewer::from_ref(state)))
    }
}
