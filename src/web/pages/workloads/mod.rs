//! Workloads: the list, and the way out. One of them is `show`.

mod show;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::ids::WorkloadId;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::model::workload::Workload;
use crate::store;
use crate::web::error::Error;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;
use crate::workload::service::Deleted;
use crate::workload::service::Workloads;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::WORKLOADS, get(index))
        .route("/workloads/{id}", get(show::show))
        .route("/workloads/{id}/check", get(show::check).post(show::request_check))
        .route("/workloads/{id}/delete", get(delete).post(destroy))
}

#[derive(Template)]
#[template(path = "workloads/index.html")]
struct IndexPage {
    lines: Vec<Line>,
}

struct Line {
    href: String,
    name: String,
    n_queries: String,
    n_refused: String,
    file_name: String,
    date: String,
    at: String,
}

#[derive(Template)]
#[template(path = "workloads/delete.html")]
struct DeletePage {
    name: String,
    n_queries: String,
    href: String,
    delete_href: String,
    refusal: Option<&'static str>,
}

/// GET /workloads
async fn index(State(pool): State<PgPool>, CurrentUser(viewer): CurrentUser) -> Result<Response, Error> {
    let workloads = store::workloads::list(&mut *pool.acquire().await?, viewer).await?;
    fragment::page(&IndexPage {
        lines: workloads.iter().map(Line::new).collect(),
    })
}

/// GET /workloads/{id}/delete
async fn delete(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<WorkloadId>,
) -> Result<Response, Error> {
    fragment::page(&DeletePage::load(&pool, viewer, id).await?)
}

/// POST /workloads/{id}/delete
async fn destroy(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<WorkloadId>,
) -> Result<Response, Error> {
    match workloads.delete(viewer, id).await? {
        Deleted::Done => Ok(hx.redirect(urls::WORKLOADS)),
        Deleted::NotThere => Err(Error::NotFound("workload")),
        Deleted::InUse => {
            let mut page = DeletePage::load(&workloads.pool, viewer, id).await?;
            page.refusal = Some("Something that waits or runs needs this workload. Wait for it, or stop it first.");
            fragment::with_status(StatusCode::CONFLICT, &page)
        }
    }
}

impl Line {
    fn new(workload: &Workload) -> Self {
        Self {
            href: urls::workload(workload.id),
            name: workload.name.clone(),
            n_queries: grouped(workload.n_queries),
            n_refused: grouped(workload.n_refused),
            file_name: workload.file_name.clone(),
            date: view::date(workload.created_at),
            at: view::rfc3339(workload.created_at),
        }
    }
}

impl DeletePage {
    async fn load(pool: &PgPool, viewer: Viewer, id: WorkloadId) -> Result<Self, Error> {
        let workload = store::workloads::get(&mut *pool.acquire().await?, viewer, id).await?;
        let workload = workload.ok_or(Error::NotFound("workload"))?;
        Ok(Self {
            name: workload.name,
            n_queries: counted(workload.n_queries, "statement", "statements"),
            href: urls::workload(id),
            delete_href: urls::workload_delete(id),
            refusal: None,
        })
    }
}
