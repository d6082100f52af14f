//! Checks a workload against a dataset: every query is prepared on the server, none is executed.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::TryFutureExt as _;
use tracing::error;

use crate::model::job::JobStatus;
use crate::model::job::Progress;
use crate::model::workload::CheckResult;
use crate::model::workload::CheckStatus;
use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::store;
use crate::store::held::HeldJob;
use crate::store::held::Parted;
use crate::store::held::StopReason;
use crate::store::queue;
use crate::store::queue::Interruption;
use crate::target::clone;
use crate::target::lease;
use crate::target::lease::Sandbox;
use crate::target::lease::Sandboxes;
use crate::target::prepare::Prepared;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::to_be_put_right;

/// Parsing and planning names takes milliseconds; a query that needs longer is broken in some new way.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs the check of a claimed job.
pub async fn run(job: HeldJob, sandboxes: &Sandboxes) -> Parted {
    match attempt(&job, sandboxes).await {
        Ok(()) => Parted::Over,
        Err(error) => job.part(|| conclude(&job, &error).map_err(Into::into).boxed()).await,
    }
}

/// Records why the check did not come to its end.
async fn conclude(job: &HeldJob, error: &anyhow::Error) -> store::Result<Parted> {
    let id = job.lease.job_id;
    match job.stop_reason() {
        Some(StopReason::LeaseLost) => Ok(Parted::Over),
        Some(StopReason::Requested) => job.settle(JobStatus::Cancelled, Some("Stopped on request.")).await,
        Some(StopReason::Shutdown) => job.release("waiting", &Interruption::Shutdown).await,
        None if lease::is_in_use(error) => job.release(lease::IN_USE, &Interruption::Busy).await,
        None => {
            error!(job.id = %id, "The check of job {id} failed: {error:#}");
            let sentence = to_be_put_right(error)
                .unwrap_or_else(|| format!("The check could not be made; the log says more under job {id}."));
            job.settle(JobStatus::Failed, Some(&sentence)).await
        }
    }
}

async fn attempt(job: &HeldJob, sandboxes: &Sandboxes) -> anyhow::Result<()> {
    let mut conn = job.conn().await?;
    let (workload_id, dataset_id) = store::checks::get_by_job(&mut conn, &job.lease)
        .await?
        .context("the job's pair")?;
    let dataset = store::datasets::get(&mut conn, job.viewer, dataset_id)
        .await?
        .context("the dataset")?;
    let queries = store::workloads::list_queries(&mut conn, job.viewer, workload_id).await?;
    drop(conn);
    if dataset.job.status != JobStatus::Completed || !sandboxes.is_there(dataset_id).await? {
        let sentence = format!(
            "The dataset {} is not ready, so nothing could be checked.",
            dataset.name
        );
        job.settle(JobStatus::Failed, Some(&sentence)).await?;
        return Ok(());
    }
    job.set_progress("starting its server", &Progress::default()).await?;
    let sandbox = sandboxes.start(dataset_id).await?;
    let checked = check_all(job, &sandbox, &dataset, &queries).await;
    sandbox.stop().await?;
    let results = checked?;
    let mut transaction = job.pool.begin().await?;
    store::checks::insert_results(&mut transaction, workload_id, dataset_id, &results).await?;
    if queue::settle(&mut transaction, &job.lease, JobStatus::Completed, None).await? {
        transaction.commit().await?;
    }
    Ok(())
}

async fn check_all(
    job: &HeldJob,
    sandbox: &Sandbox,
    dataset: &crate::model::dataset::Dataset,
    queries: &[Query],
) -> anyhow::Result<Vec<CheckResult>> {
    let desk = clone::desk_name(dataset.id);
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    if !clone::exists(&mut server, &desk).await? {
        clone::create(&mut server, &sandbox.room, &clone::template_name(dataset.id), &desk).await?;
    }
    server.close().await;
    let mut session = Session::connect(&sandbox.address, &desk, "pgassay check", &dataset.settings).await?;
    let total = queries.len() as u64;
    let mut results = Vec::new();
    for (done, query) in (0_u64..).zip(queries) {
        if query.class == QueryClass::Refused {
            continue;
        }
        anyhow::ensure!(job.stop_reason().is_none(), "the check was stopped");
        let progress = Progress {
            done,
            total,
            unit: "queries".into(),
            detail: query.label.clone(),
            n_rows: 0,
        };
        job.set_progress("checking", &progress).await?;
        results.push(match session.prepare(&query.sql, LIMIT, job.stop_token()).await? {
            Prepared::Ready => CheckResult {
                position: query.position,
                status: CheckStatus::Ready,
                message: None,
                line: None,
            },
            Prepared::Broken { message, position } => CheckResult {
                position: query.position,
                status: CheckStatus::Broken,
                message: Some(explained(message)),
                line: position.map(|position| query.line + lines_before(&query.sql, position)),
            },
            Prepared::Interrupted => anyhow::bail!("the check was stopped"),
        });
    }
    session.close().await;
    Ok(results)
}

/// The server's words, with what lies behind the one mistake that its words hide.
fn explained(message: String) -> String {
    if message.ends_with("at or near \":\"") {
        format!("{message}. Variables of psql are not supported; put a value in their place.")
    } else {
        message
    }
}

/// Line ends in front of a character position that counts from 1.
fn lines_before(sql: &str, position: usize) -> u64 {
    sql.chars()
        .take(position.saturating_sub(1))
        .filter(|c| *c == '\n')
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_position_becomes_a_line_of_the_query() {
        let sql = "select ä\nfrom\n  nowhere";
        for (position, lines) in [(1, 0), (8, 0), (9, 0), (10, 1), (17, 2), (0, 0), (999, 2)] {
            assert_eq!(lines_before(sql, position), lines, "{position}");
        }
    }
}
