//! The plans of an experiment: the map of who chose which, one plan as a tree, two plans side by side.

mod diff;
mod estimates;
mod map;
mod show;
pub mod view;

use axum::Router;
use axum::routing::get;
use sqlx::PgPool;

use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanText;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::report::data::ReportData;
use crate::store;
use crate::web::error::Error;
use crate::web::state::AppState;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results/{id}/plans", get(map::map))
        .route("/results/{id}/estimates", get(estimates::estimates))
        .route("/results/{id}/queries/{n}/plans/{source}", get(show::show))
        .route("/results/{id}/queries/{n}/plans/{source}/raw", get(show::raw))
        .route("/results/{id}/queries/{n}/plans/{source}/plan.txt", get(show::as_text))
        .route("/results/{id}/queries/{n}/plans/{source}/plan.json", get(show::as_json))
        .route("/results/{id}/queries/{n}/diff", get(diff::diff))
}

/// One choice among several, each with its address.
pub struct Choice {
    pub label: String,
    pub address: String,
    pub is_current: bool,
}

/// What is stored of one query of an experiment, the texts of its plans included.
struct QueryPlans {
    data: ReportData,
    query: ExperimentQuery,
    texts: Vec<PlanText>,
}

impl QueryPlans {
    async fn load(pool: &PgPool, viewer: Viewer, id: ExperimentId, query_idx: i32) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let data = ReportData::load(&mut conn, viewer, id)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        let query = data.query(query_idx).ok_or(Error::NotFound("query"))?.clone();
        let texts = store::plans::list_texts(&mut conn, viewer, id, Some(query_idx)).await?;
        Ok(Self { data, query, texts })
    }

    /// The text of the plan under a source that says more.
    fn text(&self, source_idx: i32) -> Option<&str> {
        let text = self.texts.iter().find(|text| text.source_idx == source_idx)?;
        text.best()
    }
}

/// Whatever is not a number names no page.
fn number<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::NotFound(what))
}
