//! How far the planner's row estimates were off: by source, by the number of joins, by query.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::analysis::estimates::FarOff;
use crate::model::estimate::FAR_OFF;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanOutline;
use crate::model::ids::ExperimentId;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::report::data::ReportData;
use crate::report::estimates;
use crate::report::estimates::SourceEstimates;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::pages::chart_view::ChartView;
use crate::web::pages::plans::view;
use crate::web::urls;

#[derive(Debug, Default, Deserialize)]
pub(super) struct EstimatesParams {
    /// `all`, or whatever else for the queries with a far-off estimate.
    #[serde(default)]
    show: String,
}

#[derive(Template)]
#[template(path = "plans/estimates.html")]
struct EstimatesPage {
    id: ExperimentId,
    sources: Vec<SourceRow>,
    /// Whether any estimate could be compared.
    has_numbers: bool,
    chart: ChartView,
    queries: Vec<QueryRow>,
    hidden: String,
    all_address: String,
}

/// All queries under one source.
struct SourceRow {
    label: String,
    colour: usize,
    n_nodes: String,
    over: String,
    under: String,
    mean: String,
    worst: String,
}

/// One query under each source.
struct QueryRow {
    label: String,
    address: String,
    cells: Vec<Cell>,
    is_far_off: bool,
}

struct Cell {
    address: String,
    worst: String,
    mean: String,
    is_far_off: bool,
}

impl SourceRow {
    fn new(data: &ReportData, source: &SourceEstimates, colour: usize) -> Self {
        let total = source.total();
        let factor = |factor: Option<f64>| factor.map_or("–".to_owned(), times);
        Self {
            label: data.source_label(source.source_idx).to_owned(),
            colour,
            n_nodes: grouped(u64::from(total.n_nodes)),
            over: share(total.n_over, &total),
            under: share(total.n_under, &total),
            mean: factor(source.worst_and_mean.map(|(_, mean)| mean)),
            worst: factor(source.worst_and_mean.map(|(worst, _)| worst)),
        }
    }
}

impl QueryRow {
    fn new(data: &ReportData, query: &ExperimentQuery) -> Self {
        let id = data.experiment.id;
        let cell = |source_idx: i32| {
            let factor = |of: fn(&PlanOutline) -> Option<f64>| data.plan(query.query_idx, source_idx).and_then(of);
            let worst = factor(|plan| plan.worst_q_error);
            Cell {
                address: urls::plan(id, query.query_idx, source_idx),
                worst: worst.map(times).unwrap_or_default(),
                mean: factor(|plan| plan.mean_q_error).map(times).unwrap_or_default(),
                is_far_off: worst.is_some_and(|worst| worst >= FAR_OFF),
            }
        };
        let cells: Vec<Cell> = data.sources().map(|(source_idx, _)| cell(source_idx)).collect();
        Self {
            label: query.label.clone(),
            address: urls::result_query(id, query.query_idx),
            is_far_off: cells.iter().any(|cell| cell.is_far_off),
            cells,
        }
    }
}

fn times(factor: f64) -> String {
    format!("{}×", view::times(factor))
}

/// `12 (4.1 %)`.
fn share(n: u32, total: &FarOff) -> String {
    if total.n_nodes == 0 {
        return "–".to_owned();
    }
    let percent = f64::from(n) / f64::from(total.n_nodes) * 100.0;
    format!("{} ({percent:.1} %)", grouped(u64::from(n)))
}

/// GET /results/{id}/estimates
pub(super) async fn estimates(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<EstimatesParams>,
) -> PageResult<Response> {
    let mut conn = pool.acquire().await?;
    let data = ReportData::load(&mut conn, viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let chart_params = ChartParams {
        chart_type: ChartType::Estimates,
        ..ChartParams::default()
    };
    let chart = ChartView::load(&mut conn, viewer, &data, &chart_params).await?;
    drop(conn);
    let sources: Vec<SourceRow> = estimates::by_source(&data)
        .iter()
        .zip(0_usize..)
        .map(|(source, colour)| SourceRow::new(&data, source, colour))
        .collect();
    let mut queries: Vec<QueryRow> = data.queries.iter().map(|query| QueryRow::new(&data, query)).collect();
    let n_queries = queries.len();
    if params.show != "all" {
        queries.retain(|query| query.is_far_off);
    }
    let hidden = match n_queries - queries.len() {
        0 => String::new(),
        n => format!("{} without a far-off estimate", counted(n as u64, "query", "queries")),
    };
    fragment::page(&EstimatesPage {
        id,
        has_numbers: data.plans.iter().any(|plan| !plan.estimates.is_empty()),
        sources,
        chart,
        queries,
        hidden,
        all_address: format!("{}?show=all", urls::estimates(id)),
    })
}
