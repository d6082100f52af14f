//! Everything that is stored of one experiment, read once for a page, a chart or an export.

use sqlx::PgConnection;

use crate::analysis::effect;
use crate::analysis::effect::Bound;
use crate::analysis::effect::Overall;
use crate::analysis::family;
use crate::analysis::family::Member;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanText;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::Segment;
use crate::model::experiment::SummaryRecord;
use crate::model::experiment::TaxRecord;
use crate::model::ids::ExperimentId;
use crate::model::job::Interrupted;
use crate::model::look::Look;
use crate::model::look::LookCounts;
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
    /// By query, then source.
    pub plans: Vec<PlanOutline>,
    /// Empty unless it was loaded whole: they are by far the largest part.
    pub plan_texts: Vec<PlanText>,
    pub segments: Vec<Segment>,
    /// What kept it from going on.
    pub interruptions: Vec<Interrupted>,
    /// What measuring costs, by query; empty before the experiment settled, and where nobody asked for it.
    pub taxes: Vec<TaxRecord>,
    /// What else went on, counted over the visits.
    pub look_counts: LookCounts,
    /// The same visit by visit, in the order of the schedule; empty unless asked for by `load_looks`.
    pub looks: Vec<Look>,
    /// The source that the others are compared with.
    pub base_idx: i32,
    /// All queries under all other sources beside that one, by query, then source; empty before the experiment settled.
    pub family: Vec<Member>,
    /// All queries together under each other source beside that one.
    pub overall: Vec<(i32, Overall)>,
}

impl ReportData {
    /// Reads it, compared with the first source and without the texts of its plans; none when there is no such
    /// experiment for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> store::Result<Option<Self>> {
        Self::load_beside(conn, viewer, id, 0).await
    }

    /// The same compared with another source, or with the first where there is no such source.
    pub async fn load_beside(
        conn: &mut PgConnection,
        viewer: Viewer,
        id: ExperimentId,
        base_idx: i32,
    ) -> store::Result<Option<Self>> {
        match store::experiments::get(&mut *conn, viewer, id).await? {
            Some(experiment) => Ok(Some(Self::load_rest(conn, viewer, experiment, base_idx).await?)),
            None => Ok(None),
        }
    }

    /// The same of an experiment that was read already.
    pub async fn load_rest(
        conn: &mut PgConnection,
        viewer: Viewer,
        experiment: Experiment,
        base_idx: i32,
    ) -> store::Result<Self> {
        let id = experiment.id;
        let is_there = usize::try_from(base_idx).is_ok_and(|idx| idx < experiment.spec.sources.len());
        let base_idx = if is_there { base_idx } else { 0 };
        let spec = &experiment.spec;
        let mut bases: Vec<i32> = (0..)
            .zip(&spec.sources)
            .filter_map(|(source_idx, _)| spec.stand_in(base_idx, source_idx))
            .collect();
        bases.sort_unstable();
        bases.dedup();
        let comparisons = store::comparisons::list_with(&mut *conn, viewer, id, &bases).await?;
        let overall = store::comparisons::list_overall_with(&mut *conn, viewer, id, &bases).await?;
        Ok(Self {
            queries: store::experiments::list_queries(&mut *conn, viewer, id).await?,
            prepared: store::sources::list_prepared(&mut *conn, viewer, id).await?,
            summaries: store::summaries::list(&mut *conn, viewer, id).await?,
            plans: store::plans::list_outlines(&mut *conn, viewer, id).await?,
            plan_texts: Vec::new(),
            segments: store::segments::list(&mut *conn, viewer, id).await?,
            interruptions: store::jobs::list_interruptions(&mut *conn, viewer, experiment.job.id).await?,
            taxes: store::taxes::list(&mut *conn, viewer, id).await?,
            look_counts: store::looks::count(&mut *conn, viewer, id).await?,
            looks: Vec::new(),
            base_idx,
            family: family::beside(spec, base_idx, &comparisons),
            overall: effect::overall_beside(spec, base_idx, &overall),
            experiment,
        })
    }

    /// Reads it compared with this source and with the texts of all plans, for a file that holds everything.
    pub async fn load_whole(
        conn: &mut PgConnection,
        viewer: Viewer,
        id: ExperimentId,
        base_idx: i32,
    ) -> store::Result<Option<Self>> {
        let Some(mut data) = Self::load_beside(&mut *conn, viewer, id, base_idx).await? else {
            return Ok(None);
        };
        data.plan_texts = store::plans::list_texts(&mut *conn, viewer, id, None).await?;
        data.load_looks(conn, viewer).await?;
        Ok(Some(data))
    }

    /// Reads what else went on, visit by visit: for whoever shows trials one by one.
    pub async fn load_looks(&mut self, conn: &mut PgConnection, viewer: Viewer) -> store::Result<()> {
        self.looks = store::looks::list(conn, viewer, self.experiment.id).await?;
        Ok(())
    }

    /// What was seen of the plan of one (query, source).
    pub fn plan(&self, query_idx: i32, source_idx: i32) -> Option<&PlanOutline> {
        let place = |plan: &PlanOutline| (plan.query_idx, plan.source_idx);
        let at = self.plans.binary_search_by_key(&(query_idx, source_idx), place).ok()?;
        self.plans.get(at)
    }

    /// The stored numbers of one (query, source).
    pub fn summary(&self, query_idx: i32, source_idx: i32) -> Option<&SummaryRecord> {
        let place = self
            .summaries
            .binary_search_by_key(&(query_idx, source_idx), |summary| {
                (summary.query_idx, summary.source_idx)
            });
        self.summaries.get(place.ok()?)
    }

    /// The numbers of its trials; where none were run because its plan was timed already, those of that source.
    pub fn timed(&self, query_idx: i32, source_idx: i32) -> Option<&SummaryRecord> {
        let summary = self.summary(query_idx, source_idx)?;
        match summary.same_plan_as {
            Some(stand_in) => self.summary(query_idx, stand_in),
            None => Some(summary),
        }
    }

    /// One (query, source) beside the baseline.
    pub fn compared(&self, query_idx: i32, source_idx: i32) -> Option<&Member> {
        let place = self
            .family
            .binary_search_by_key(&(query_idx, source_idx), |member| (member.query_idx, member.source_idx));
        self.family.get(place.ok()?)
    }

    /// What a source is compared with: the baseline, or what stands for it where the source ran. None where nothing does.
    pub fn base_of(&self, source_idx: i32) -> Option<i32> {
        self.experiment.spec.stand_in(self.base_idx, source_idx)
    }

    /// The label of what a source is compared with; empty where that is nothing.
    pub fn base_label(&self, source_idx: i32) -> &str {
        self.base_of(source_idx)
            .map_or("", |base_idx| self.source_label(base_idx))
    }

    /// What timeouts leave open of a comparison with the baseline.
    pub fn bound(&self, member: &Member) -> Bound {
        let summary = |source_idx: i32| self.summary(member.query_idx, source_idx);
        let base = self.base_of(member.source_idx).and_then(summary);
        member.bound(base, summary(member.source_idx))
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

    /// A query of the experiment.
    pub fn query(&self, query_idx: i32) -> Option<&ExperimentQuery> {
        self.queries.iter().find(|query| query.query_idx == query_idx)
    }

    /// The label of a query.
    pub fn query_label(&self, query_idx: i32) -> &str {
        self.query(query_idx).map_or("", |query| query.label.as_str())
    }

    /// The sources with their positions.
    pub fn sources(&self) -> impl Iterator<Item = (i32, &crate::model::experiment::SourceSpec)> {
        (0_i32..).zip(&self.experiment.spec.sources)
    }
}
