//! Workloads: the list, and the way out. One of them is `show`.

mod show;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::filing::Filed;
use crate::model::ids::WorkloadId;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::model::workload::Workload;
use crate::store;
use crate::store::finding::ListOrder;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::lists::Known;
use crate::web::pages::lists::ListParams;
use crate::web::pages::lists::ListView;
use crate::web::pages::lists::Offer;
use crate::web::pages::lists::TagLink;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Owners;
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
    list: ListView,
    lines: Vec<Line>,
    previous: Option<String>,
    next: Option<String>,
}

struct Line {
    href: String,
    name: String,
    /// Of what is somebody else's.
    owner: Option<String>,
    tags: Vec<TagLink>,
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

/// What the list can be narrowed down by.
const OFFER: Offer = Offer {
    address: urls::WORKLOADS,
    nouns: ("workload", "workloads"),
    state: None,
    place: None,
    has_workload: false,
    has_kind: false,
    orders: &[ListOrder::Newest, ListOrder::Oldest, ListOrder::Name],
};

/// GET /workloads
async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let params = ListParams::read(OFFER, pairs);
    let mut conn = pool.acquire().await?;
    let found = store::finding::workloads(&mut conn, viewer, &params.filter, params.order, params.stretch()).await?;
    let found = params.narrow(found);
    let workloads = store::workloads::list_by_ids(&mut conn, viewer, &found.ids).await?;
    let owners = sharing::owners(&mut conn, viewer, &workloads, |workload| Filed::Workload(workload.id)).await?;
    let known = Known {
        tags: store::filing::tags_of_workloads(&mut conn, viewer).await?,
        ..Known::default()
    };
    let (previous, next) = params.neighbours(found.n_matching);
    fragment::page(&IndexPage {
        previous,
        next,
        list: ListView::new(&params, known, &found),
        lines: workloads
            .iter()
            .map(|workload| Line::new(workload, &owners, &params))
            .collect(),
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
    fn new(workload: &Workload, owners: &Owners, params: &ListParams) -> Self {
        Self {
            href: urls::workload(workload.id),
            name: workload.name.clone(),
            owner: owners.get(&Filed::Workload(workload.id)).cloned(),
            tags: params.tag_links(&workload.filing),
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
        let mut conn = pool.acquire().await?;
        sharing::require_own(&mut conn, viewer, Filed::Workload(id)).await?;
        let workload = store::workloads::get(&mut conn, viewer, id).await?;
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
