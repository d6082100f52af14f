//! Which trials of a schedule are run: all of them, but for draws that repeat a plan, and for what cannot be observed.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::analysis::repeats;
use crate::analysis::repeats::Shape;
use crate::experiment::schedule;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PlanOutline;
use crate::model::ids::ExperimentId;
use crate::model::trial::Trial;
use crate::store;

/// The trials that are run, in order, once all plans are known: the schedule without what repeats the plan of an earlier
/// draw, and without asking what measuring costs of queries that write or were cut off. The same whenever it is asked, as long
/// as no query turns out to write.
pub async fn trials(conn: &mut PgConnection, id: ExperimentId, spec: &ExperimentSpec) -> store::Result<Vec<Trial>> {
    let mut all = schedule::schedule(spec);
    if spec.has_observer {
        let observable = store::plans::list_observable(conn, id, schedule::OBSERVED_SOURCE).await?;
        all = schedule::observing_only(all, spec, &observable);
    }
    if spec.sources.iter().all(|source| source.draw.is_none()) {
        return Ok(all);
    }
    let fingerprints = store::plans::list_fingerprints(conn, id).await?;
    let shapes = fingerprints.iter().map(|(source_idx, query_idx, fingerprint)| Shape {
        source_idx: *source_idx,
        query_idx: *query_idx,
        fingerprint: fingerprint.as_deref(),
    });
    Ok(schedule::without(all, &repeats::repeats(&spec.sources, shapes)))
}

/// For each (source, query) that was not timed, the earlier draw whose times stand for it.
pub fn stand_ins(spec: &ExperimentSpec, plans: &[PlanOutline]) -> BTreeMap<(i32, i32), i32> {
    let shapes = plans.iter().map(|plan| Shape {
        source_idx: plan.source_idx,
        query_idx: plan.query_idx,
        fingerprint: plan.fingerprint.as_deref(),
    });
    repeats::repeats(&spec.sources, shapes)
}
