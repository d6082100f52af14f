//! Everything that is stored of one experiment, read once for a page, a chart or an export.

use sqlx::PgConnection;

use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanRecord;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::Segment;
use crate::model::experiment::SummaryRecord;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::store;

/// What is stored, all but the trials.
#[derive(Clone, Debug)]
pub struct ReportData {
    pub experiment: Experiment,
    pub queries: Vec<ExperimentQuery>,
    pub prepared: Vec<PreparedSource>,
    /// By query, then source; empty before the experiment settled.
    pub summaries: Vec<SummaryRecord>,
    pub plans: Vec<PlanRecord>,
    pub segments: Vec<Segment>,
}

impl ReportData {
    /// Reads it; none when there is no such experiment for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> store::Result<Option<Self>> {
        let Some(experiment) = store::experiments::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            queries: store::experiments::list_queries(&mut *conn, viewer, id).await?,
            prepared: store::sources::list_prepared(&mut *conn, viewer, id).await?,
            summaries: store::summaries::list(&mut *conn, viewer, id).await?,
            plans: store::plans::list(&mut *conn, viewer, id).await?,
            segments: store::experiments::list_segments(&mut *conn, viewer, id).await?,
            experiment,
        }))
    }

    /// The stored numbers of one (query, source).
    pub fn summary(&self, query_idx: i32, source_idx: i32) -> Option<&SummaryRecord> {
        self.summaries
            .iter()
            .find(|summary| summary.query_idx == query_idx && summary.source_idx == source_idx)
    }

    /// The label of a source.
    pub fn source_label(&self, source_idx: i32) -> &str {
        let idx = usize::try_from(source_idx).unwrap_or(usize::MAX);
        self.experiment
            .spec
            .sources
            .get(idx)
            .map_or("", |source| source.label.as_str())
    }

    /// The label of a query.
    pub fn query_label(&self, query_idx: i32) -> &str {
        self.queries
            .iter()
            .find(|query| query.query_idx == query_idx)
            .map_or("", |query| query.label.as_str())
    }

    /// The sources with their positions.
    pub fn sources(&self) -> impl Iterator<Item = (i32, &crate::model::experiment::SourceSpec)> {
        (0_i32..).zip(&self.experiment.spec.sources)
    }
}
