//! One query of an experiment: its times, its plans as trees, its trials.

use std::collections::HashMap;
use std::collections::HashSet;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::analysis::outlier;
use crate::analysis::summary::Observed;
use crate::model::experiment::PlanText;
use crate::model::ids::ExperimentId;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::user::Viewer;
use crate::report::data::ReportData;
use crate::report::disturbed;
use crate::report::made;
use crate::report::observer;
use crate::report::observer::TaxRow;
use crate::report::table;
use crate::report::table::Figure;
use crate::report::table::Row;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::pages::chart_view::ChartView;
use crate::web::pages::plans::view::PlanView;
use crate::web::pages::results::compared;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results/{id}/queries/{n}", get(show))
        .route("/results/{id}/queries/{n}/plans", get(plans))
}

/// Trials shown on the page; all of them are in the export.
const MAX_TRIALS: usize = 200;

#[derive(Template)]
#[template(path = "results/query.html", blocks = ["plans"])]
struct QueryPage {
    id: ExperimentId,
    label: String,
    sql: String,
    previous: Option<String>,
    next: Option<String>,
    rows: Vec<Row>,
    chart: ChartView,
    plans: Vec<PlanView>,
    map_address: String,
    /// Two different plans side by side; empty when there are none.
    diff_address: String,
    /// What measuring it costs; none where that was not asked, or cannot be said.
    tax: Option<TaxRow>,
    trials: Vec<TrialView>,
    n_trials: usize,
    /// Whether anything else was at work during a trial that is shown.
    has_seen: bool,
}

struct TrialView {
    number: i32,
    kind: &'static str,
    round: i32,
    source: String,
    outcome: &'static str,
    execution: Figure,
    is_outlier: bool,
    /// What else was at work; empty where nothing was seen.
    seen: String,
    planning: Figure,
    message: String,
}

impl QueryPage {
    async fn load(pool: &PgPool, viewer: Viewer, id: ExperimentId, query_idx: i32) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let mut data = ReportData::load(&mut conn, viewer, id)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        data.load_looks(&mut conn, viewer).await?;
        let query = data.query(query_idx).ok_or(Error::NotFound("query"))?.clone();
        let trials = store::trials::list(&mut conn, viewer, id, Some(query_idx)).await?;
        let texts = store::plans::list_texts(&mut conn, viewer, id, Some(query_idx)).await?;
        let params = ChartParams {
            chart_type: ChartType::Line,
            query_idx,
            ..ChartParams::default()
        };
        drop(conn);
        let chart = ChartView::new(&data, &params, &trials);
        let rows = table::table(&data).into_iter().find(|rows| rows.query_idx == query_idx);
        let (previous, next) = (query_idx - 1, query_idx + 1);
        let outliers = outliers(&trials);
        let views: Vec<TrialView> = trials
            .iter()
            .take(MAX_TRIALS)
            .map(|trial| TrialView {
                is_outlier: outliers.contains(&trial.trial_idx),
                ..trial_view(&data, trial)
            })
            .collect();
        // A large plan takes milliseconds to read.
        let plans =
            tokio::task::spawn_blocking(move || plan_views(&data, &texts, query_idx).map(|plans| (plans, data)));
        let (plans, data) = plans.await.map_err(anyhow::Error::new)??;
        let address = |query_idx: i32| urls::result_query(data.experiment.id, query_idx);
        let exists = |query_idx: i32| data.queries.iter().any(|query| query.query_idx == query_idx);
        Ok(Self {
            id,
            label: query.label,
            sql: query.sql,
            previous: Some(previous).filter(|n| exists(*n)).map(address),
            next: Some(next).filter(|n| exists(*n)).map(address),
            rows: rows.map(|rows| rows.rows).unwrap_or_default(),
            chart,
            map_address: urls::plans(id),
            diff_address: if plans.iter().filter(|plan| !plan.letter.is_empty()).count() > 1 {
                urls::plan_diff_form(id, query_idx)
            } else {
                String::new()
            },
            plans,
            tax: observer::rows(&data).into_iter().find(|row| row.query_idx == query_idx),
            has_seen: views.iter().any(|view| !view.seen.is_empty()),
            trials: views,
            n_trials: trials.len(),
        })
    }
}

/// The positions of the trials that lie far from the others of their source.
fn outliers(trials: &[RecordedTrial]) -> HashSet<i32> {
    let mut samples: HashMap<i32, Vec<(i32, f64)>> = HashMap::new();
    for trial in trials.iter().filter(|trial| trial.kind == TrialKind::Measured) {
        if let Some(ms) = Observed::from(trial).at_least_ms() {
            samples.entry(trial.source_idx).or_default().push((trial.trial_idx, ms));
        }
    }
    let of_sample = |sample: Vec<(i32, f64)>| {
        let times: Vec<f64> = sample.iter().map(|(_, ms)| *ms).collect();
        let marked = sample.into_iter().zip(outlier::outliers(&times));
        marked.filter_map(|((trial_idx, _), is_outlier)| is_outlier.then_some(trial_idx))
    };
    samples.into_values().flat_map(of_sample).collect()
}

fn trial_view(data: &ReportData, trial: &RecordedTrial) -> TrialView {
    TrialView {
        number: trial.trial_idx + 1,
        kind: trial.kind.shown(),
        round: trial.round,
        source: data.source_label(trial.source_idx).to_owned(),
        outcome: trial.outcome.word(),
        is_outlier: false,
        seen: disturbed::mark(data, trial),
        execution: table::time(trial.execution_ms, trial.outcome == OutcomeWord::TimedOut),
        planning: table::time(trial.planning_ms, false),
        message: trial.message.clone().unwrap_or_default(),
    }
}

/// A view for each different plan, in the order of the letters.
fn plan_views(data: &ReportData, texts: &[PlanText], query_idx: i32) -> anyhow::Result<Vec<PlanView>> {
    let mut known: Vec<&str> = Vec::new();
    let mut views = Vec::new();
    for plan in data.plans.iter().filter(|plan| plan.query_idx == query_idx) {
        if let Some(fingerprint) = plan.fingerprint.as_deref() {
            if known.contains(&fingerprint) {
                continue;
            }
            known.push(fingerprint);
        }
        let text = texts.iter().find(|text| text.source_idx == plan.source_idx);
        views.push(PlanView::new(data, plan, text.and_then(PlanText::best), None)?);
    }
    Ok(views)
}

/// GET /results/{id}/queries/{n}
async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path(address): Path<(String, String)>,
) -> PageResult<Response> {
    let (id, query_idx) = read(&address)?;
    fragment::page(&QueryPage::load(&pool, viewer, id, query_idx).await?)
}

/// GET /results/{id}/queries/{n}/plans: the plans alone.
async fn plans(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Path(address): Path<(String, String)>,
) -> PageResult<Response> {
    let (id, query_idx) = read(&address)?;
    hx.require_fragment_of(&format!("{}#plans", urls::result_query(id, query_idx)))?;
    let page = QueryPage::load(&pool, viewer, id, query_idx).await?;
    fragment::with_status(StatusCode::OK, &page.as_plans())
}

/// Whatever is not a number names no page.
fn read((id, query_idx): &(String, String)) -> Result<(ExperimentId, i32), Error> {
    let id = id.parse().map_err(|_| Error::NotFound("experiment"))?;
    let query_idx = query_idx.parse().map_err(|_| Error::NotFound("query"))?;
    Ok((id, query_idx))
}
