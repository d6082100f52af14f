//! Datasets: the list, and the way out. One of them is `show`.

mod show;
mod status;

pub use show::refused_statistics;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use sqlx::PgPool;

use crate::dataset::service::Datasets;
use crate::dataset::service::Deleted;
use crate::model::dataset::Dataset;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::job::JobStatus;
use crate::model::units::bytes_in_words;
use crate::model::units::grouped;
use crate::model::user::Viewer;
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

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::DATASETS, get(index))
        .route("/datasets/{id}", get(show::show))
        .route("/datasets/{id}/status", get(show::status))
        .route("/datasets/{id}/stop", post(stop))
        .route("/datasets/{id}/restore", post(restore))
        .route("/datasets/{id}/delete", get(delete).post(destroy))
}

#[derive(Template)]
#[template(path = "datasets/index.html")]
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
    word: &'static str,
    class: &'static str,
    format: String,
    size: String,
    n_tables: String,
    n_rows: String,
    date: String,
    at: String,
}

#[derive(Template)]
#[template(path = "datasets/delete.html")]
struct DeletePage {
    name: String,
    size: String,
    href: String,
    delete_href: String,
    refusal: Option<&'static str>,
}

/// What the list can be narrowed down by.
const OFFER: Offer = Offer {
    address: urls::DATASETS,
    nouns: ("dataset", "datasets"),
    state: Some(view::dataset_state),
    place: None,
    has_workload: false,
    has_kind: false,
    orders: &[ListOrder::Newest, ListOrder::Oldest, ListOrder::Name],
};

/// GET /datasets
async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let params = ListParams::read(OFFER, pairs);
    let mut conn = pool.acquire().await?;
    let found = store::finding::datasets(&mut conn, viewer, &params.filter, params.order, params.stretch()).await?;
    let found = params.narrow(found);
    let datasets = store::datasets::list_by_ids(&mut conn, viewer, &found.ids).await?;
    let owners = sharing::owners(&mut conn, viewer, &datasets, |dataset| Filed::Dataset(dataset.id)).await?;
    let known = Known {
        tags: store::filing::tags_of_datasets(&mut conn, viewer).await?,
        ..Known::default()
    };
    let (previous, next) = params.neighbours(found.n_matching);
    fragment::page(&IndexPage {
        previous,
        next,
        list: ListView::new(&params, known, &found),
        lines: datasets
            .iter()
            .map(|dataset| Line::new(dataset, &owners, &params))
            .collect(),
    })
}

/// POST /datasets/{id}/stop
async fn stop(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<DatasetId>,
) -> Result<Response, Error> {
    sharing::require_own(&mut *datasets.pool.acquire().await?, viewer, Filed::Dataset(id)).await?;
    datasets.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::dataset(id)))
}

/// POST /datasets/{id}/restore: once more, from the depot.
async fn restore(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<DatasetId>,
) -> Result<Response, Error> {
    sharing::require_own(&mut *datasets.pool.acquire().await?, viewer, Filed::Dataset(id)).await?;
    if datasets.restore_again(viewer, id).await? {
        return Ok(hx.redirect(&urls::dataset(id)));
    }
    Err(Error::Refused {
        status: StatusCode::CONFLICT,
        message:
            "This dataset is not restored again now: something works on it, its machine is there after all, or its \
                  dump is not in a depot. Its page says how it stands."
                .to_owned(),
    })
}

/// GET /datasets/{id}/delete
async fn delete(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
) -> Result<Response, Error> {
    fragment::page(&DeletePage::load(&pool, viewer, id).await?)
}

/// POST /datasets/{id}/delete
async fn destroy(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<DatasetId>,
) -> Result<Response, Error> {
    match datasets.delete(viewer, id).await? {
        Deleted::Done => Ok(hx.redirect(urls::DATASETS)),
        Deleted::NotThere => Err(Error::NotFound("dataset")),
        Deleted::InUse => {
            let mut page = DeletePage::load(&datasets.pool, viewer, id).await?;
            page.refusal = Some("Something that waits or runs needs this dataset. Wait for it, or stop it first.");
            fragment::with_status(StatusCode::CONFLICT, &page)
        }
    }
}

/// What a restore has made of a dump, in one word and the class of its mark.
pub fn state(status: JobStatus) -> (&'static str, &'static str) {
    (view::dataset_state(status), view::status_class(status))
}

impl Line {
    fn new(dataset: &Dataset, owners: &Owners, params: &ListParams) -> Self {
        let (word, class) = state(dataset.job.status);
        let when_ready = |n: u64| match dataset.job.status {
            JobStatus::Completed => grouped(n),
            _ => "–".to_owned(),
        };
        Self {
            href: urls::dataset(dataset.id),
            name: dataset.name.clone(),
            owner: owners.get(&Filed::Dataset(dataset.id)).cloned(),
            tags: params.tag_links(&dataset.filing),
            word,
            class,
            format: format(dataset),
            size: bytes_in_words(dataset.size_bytes),
            n_tables: when_ready(dataset.n_tables),
            n_rows: when_ready(dataset.n_rows),
            date: view::date(dataset.created_at),
            at: view::rfc3339(dataset.created_at),
        }
    }
}

fn format(dataset: &Dataset) -> String {
    match dataset.compression.as_str() {
        "none" => dataset.format.clone(),
        compression => format!("{}, {compression}", dataset.format),
    }
}

impl DeletePage {
    async fn load(pool: &PgPool, viewer: Viewer, id: DatasetId) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        sharing::require_own(&mut conn, viewer, Filed::Dataset(id)).await?;
        let dataset = store::datasets::get(&mut conn, viewer, id).await?;
        let dataset = dataset.ok_or(Error::NotFound("dataset"))?;
        Ok(Self {
            name: dataset.name,
            size: bytes_in_words(dataset.size_bytes + dataset.database_bytes.unwrap_or(0)),
            href: urls::dataset(id),
            delete_href: urls::dataset_delete(id),
            refusal: None,
        })
    }
}
