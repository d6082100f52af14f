//! The list of results.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sqlx::PgPool;

use crate::model::experiment::Experiment;
use crate::model::filing::Filed;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::store;
use crate::store::finding::ListOrder;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::lists::Known;
use crate::web::pages::lists::ListParams;
use crate::web::pages::lists::ListView;
use crate::web::pages::lists::Offer;
use crate::web::pages::lists::TagLink;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Owners;
use crate::web::urls;
use crate::web::view;

#[derive(Template)]
#[template(path = "results/index.html")]
struct IndexPage {
    list: ListView,
    rows: Vec<IndexRow>,
    heads: Vec<SortHead>,
    previous: Option<String>,
    next: Option<String>,
}

/// One experiment in a list.
struct IndexRow {
    id: ExperimentId,
    address: String,
    status: &'static str,
    class: &'static str,
    dataset: String,
    workload: String,
    sources: String,
    headline: String,
    /// Of what is somebody else's.
    owner: Option<String>,
    tags: Vec<TagLink>,
    date: String,
    datetime: String,
}

impl IndexRow {
    fn new(experiment: &Experiment, owners: &Owners, params: &ListParams) -> Self {
        Self {
            id: experiment.id,
            address: urls::result(experiment.id),
            status: experiment.job.status.word(),
            class: view::status_class(experiment.job.status),
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            sources: experiment.spec.sources_in_words(),
            headline: experiment.said().unwrap_or_default().to_owned(),
            owner: owners.get(&Filed::Experiment(experiment.id)).cloned(),
            tags: params.tag_links(&experiment.filing),
            date: view::date(experiment.created_at),
            datetime: view::rfc3339(experiment.created_at),
        }
    }
}

struct SortHead {
    label: &'static str,
    /// Empty where the list cannot be sorted by this column.
    address: String,
    aria_sort: &'static str,
}

/// What the list can be narrowed down by.
const OFFER: Offer = Offer {
    address: urls::RESULTS,
    nouns: ("experiment", "experiments"),
    state: Some(JobStatus::word),
    place: Some("Dataset"),
    has_workload: true,
    has_kind: false,
    orders: &[
        ListOrder::Newest,
        ListOrder::Oldest,
        ListOrder::Dataset,
        ListOrder::Workload,
        ListOrder::Status,
    ],
};

/// GET /results
pub(super) async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let params = ListParams::read(OFFER, pairs);
    let mut conn = pool.acquire().await?;
    let found = store::finding::experiments(&mut conn, viewer, &params.filter, params.order, params.stretch()).await?;
    let found = params.narrow(found);
    let experiments = store::experiments::list_by_ids(&mut conn, viewer, &found.ids).await?;
    let (datasets, workloads) = store::finding::places_of_experiments(&mut conn, viewer).await?;
    let owners = sharing::owners(&mut conn, viewer, &experiments, |experiment| {
        Filed::Experiment(experiment.id)
    })
    .await?;
    let known = Known {
        tags: store::filing::tags_of_experiments(&mut conn, viewer).await?,
        datasets,
        workloads,
    };
    drop(conn);
    let (previous, next) = params.neighbours(found.n_matching);
    fragment::page(&IndexPage {
        heads: heads(&params),
        list: ListView::new(&params, known, &found),
        previous,
        next,
        rows: experiments
            .iter()
            .map(|experiment| IndexRow::new(experiment, &owners, &params))
            .collect(),
    })
}

fn heads(params: &ListParams) -> Vec<SortHead> {
    let by = |label, target: ListOrder| SortHead {
        label,
        address: params.sorted(target),
        aria_sort: if params.order == target { "ascending" } else { "none" },
    };
    let plain = |label| SortHead {
        label,
        address: String::new(),
        aria_sort: "none",
    };
    let (flip, aria_sort) = match params.order {
        ListOrder::Newest => (ListOrder::Oldest, "descending"),
        ListOrder::Oldest => (ListOrder::Newest, "ascending"),
        ListOrder::Name | ListOrder::Dataset | ListOrder::Workload | ListOrder::Status => (ListOrder::Newest, "none"),
    };
    vec![
        plain("No."),
        by("State", ListOrder::Status),
        by("Dataset", ListOrder::Dataset),
        by("Workload", ListOrder::Workload),
        plain("Sources"),
        plain("Finding"),
        SortHead {
            aria_sort,
            ..by("Launched (UTC)", flip)
        },
    ]
}
