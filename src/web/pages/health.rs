//! Whether we live, and whether we can work: for whoever watches over processes.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::PgPool;

use crate::store;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

/// GET /healthz: this process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// GET /readyz: the store answers, too.
async fn readyz(State(pool): State<PgPool>) -> (StatusCode, &'static str) {
    let asked = async { store::server_version(&mut *pool.acquire().await?).await };
    match asked.await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}
