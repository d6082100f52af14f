//! The page of one experiment with its table, chart, queries and surroundings.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::experiment::environment;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::ids::ExperimentId;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::seconds_in_words;
use crate::report::data::ReportData;
use crate::report::export;
use crate::report::made;
use crate::report::table;
use crate::report::table::QueryRows;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart_view::ChartView;
use crate::web::pages::notes::NotesView;
use crate::web::pages::progress::ProgressView;
use crate::web::pages::results::compared::ComparedView;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// What the bundle's link says.
const BUNDLE_ABOUT: &str = "Bundle: everything with the planner statistics, to be verified and measured again (zip)";

#[derive(Template)]
#[template(path = "results/show.html", blocks = ["table", "chart"])]
#[expect(clippy::struct_excessive_bools, reason = "what the template shows or leaves out")]
struct ShowPage {
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
    /// Beside the baseline; none where there is one source only.
    compared: Option<ComparedView>,
    sources_counted: String,
    /// Whether anything was measured.
    has_numbers: bool,
    /// Whether any trial timed out or failed.
    has_trouble: bool,
    chart: ChartView,
    sources: Vec<SourceView>,
    /// Of the sources that have any.
    source_notes: Vec<NotesView>,
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
        let data = ReportData::load_beside(&mut conn, viewer, id, params.base_idx)
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
            compared: ComparedView::new(&data, *params, &table),
            table,
            chart,
            sources: source_views(&data),
            source_notes: source_notes(&data),
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
                .map(|exporter| (urls::export(id, exporter.name(), params.base_idx), exporter.about()))
                .chain([(urls::result_part(id, "bundle.zip"), BUNDLE_ABOUT)])
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

fn source_notes(data: &ReportData) -> Vec<NotesView> {
    let prepared = data.prepared.iter().filter(|prepared| !prepared.notes.is_empty());
    prepared
        .map(|prepared| NotesView::new(data.source_label(prepared.source_idx), &prepared.notes))
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
pub(super) async fn show(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    fragment::page(&ShowPage::load(&state, viewer, id, &ChartParams::read(&params)).await?)
}

/// GET /results/{id}/table
pub(super) async fn show_table(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let params = ChartParams::read(&params);
    hx.require_fragment_of(&urls::result_view(id, &params.to_query()))?;
    let page = ShowPage::load(&state, viewer, id, &params).await?;
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
