//! The list of results.

use askama::Template;
use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::experiment::Experiment;
use crate::model::ids::ExperimentId;
use crate::store;
use crate::store::experiments::ListOrder;
use crate::web::error::PageResult;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::urls;
use crate::web::view;

/// Experiments on one page of the list.
const PER_PAGE: u32 = 25;

#[derive(Template)]
#[template(path = "results/index.html")]
struct IndexPage {
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
    date: String,
    datetime: String,
}

impl IndexRow {
    fn new(experiment: &Experiment) -> Self {
        let labels: Vec<&str> = experiment
            .spec
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        Self {
            id: experiment.id,
            address: urls::result(experiment.id),
            status: experiment.job.status.word(),
            class: view::status_class(experiment.job.status),
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            sources: labels.join(", "),
            headline: experiment.said().unwrap_or_default().to_owned(),
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

#[derive(Debug, Default, Deserialize)]
pub(super) struct ListParams {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

/// GET /results
pub(super) async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(params): UrlQuery<ListParams>,
) -> PageResult<Response> {
    let order = match params.sort.as_str() {
        "oldest" => ListOrder::Oldest,
        "dataset" => ListOrder::Dataset,
        "workload" => ListOrder::Workload,
        "status" => ListOrder::Status,
        _ => ListOrder::Newest,
    };
    let mut conn = pool.acquire().await?;
    let page: u32 = params.page.parse().unwrap_or(0);
    let offset = page.saturating_mul(PER_PAGE);
    let experiments = store::experiments::list(&mut conn, viewer, order, PER_PAGE, offset).await?;
    let total = store::experiments::count(&mut conn, viewer).await?;
    let page_at = |page: u32| format!("{}?sort={}&page={page}", urls::RESULTS, sort_word(order));
    fragment::page(&IndexPage {
        heads: heads(order),
        previous: page.checked_sub(1).map(page_at),
        next: (total > u64::from(offset) + u64::from(PER_PAGE)).then(|| page_at(page + 1)),
        rows: experiments.iter().map(IndexRow::new).collect(),
    })
}

fn sort_word(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Newest => "newest",
        ListOrder::Oldest => "oldest",
        ListOrder::Dataset => "dataset",
        ListOrder::Workload => "workload",
        ListOrder::Status => "status",
    }
}

fn heads(order: ListOrder) -> Vec<SortHead> {
    let by = |label, target: ListOrder| SortHead {
        label,
        address: format!("{}?sort={}", urls::RESULTS, sort_word(target)),
        aria_sort: if order == target { "ascending" } else { "none" },
    };
    let plain = |label| SortHead {
        label,
        address: String::new(),
        aria_sort: "none",
    };
    let (flip, aria_sort) = match order {
        ListOrder::Newest => (ListOrder::Oldest, "descending"),
        ListOrder::Oldest => (ListOrder::Newest, "ascending"),
        ListOrder::Dataset | ListOrder::Workload | ListOrder::Status => (ListOrder::Newest, "none"),
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
