//! Queries that write: each trial in a fresh clone, because even a rolled-back update leaves the table larger.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::experiment::lab::Access;
use crate::experiment::lab::Lab;
use crate::model::ids::ExperimentId;
use crate::model::trial::Outcome;
use crate::snapshot::park;
use crate::target::clone;
use crate::target::execute::Health;
use crate::target::execute::Ran;
use crate::target::explain::Timed;
use crate::target::lease::Sandbox;
use crate::target::room::Shortage;
use crate::target::room::Watch;
use crate::target::session::Admin;
use crate::target::session::Session;

/// Times a writing query under a source, in a clone that is made for it and dropped behind it.
pub async fn time(
    lab: &mut Lab,
    source_idx: usize,
    sql: &str,
    cancel: &CancellationToken,
) -> anyhow::Result<(Timed, Health)> {
    let mut session = open(lab, source_idx).await?;
    // Opened before the query is planned: nothing is to come between that and the trial.
    let (mut watch, stop) = (watch(lab).await?, cancel.child_token());
    // Untimed, to fill the catalog caches of the new session; the trial itself says what is wrong with the query.
    let planned = session.explain(sql, lab.limit(), cancel).await?;
    let timed = match (planned, session.health) {
        (Ran::Interrupted, _) => Timed::Interrupted,
        (_, Health::Alive) => {
            let timing = session.time(sql, lab.spec.clock, lab.limit(), &stop);
            unless_cut_off(watch.over(&stop, timing).await?)
        }
        // Planning alone has cost the session.
        (planned, Health::Gone | Health::Stuck) => Timed::Outcome(match planned {
            Ran::Failed(error) => Outcome::Failed {
                sqlstate: Some(error.sqlstate),
                message: error.message,
            },
            Ran::Done(_) | Ran::TimedOut | Ran::Interrupted => Outcome::TimedOut {
                limit_ms: lab.limit().as_secs_f64() * 1000.0,
            },
        }),
    };
    let health = session.health;
    session.close().await;
    if health != Health::Stuck {
        drop_clone(lab.sandbox()?, &clone::writer_name(lab.experiment_id)).await?;
    }
    Ok((timed, health))
}

/// What a statement came to over which something watched.
fn unless_cut_off((timed, shortage): (Timed, Option<Shortage>)) -> Timed {
    match (timed, shortage) {
        (Timed::Interrupted, Some(shortage)) => {
            let said = shortage.as_server_error();
            Timed::Outcome(Outcome::Failed {
                sqlstate: Some(said.sqlstate),
                message: said.message,
            })
        }
        (timed, _) => timed,
    }
}

/// Over a statement in the clone of a writing trial.
pub async fn watch(lab: &Lab) -> anyhow::Result<Watch> {
    let sandbox = lab.sandbox()?;
    let server = Admin::connect(&sandbox.address, "postgres").await?;
    Ok(Watch::of_writing(
        &sandbox.room,
        server,
        &clone::writer_name(lab.experiment_id),
    ))
}

/// A session in a fresh clone that has the statistics of a source in force.
pub async fn open(lab: &mut Lab, source_idx: usize) -> anyhow::Result<Session> {
    let base = clone::writer_base_name(lab.experiment_id, source_idx);
    let name = clone::writer_name(lab.experiment_id);
    let room = lab.sandbox()?.room.clone();
    lab.take_in_hand(source_idx);
    let mut server = Admin::connect(&lab.sandbox()?.address, "postgres").await?;
    if !clone::exists(&mut server, &base).await? {
        lab.swap_in(source_idx).await?;
        let (from, hidden) = (lab.database()?, lab.hidden()?);
        lab.leave_clone().await?;
        // Under another name first: a base that is there is complete.
        let draft = format!("{base}_new");
        clone::create(&mut server, &room, &from, &draft)
            .await
            .context("making the base of writing trials")?;
        if !hidden.is_empty() {
            // To the planner they are not there; here they are not there to what is written either.
            let mut admin = Admin::connect(&lab.sandbox()?.address, &draft).await?;
            park::retire_indexes(&mut admin, &hidden).await?;
            admin.close().await;
        }
        clone::rename(&mut server, &draft, &base).await?;
    }
    clone::create(&mut server, &room, &base, &name).await?;
    server.close().await;
    Ok(lab.open_session(&name, Access::ReadWrite).await?)
}

/// Drops the clone of the last writing trial.
pub async fn drop_writer(lab: &Lab) -> anyhow::Result<()> {
    drop_clone(lab.sandbox()?, &clone::writer_name(lab.experiment_id)).await
}

async fn drop_clone(sandbox: &Sandbox, name: &str) -> anyhow::Result<()> {
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    clone::drop(&mut server, name).await?;
    server.close().await;
    Ok(())
}

/// Drops every clone of an experiment.
pub async fn drop_clones(sandbox: &Sandbox, experiment_id: ExperimentId) -> anyhow::Result<()> {
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    let own = clone::experiment_name(experiment_id);
    let prefix = format!("{own}_");
    for name in clone::list(&mut server).await? {
        if name == own || name.starts_with(&prefix) {
            clone::drop(&mut server, &name).await?;
        }
    }
    server.close().await;
    Ok(())
}

/// Drops the clones of experiments that `keep` does not name, and those of instruments: none of them runs meanwhile, and
/// each makes its own anew.
pub async fn drop_orphans(sandbox: &Sandbox, keep: &[ExperimentId]) -> anyhow::Result<()> {
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    for name in clone::list(&mut server).await? {
        let id = name
            .strip_prefix("e_")
            .and_then(|rest| rest.split('_').next()?.parse().ok());
        let is_orphan = id.is_some_and(|id| !keep.contains(&id));
        if is_orphan || clone::is_made_anew(&name) {
            clone::drop(&mut server, &name).await?;
        }
    }
    server.close().await;
    Ok(())
}
