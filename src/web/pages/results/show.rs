//! The page of one experiment with its table, chart, queries and surroundings.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::experiment::progress;
use crate::model::dataset::Setting;
use crate::model::filing::Filed;
use crate::model::ids::ExperimentId;
use crate::model::job::Interrupted;
use crate::model::units::counted;
use crate::report::data::ReportData;
use crate::report::disturbed;
use crate::report::export;
use crate::report::made;
use crate::report::surroundings;
use crate::report::surroundings::PreparedRow;
use crate::report::table;
use crate::report::table::QueryRows;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::pages::chart_view::ChartView;
use crate::web::pages::filing::FilingView;
use crate::web::pages::notes::NotesView;
use crate::web::pages::progress::ProgressView;
use crate::web::pages::results::compared::ComparedView;
use crate::web::pages::results::costs::CostsView;
use crate::web::pages::results::observer::ObserverView;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Standing;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// What the bundle's link says.
const BUNDLE_ABOUT: &str = "Bundle: everything with the planner statistics, to be verified and measured again (zip)";
/// Rows of the table of times, unless somebody wants them all.
const MOST_ROWS: usize = 240;

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
    /// Queries that are not in the table, when it would be too long.
    left_out: Option<More>,
    /// Beside the baseline; none where there is one source only.
    compared: Option<ComparedView>,
    costs: Option<CostsView>,
    observer: Option<ObserverView>,
    /// What else was at work while trials ran.
    disturbed: Vec<String>,
    sources_counted: String,
    /// Whether anything was measured.
    has_numbers: bool,
    /// Whether any trial timed out or failed.
    has_trouble: bool,
    chart: ChartView,
    sources: Vec<PreparedRow>,
    /// Of the sources that have any.
    source_notes: Vec<NotesView>,
    facts: Vec<Setting>,
    settings: Vec<Setting>,
    /// What anybody who reads the numbers has to know first.
    warnings: Vec<String>,
    environment: Vec<Setting>,
    segments: Vec<String>,
    /// What kept it from going on.
    interruptions: Vec<String>,
    exports: Vec<ExportView>,
    rerun_request_id: String,
    standing: Standing,
    filing: FilingView,
}

/// A link to what is left out.
struct More {
    text: String,
    address: String,
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

/// A file to take away.
struct ExportView {
    address: String,
    about: &'static str,
    /// Opened by the browser rather than saved.
    is_read: bool,
}

impl ShowPage {
    async fn load(
        state: &AppState,
        viewer: crate::model::user::Viewer,
        id: ExperimentId,
        params: &ChartParams,
    ) -> Result<Self, Error> {
        let mut conn = state.pool.acquire().await?;
        let mut data = ReportData::load_beside(&mut conn, viewer, id, params.base_idx)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        if params.chart_type == ChartType::Line {
            data.load_looks(&mut conn, viewer).await?;
        }
        let look = progress::look_at(&mut conn, viewer, data.experiment.clone()).await?;
        let chart = ChartView::load(&mut conn, viewer, &data, params).await?;
        let experiment = &data.experiment;
        let standing = Standing::load(&mut conn, viewer, Filed::Experiment(id)).await?;
        let beside = [
            experiment.dataset_id.map(Filed::Dataset),
            experiment.workload_id.map(Filed::Workload),
        ];
        let [dataset_address, workload_address] = sharing::addresses(&mut conn, viewer, beside).await?;
        drop(conn);
        let mut table = table::table(&data);
        let compared = ComparedView::new(&data, *params, &table);
        let queries = query_views(&data, &table);
        let has_trouble = table
            .iter()
            .flat_map(|query| &query.rows)
            .any(|row| !row.trouble.is_empty());
        let left_out = cut(&mut table, data.experiment.spec.sources.len(), *params).map(|n_queries| More {
            text: format!("Show the other {}", counted(n_queries as u64, "query", "queries")),
            address: format!(
                "{}#table",
                urls::result_view(
                    id,
                    &ChartParams {
                        has_all_rows: true,
                        ..*params
                    }
                    .to_query()
                )
            ),
        });
        Ok(Self {
            id,
            title: format!("Experiment {id}"),
            subtitle: format!("{} on {}", experiment.workload_name, experiment.dataset_name),
            dataset_address,
            workload_address,
            dataset: experiment.dataset_name.clone(),
            workload: experiment.workload_name.clone(),
            is_settled: experiment.job.status.is_settled(),
            is_partial: experiment.n_recorded < experiment.n_trials,
            progress: ProgressView::new(&look),
            headline: experiment.headline.clone().unwrap_or_default(),
            message: experiment.job.message.clone().unwrap_or_default(),
            queries,
            sources_counted: counted(
                experiment.spec.sources.len() as u64,
                "source of statistics",
                "sources of statistics",
            ),
            has_numbers: !data.summaries.is_empty(),
            has_trouble,
            compared,
            costs: CostsView::new(&data, *params),
            observer: ObserverView::new(&data),
            disturbed: disturbed::sentences(&data.look_counts),
            table,
            left_out,
            chart,
            sources: surroundings::prepared(&data),
            source_notes: source_notes(&data),
            facts: surroundings::facts(experiment),
            settings: experiment.spec.settings.clone(),
            warnings: surroundings::warnings(experiment),
            environment: experiment.environment.clone(),
            interruptions: data.interruptions.iter().map(Interrupted::in_words).collect(),
            segments: surroundings::segments(&data),
            exports: export::ALL
                .iter()
                .map(|exporter| ExportView {
                    address: urls::export(id, exporter.name(), params.base_idx),
                    about: exporter.about(),
                    is_read: exporter.is_read(),
                })
                .chain([ExportView {
                    address: urls::result_part(id, "bundle.zip"),
                    about: BUNDLE_ABOUT,
                    is_read: false,
                }])
                .collect(),
            rerun_request_id: view::request_id()?,
            filing: FilingView::new(Filed::Experiment(id), &data.experiment.filing, &standing),
            standing,
        })
    }
}

/// Shortens a long table, by whole queries. Returns how many it leaves out.
fn cut(table: &mut Vec<QueryRows>, n_sources: usize, params: ChartParams) -> Option<usize> {
    let n_shown = (MOST_ROWS / n_sources.max(1)).max(1);
    let n_left_out = table
        .len()
        .checked_sub(n_shown)
        .filter(|n| *n > 0 && !params.has_all_rows)?;
    table.truncate(n_shown);
    Some(n_left_out)
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

fn source_notes(data: &ReportData) -> Vec<NotesView> {
    let prepared = data.prepared.iter().filter(|prepared| !prepared.notes.is_empty());
    prepared
        .map(|prepared| NotesView {
            script: prepared
                .alteration
                .as_ref()
                .map(|alteration| alteration.script.clone())
                .unwrap_or_default(),
            ..NotesView::new(data.source_label(prepared.source_idx), &prepared.notes)
        })
        .collect()
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
