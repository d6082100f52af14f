//! The experiment that an instrument is asked about.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::experiment::fields::FieldError;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanOutline;
use crate::model::ids::ExperimentId;
use crate::model::instrument::TaskSource;
use crate::model::user::Viewer;
use crate::store;

/// Why an instrument takes no source with an annex.
pub const APART: &str = "it ran in a clone of its own, in which a script changed more than statistics, and instruments work \
                         with statistics alone";

/// An experiment with what an instrument may choose from.
pub struct Subject {
    pub experiment: Experiment,
    pub queries: Vec<ExperimentQuery>,
    pub plans: Vec<PlanOutline>,
}

impl Subject {
    /// None when there is no such experiment for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> store::Result<Option<Self>> {
        let Some(experiment) = store::experiments::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            experiment,
            queries: store::experiments::list_queries(&mut *conn, viewer, id).await?,
            plans: store::plans::list_outlines(conn, viewer, id).await?,
        }))
    }

    /// The plan's fingerprint, where the experiment has seen one.
    pub fn fingerprint(&self, query_idx: i32, source_idx: i32) -> Option<&str> {
        let is_meant = |plan: &&PlanOutline| (plan.query_idx, plan.source_idx) == (query_idx, source_idx);
        self.plans.iter().find(is_meant)?.fingerprint.as_deref()
    }

    /// How many plans the sources that share a clone give a query.
    pub fn n_plans(&self, query_idx: i32) -> usize {
        let is_shared = |plan: &&PlanOutline| self.experiment.spec.sharing().any(|(idx, _)| idx == plan.source_idx);
        let plans = self.plans.iter().filter(|plan| plan.query_idx == query_idx);
        let plans = plans.filter(is_shared);
        let fingerprints = plans.filter_map(|plan| plan.fingerprint.as_deref());
        fingerprints.collect::<HashSet<&str>>().len()
    }

    /// A query by its position here or its label.
    pub fn query(&self, given: &str) -> Result<&ExperimentQuery, FieldError> {
        let by_number = given.parse().ok();
        let is_meant = |query: &&ExperimentQuery| Some(query.query_idx) == by_number || query.label == given;
        let query = self.queries.iter().find(is_meant);
        query.ok_or_else(|| FieldError::new("query", "Choose a query of the experiment."))
    }

    /// A source by its position here or its label.
    pub fn source(&self, field: &str, given: &str) -> Result<TaskSource, FieldError> {
        let by_number = given.parse().ok();
        let sources = (0_i32..).zip(&self.experiment.spec.sources);
        let mut meant = sources.filter(|(idx, source)| Some(*idx) == by_number || source.label == given);
        let (source_idx, source) = meant
            .next()
            .ok_or_else(|| FieldError::new(field, "Choose a source of the experiment."))?;
        if source.annex.is_some() {
            return Err(FieldError::new(field, format!("{}: {APART}.", source.label)));
        }
        Ok(TaskSource {
            source_idx,
            label: source.label.clone(),
        })
    }
}
