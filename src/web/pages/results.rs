//! Results: the list, and the page of one experiment with its table, chart, queries and surroundings.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use sqlx::PgPool;

use crate::experiment::environment;
use crate::experiment::service::Experiments;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::ids::ExperimentId;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::seconds_in_words;
use crate::report::data::ReportData;
use crate::report::export;
use crate::report::table;
use crate::report::table::QueryRows;
use crate::store;
use crate::store::experiments::ListOrder;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart_view::ChartView;
use crate::web::pages::progress::ProgressView;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results", get(index))
        .route("/results/{id}", get(show))
        .route("/results/{id}/table", get(show_table))
        .route("/results/{id}/stop", post(stop))
        .route("/results/{id}/rerun", post(rerun))
        .route("/results/{id}/{export}", get(download))
}

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
pub struct IndexRow {
    pub id: ExperimentId,
    pub address: String,
    pub status: &'static str,
    pub class: &'static str,
    pub dataset: String,
    pub workload: String,
    pub sources: String,
    pub headline: String,
    pub date: String,
    pub datetime: String,
}

impl IndexRow {
    pub fn new(experiment: &Experiment) -> Self {
        let labels: Vec<&str> = experiment
            .spec
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        let headline = match (&experiment.headline, &experiment.job.message) {
            (Some(headline), _) => headline.clone(),
            (None, Some(message)) => message.clone(),
            (None, None) => String::new(),
        };
        Self {
            id: experiment.id,
            address: urls::result(experiment.id),
            status: experiment.job.status.word(),
            class: view::status_class(experiment.job.status),
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            sources: labels.join(", "),
            headline,
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
struct ListParams {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

/// GET /results
async fn index(
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
        plain("Largest difference"),
        SortHead {
            aria_sort,
            ..by("Launched (UTC)", flip)
        },
    ]
}

#[derive(Template)]
#[template(path = "results/show.html", blocks = ["table", "chart"])]
#[expect(clippy::struct_excessive_bools, reason = "what the template shows or leaves out")]
pub struct ShowPage {
    id: ExperimentId,
    title: String,
    subtitle: String,
    dataset_address: Option<String>,
    workload_address: Option<String>,
    dataset: String,
    workload: String,
    is_settled: bool,
    is_partial: bool,
    progress: ProgressView,
    headline: String,
    message: String,
    queries: Vec<QueryView>,
    table: Vec<QueryRows>,
    sources_counted: String,
    /// Whether anything was measured.
    has_numbers: bool,
    /// Whether any trial timed out or failed.
    has_trouble: bool,
    chart: ChartView,
    sources: Vec<SourceView>,
    facts: Vec<Setting>,
    settings: Vec<Setting>,
    /// When the server was shared with other datasets.
    warning: Option<String>,
    environment: Vec<Setting>,
    segments: Vec<String>,
    /// What kept it from going on.
    interruptions: Vec<String>,
    exports: Vec<(String, &'static str)>,
    rerun_request_id: String,
}

struct QueryView {
    label: String,
    address: String,
    class: &'static str,
    sql: String,
    /// Source and plan letter, in order.
    letters: Vec<(String, String)>,
    plans_differ: bool,
}

struct SourceView {
    label: String,
    colour: usize,
    n_statistics: String,
    apply: String,
    checksum: String,
    targets: Vec<String>,
}

impl ShowPage {
    async fn load(
        state: &AppState,
        viewer: crate::model::user::Viewer,
        id: ExperimentId,
        params: &ChartParams,
    ) -> Result<Self, Error> {
        let mut conn = state.pool.acquire().await?;
        let data = ReportData::load(&mut conn, viewer, id)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        let look = crate::experiment::progress::look(&mut conn, viewer, id)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        let interruptions = store::jobs::list_interruptions(&mut conn, viewer, data.experiment.job.id).await?;
        let chart = ChartView::load(&mut conn, viewer, &data, params).await?;
        drop(conn);
        let experiment = &data.experiment;
        let table = table::table(&data);
        Ok(Self {
            id,
            title: format!("Experiment {id}"),
            subtitle: format!("{} on {}", experiment.workload_name, experiment.dataset_name),
            dataset_address: experiment.dataset_id.map(urls::dataset),
            workload_address: experiment.workload_id.map(urls::workload),
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            is_settled: experiment.job.status.is_settled(),
            is_partial: experiment.n_recorded < experiment.n_trials,
            progress: ProgressView::new(&look),
            headline: experiment.headline.clone().unwrap_or_default(),
            message: experiment.job.message.clone().unwrap_or_default(),
            queries: query_views(&data, &table),
            sources_counted: counted(
                experiment.spec.sources.len() as u64,
                "source of statistics",
                "sources of statistics",
            ),
            has_numbers: !data.summaries.is_empty(),
            has_trouble: table
                .iter()
                .flat_map(|query| &query.rows)
                .any(|row| !row.trouble.is_empty()),
            table,
            chart,
            sources: source_views(&data),
            facts: facts(experiment),
            settings: experiment.spec.settings.clone(),
            warning: experiment
                .environment
                .iter()
                .find(|fact| fact.name == environment::SHARED_SERVER)
                .map(|fact| fact.value.clone()),
            environment: experiment.environment.clone(),
            interruptions: interruptions.iter().map(view::interrupted).collect(),
            segments: data
                .segments
                .iter()
                .map(|segment| {
                    format!(
                        "{}: {} (trial {})",
                        view::date(segment.started_at),
                        segment.reason,
                        segment.first_trial + 1
                    )
                })
                .collect(),
            exports: export::ALL
                .iter()
                .map(|exporter| (urls::result_part(id, exporter.name()), exporter.about()))
                .collect(),
            rerun_request_id: view::request_id()?,
        })
    }
}

fn query_views(data: &ReportData, table: &[QueryRows]) -> Vec<QueryView> {
    let of_query = |query: &crate::model::experiment::ExperimentQuery| QueryView {
        label: query.label.clone(),
        address: urls::result_query(data.experiment.id, query.query_idx),
        class: query.class.word(),
        sql: query.sql.clone(),
        letters: data
            .sources()
            .filter_map(|(source_idx, source)| {
                let letter = data.summary(query.query_idx, source_idx)?.plan_letter.clone()?;
                Some((source.label.clone(), letter))
            })
            .collect(),
        plans_differ: table
            .iter()
            .any(|rows| rows.query_idx == query.query_idx && rows.plans_differ),
    };
    data.queries.iter().map(of_query).collect()
}

fn source_views(data: &ReportData) -> Vec<SourceView> {
    data.sources()
        .zip(0_usize..)
        .map(|((source_idx, source), colour)| {
            let prepared = data.prepared.iter().find(|prepared| prepared.source_idx == source_idx);
            SourceView {
                label: source.label.clone(),
                colour,
                n_statistics: prepared
                    .map(|prepared| prepared.n_statistics.to_string())
                    .unwrap_or_default(),
                apply: prepared
                    .map(|prepared| ms_in_words(prepared.apply_ms))
                    .unwrap_or_default(),
                checksum: prepared
                    .map(|prepared| prepared.snapshot_sha256.clone())
                    .unwrap_or_default(),
                targets: prepared
                    .map(|prepared| {
                        let shown = |target: &crate::model::snapshot::ColumnTarget| {
                            format!("{}.{}.{} {}", target.schema, target.table, target.column, target.target)
                        };
                        prepared.targets.iter().map(shown).collect()
                    })
                    .unwrap_or_default(),
            }
        })
        .collect()
}

fn facts(experiment: &Experiment) -> Vec<Setting> {
    let spec = &experiment.spec;
    let pair = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    let mut facts = vec![
        pair("Rounds", spec.iterations.to_string()),
        pair("Warm-up rounds", spec.warm_up.to_string()),
        pair(
            "Trials stored",
            format!("{} of {}", experiment.n_recorded, experiment.n_trials),
        ),
        pair("Order", spec.order.word().to_owned()),
        pair("Seed", spec.seed.to_string()),
        pair("Clock", spec.clock.word().to_owned()),
        #[expect(clippy::cast_precision_loss, reason = "a timeout is at most an hour")]
        pair("Timeout", ms_in_words(spec.timeout_ms as f64)),
        pair("Launched (UTC)", view::date(experiment.created_at)),
    ];
    if let Some(elapsed_s) = experiment.job.elapsed_s() {
        facts.push(pair("Took", seconds_in_words(elapsed_s)));
    }
    facts.push(pair("Dump (SHA-256)", experiment.dataset_sha256.clone()));
    facts
}

/// GET /results/{id}
async fn show(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    fragment::page(&ShowPage::load(&state, viewer, id, &ChartParams::read(&params)).await?)
}

/// GET /results/{id}/table
async fn show_table(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    hx.require_fragment_of(&urls::result(id))?;
    let page = ShowPage::load(&state, viewer, id, &ChartParams::default()).await?;
    fragment::with_status(StatusCode::OK, &page.as_table())
}

/// The chart block of the page, for its own address.
pub async fn chart_block(
    state: &AppState,
    viewer: crate::model::user::Viewer,
    id: ExperimentId,
    params: &ChartParams,
) -> PageResult<Response> {
    let page = ShowPage::load(state, viewer, id, params).await?;
    fragment::with_status(StatusCode::OK, &page.as_chart())
}

/// POST /results/{id}/stop
async fn stop(
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    experiments
        .progress(viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    experiments.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::result(id)))
}

#[derive(Debug, Deserialize)]
struct RerunForm {
    #[serde(default)]
    request_id: String,
}

/// POST /results/{id}/rerun
async fn rerun(
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
    Form(form): Form<RerunForm>,
) -> PageResult<Response> {
    let request_id = view::request_id_or(form.request_id)?;
    let id = experiments.rerun(viewer, id, &request_id).await?;
    Ok(hx.redirect(&urls::result(id)))
}

/// GET /results/{id}/export.csv, trials.csv, export.json
async fn download(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path((id, name)): Path<(String, String)>,
) -> PageResult<Response> {
    let exporter = export::find(&name).ok_or(Error::NotFound("file"))?;
    let id: ExperimentId = id.parse().map_err(|_| Error::NotFound("experiment"))?;
    let mut conn = pool.acquire().await?;
    let data = ReportData::load(&mut conn, viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let trials = store::trials::list(&mut conn, viewer, id, None).await?;
    drop(conn);
    let file_name = export::file_name(exporter, &data);
    let bytes = tokio::task::spawn_blocking(move || exporter.write(&data, &trials))
        .await
        .map_err(anyhow::Error::new)??;
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\"")).map_err(anyhow::Error::new)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(exporter.media_type())),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    Ok((headers, bytes).into_response())
}
