//! Looks at the plan of every (query, source) once before anything is timed.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::experiment::lab::Lab;
use crate::experiment::work::Trouble;
use crate::experiment::writers;
use crate::model::experiment::PlanRecord;
use crate::model::job::Progress;
use crate::plan;
use crate::store::held::HeldJob;
use crate::store::plans;
use crate::target::execute::Health;
use crate::target::execute::Ran;
use crate::target::explain::READ_ONLY;
use crate::target::room::Watch;
use crate::target::session::Session;

/// Explains every pair that has not been explained yet, plainly and with ANALYZE, and keeps what it saw.
pub async fn explain_all(job: &HeldJob, lab: &mut Lab) -> Result<(), Trouble> {
    let done = {
        let mut conn = job.conn().await?;
        plans::list_done(&mut conn, lab.experiment_id).await?
    };
    let (n_sources, n_queries) = (lab.spec.sources.len(), lab.queries.len());
    let mut progress = Progress {
        total: (n_sources * n_queries) as u64,
        unit: "plans".to_owned(),
        ..Progress::default()
    };
    for source_idx in 0..n_sources {
        for query_idx in 0..n_queries {
            let pair = (
                i32::try_from(source_idx).context("few sources")?,
                i32::try_from(query_idx).context("few queries")?,
            );
            progress.done = (source_idx * n_queries + query_idx) as u64;
            if done.contains(&pair) {
                continue;
            }
            progress.detail = format!(
                "{} under {}",
                lab.queries[query_idx].label, lab.spec.sources[source_idx].label
            );
            job.set_progress("looking at plans", &progress).await?;
            let record = explain(lab, source_idx, query_idx, job.stop_token()).await?;
            let Some(record) = record else {
                return Err(Trouble::Stopped);
            };
            let mut conn = job.conn().await?;
            plans::upsert(
                &mut conn,
                &job.lease,
                lab.experiment_id,
                &PlanRecord {
                    source_idx: pair.0,
                    query_idx: pair.1,
                    ..record
                },
            )
            .await?;
        }
    }
    Ok(())
}

/// None when it was interrupted.
async fn explain(
    lab: &mut Lab,
    source_idx: usize,
    query_idx: usize,
    cancel: &CancellationToken,
) -> Result<Option<PlanRecord>, Trouble> {
    lab.swap_in(source_idx).await?;
    let (mut plain, mut analyzed) = look_under(lab, source_idx, query_idx, cancel).await?;
    if tried_to_write(&plain) || analyzed.as_ref().is_some_and(tried_to_write) {
        // A function in it writes: from now on it runs in clones of its own.
        lab.note_writer(query_idx);
        lab.swap_in(source_idx).await?;
        (plain, analyzed) = look_under(lab, source_idx, query_idx, cancel).await?;
    }
    let mut record = PlanRecord::default();
    match plain {
        Ran::Done(text) => record.explain = Some(text),
        Ran::Failed(error) => record.message = Some(error.message),
        Ran::TimedOut => record.message = Some("planning alone took longer than the timeout".to_owned()),
        Ran::Interrupted => return Ok(None),
    }
    match analyzed {
        None => {}
        Some(Ran::Done(text)) => record.analyzed = Some(text),
        Some(Ran::Failed(error)) => record.message = Some(error.message),
        Some(Ran::TimedOut) => {
            record.message = Some("it was cut off at the timeout, so its actual rows are not known".to_owned());
        }
        Some(Ran::Interrupted) => return Ok(None),
    }
    let record = with_numbers(record).context("reading the server's EXPLAIN")?;
    Ok(Some(record))
}

/// The same record with the numbers that follow from its texts. A pure function, so that anybody can compute them again.
pub fn with_numbers(record: PlanRecord) -> anyhow::Result<PlanRecord> {
    let plain = record.explain.as_deref().map(plan::parse).transpose()?;
    let analyzed = record.analyzed.as_deref().map(plan::parse).transpose()?;
    let errors = analyzed.as_ref().map(plan::q_error);
    Ok(PlanRecord {
        fingerprint: plain.as_ref().map(plan::fingerprint),
        cost: plain.as_ref().map(plan::Plan::cost).filter(|cost| cost.is_finite()),
        worst_q_error: errors.as_ref().and_then(|errors| errors.worst),
        mean_q_error: errors.as_ref().and_then(|errors| errors.mean),
        buffers: analyzed
            .as_ref()
            .and_then(plan::Plan::buffers)
            .and_then(|n| i64::try_from(n).ok()),
        estimates: errors.map(|errors| errors.nodes).unwrap_or_default(),
        ..record
    })
}

/// In a function that the query calls, or that is called already while it is planned.
fn tried_to_write(looked: &Ran<String>) -> bool {
    matches!(looked, Ran::Failed(error) if error.sqlstate == READ_ONLY)
}

/// Looks at one query in the clone that is right for it.
async fn look_under(
    lab: &mut Lab,
    source_idx: usize,
    query_idx: usize,
    cancel: &CancellationToken,
) -> Result<(Ran<String>, Option<Ran<String>>), Trouble> {
    let sql = lab
        .queries
        .get(query_idx)
        .context("a query of the experiment")?
        .sql
        .clone();
    let limit = lab.limit();
    let (plain, analyzed, health) = if lab.is_writer(query_idx) {
        let mut session = writers::open(lab, source_idx).await?;
        let watch = writers::watch(lab).await?;
        let looked = look(&mut session, watch, &sql, limit, cancel).await?;
        session.close().await;
        if looked.2 != Health::Stuck {
            writers::drop_writer(lab).await?;
        }
        looked
    } else {
        let watch = Watch::of_reading(&lab.sandbox()?.room);
        look(lab.session().await?, watch, &sql, limit, cancel).await?
    };
    if !matches!(analyzed, Some(Ran::Done(_))) {
        lab.doubt_statistics();
    }
    lab.recover(health).await?;
    Ok((plain, analyzed))
}

/// Plainly first: a query that times out has a plan too.
async fn look(
    session: &mut Session,
    mut watch: Watch,
    sql: &str,
    limit: std::time::Duration,
    cancel: &CancellationToken,
) -> anyhow::Result<(Ran<String>, Option<Ran<String>>, Health)> {
    let plain = session.explain(sql, limit, cancel).await?;
    if !matches!(plain, Ran::Done(_)) {
        return Ok((plain, None, session.health));
    }
    let stop = cancel.child_token();
    let analyzed = match watch.over(&stop, session.explain_analyzed(sql, limit, &stop)).await? {
        (Ran::Interrupted, Some(shortage)) => Ran::Failed(shortage.as_server_error()),
        (analyzed, _) => analyzed,
    };
    Ok((plain, Some(analyzed), session.health))
}
