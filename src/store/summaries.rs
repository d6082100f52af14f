//! Summaries: computed once, when an experiment settles.

use sqlx::PgConnection;

use crate::model::experiment::NoiseGrade;
use crate::model::experiment::SummaryRecord;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::store::Result;

/// Replaces the summaries of an experiment. The caller settles the job in the same transaction.
pub async fn replace(conn: &mut PgConnection, id: ExperimentId, summaries: &[SummaryRecord]) -> Result<()> {
    sqlx::query!("delete from summaries where experiment_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for summary in summaries {
        sqlx::query!(
            "insert into summaries (experiment_id, source_idx, query_idx, n, n_finished, n_timed_out, n_failed,
                                    mean_ms, stddev_ms, median_ms, median_is_above, min_ms, min_is_above,
                                    p95_ms, p95_is_above, low_ms, low_is_above, high_ms, high_is_above,
                                    relative_deviation, noise, n_outliers, planning_ms, cost, plan_letter, message,
                                    same_plan_as)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                     $22, $23, $24, $25, $26, $27)",
            id.0,
            summary.source_idx,
            summary.query_idx,
            summary.n,
            summary.n_finished,
            summary.n_timed_out,
            summary.n_failed,
            summary.mean_ms,
            summary.stddev_ms,
            summary.median_ms,
            summary.median_is_above,
            summary.min_ms,
            summary.min_is_above,
            summary.p95_ms,
            summary.p95_is_above,
            summary.low_ms,
            summary.low_is_above,
            summary.high_ms,
            summary.high_is_above,
            summary.relative_deviation,
            summary.noise as Option<NoiseGrade>,
            summary.n_outliers,
            summary.planning_ms,
            summary.cost,
            summary.plan_letter,
            summary.message,
            summary.same_plan_as,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The summaries of a settled experiment by query, then source; empty before.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<SummaryRecord>> {
    sqlx::query_as!(
        SummaryRecord,
        r#"select s.source_idx, s.query_idx, s.n, s.n_finished, s.n_timed_out, s.n_failed, s.mean_ms, s.stddev_ms,
                s.median_ms, s.median_is_above, s.min_ms, s.min_is_above, s.p95_ms, s.p95_is_above,
                s.low_ms, s.low_is_above, s.high_ms, s.high_is_above, s.relative_deviation,
                s.noise as "noise: NoiseGrade", s.n_outliers, s.planning_ms, s.cost, s.plan_letter, s.message,
                s.same_plan_as
         from summaries s join experiments e on e.id = s.experiment_id
         where s.experiment_id = $1 and may_see($2, e)
         order by s.query_idx, s.source_idx"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}
