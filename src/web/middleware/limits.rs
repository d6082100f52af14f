//! Whoever uploads or launches too often is told when to come again, before anything of it is read. Where nobody signs in
//! there is nobody to keep from others.

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use sqlx::PgPool;

use crate::auth::limit::Ask;
use crate::model::ids::UserId;
use crate::web::error::Error;
use crate::web::middleware::identity::Asker;
use crate::web::state::AppState;
use crate::web::state::Gate;
use crate::web::urls;

/// Addresses to which something is uploaded. Uploads by the part count when they begin.
const UPLOADS: [&str; 5] = [
    urls::UPLOAD_DUMP,
    urls::UPLOAD_QUERIES,
    urls::API_DATASETS,
    urls::API_WORKLOADS,
    "/datasets/{id}/statistics",
];

/// Addresses to which something is launched.
const LAUNCHES: [&str; 7] = [
    "/experiment",
    "/results/{id}/rerun",
    urls::INSTRUMENTS,
    urls::BENCHMARKS,
    urls::API_EXPERIMENTS,
    "/api/experiments/{id}/rerun",
    "/api/benchmarks/start",
];

/// Lets requests through that are not asked too often.
pub async fn keep(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asked = asked(&request);
    let account = request.extensions().get::<Asker>().map(|asker| asker.viewer.user_id);
    if let (Some(asked), Some(account)) = (asked, account)
        && let Err(error) = take(&state.gate, &state.pool, asked(account)).await
    {
        let mut response = error.into_response();
        // Its body stays unread.
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    next.run(request).await
}

/// Takes one of what there is a limit of, where there are limits.
pub async fn take(gate: &Gate, pool: &PgPool, ask: Ask) -> Result<(), Error> {
    if !gate.keeps_accounts() {
        return Ok(());
    }
    Ok(ask.take(&mut *pool.acquire().await?).await?)
}

/// What a request asks for that there is a limit of.
fn asked(request: &Request) -> Option<fn(UserId) -> Ask> {
    if request.method() != Method::POST {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    if UPLOADS.contains(&route) {
        Some(Ask::upload)
    } else if LAUNCHES.contains(&route) {
        Some(Ask::launch)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::deeds;

    #[test]
    fn whatever_the_audit_log_calls_an_upload_or_a_launch_counts_as_one() {
        for (method, pattern, deed) in deeds::TABLE {
            let is = |word| *method == "POST" && deed.is_some_and(|deed| deed.starts_with(word));
            assert_eq!(UPLOADS.contains(pattern), is("uploads "), "{method} {pattern}");
            assert_eq!(LAUNCHES.contains(pattern), is("launches "), "{method} {pattern}");
        }
    }
}
