//! Who is asking.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::model::user::Viewer;
use crate::web::error::Error;
use crate::web::middleware::identity::Asker;

/// On whose behalf a request is answered.
#[derive(Clone, Copy, Debug)]
pub struct CurrentUser(pub Viewer);

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let asker = Asker::from_request_parts(parts, state).await?;
        Ok(Self(asker.viewer))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let asker = parts.extensions.get::<Self>().cloned();
        asker.ok_or_else(|| Error::Fault(anyhow::anyhow!("nobody has looked at who asks")))
    }
}
