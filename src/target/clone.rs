//! Databases of a sandbox: the pristine template and its clones. All names are those that the sandbox uses itself;
//! [`names`](crate::target::names) knows what they are on the server.

use anyhow::Context as _;

use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::sql::ident;
use crate::target::names::Tenant;
use crate::target::role;
use crate::target::room::Room;
use crate::target::session::Admin;

/// The pristine database of a dataset, or the loaded one of a benchmark; it takes no connections.
pub fn template_name(tenant: impl Into<Tenant>) -> String {
    format!("t_{}", tenant.into())
}

/// The clone for checks.
pub fn desk_name(dataset_id: DatasetId) -> String {
    format!("d_{dataset_id}")
}

/// The clone that most sources of an experiment share, in which their snapshots are swapped.
pub fn experiment_name(experiment_id: ExperimentId) -> String {
    format!("e_{experiment_id}")
}

/// A clone of an experiment in which a source changes more than statistics.
pub fn annex_name(experiment_id: ExperimentId, number: u32) -> String {
    format!("e_{experiment_id}_annex_{number}")
}

/// The clone of a run of an instrument. It is made anew whenever the run goes on.
pub fn instrument_name(instrument_id: InstrumentId) -> String {
    format!("{INSTRUMENT_PREFIX}{instrument_id}")
}

/// Whether a database is a clone of an instrument or of a benchmark, which make theirs anew whenever they go on: one that is
/// found is of no use to anybody.
pub fn is_made_anew(name: &str) -> bool {
    name.starts_with(INSTRUMENT_PREFIX) || name.starts_with(BENCHMARK_PREFIX)
}

const INSTRUMENT_PREFIX: &str = "i_";

/// What the levels of a benchmark are cloned from under one source, or, without sources, at all.
pub fn benchmark_base_name(benchmark_id: BenchmarkId, source_idx: i32) -> String {
    format!("{BENCHMARK_PREFIX}{benchmark_id}_base_{source_idx}")
}

/// The clone that a level of a benchmark runs in.
pub fn level_name(benchmark_id: BenchmarkId) -> String {
    format!("{BENCHMARK_PREFIX}{benchmark_id}_level")
}

/// A clone in which a source of a benchmark is prepared, dropped behind it.
pub fn benchmark_scratch_name(benchmark_id: BenchmarkId) -> String {
    format!("{BENCHMARK_PREFIX}{benchmark_id}_scratch")
}

const BENCHMARK_PREFIX: &str = "b_";

/// What a writing trial's clone is made from: the experiment's clone with one source's statistics in place.
pub fn writer_base_name(experiment_id: ExperimentId, source_idx: usize) -> String {
    format!("e_{experiment_id}_base_{source_idx}")
}

/// The clone of one writing trial.
pub fn writer_name(experiment_id: ExperimentId) -> String {
    format!("e_{experiment_id}_writer")
}

/// A clone in which a source of an experiment is prepared, dropped behind it.
pub fn scratch_name(experiment_id: ExperimentId) -> String {
    format!("e_{experiment_id}_scratch")
}

/// Below it, copying through the log takes less than the two checkpoints that copying files needs.
const WAL_LOG_BELOW_BYTES: i64 = 128 << 20;

/// Copies the database `from`, to which nobody may be connected, as `to`, if there is room for it. A copy inherits neither
/// rights nor settings, so the role's rights are given again.
pub async fn create(admin: &mut Admin, room: &Room, from: &str, to: &str) -> anyhow::Result<()> {
    drop(admin, to).await?;
    let size_bytes = size_bytes(admin, from).await?;
    room.require(size_bytes.unsigned_abs())?;
    let strategy = if size_bytes < WAL_LOG_BELOW_BYTES {
        "wal_log"
    } else {
        "file_copy"
    };
    let (template, clone) = (quoted(admin, from), quoted(admin, to));
    admin
        .run(format!(
            "create database {clone} template {template} strategy {strategy} connection limit 0"
        ))
        .await
        .with_context(|| format!("cloning {from}"))?;
    admin.run(role::grants(&admin.names, to)).await
}

/// Refuses, by an `Err` that is a [`Shortage`](crate::target::room::Shortage), when so many copies of a database have no room.
pub async fn require_room(admin: &mut Admin, room: &Room, from: &str, n_copies: u64) -> anyhow::Result<()> {
    let size_bytes = size_bytes(admin, from).await?;
    room.require(size_bytes.unsigned_abs().saturating_mul(n_copies))
}

async fn size_bytes(admin: &mut Admin, name: &str) -> anyhow::Result<i64> {
    sqlx::query_scalar("select pg_catalog.pg_database_size($1::text::name)")
        .bind(admin.names.on_server(name))
        .fetch_one(&mut admin.conn)
        .await
        .context("asking for the size of a database")
}

/// Drops a database and every session in it, if it is there.
pub async fn drop(admin: &mut Admin, name: &str) -> anyhow::Result<()> {
    let name = quoted(admin, name);
    admin.run(format!("drop database if exists {name} with (force)")).await
}

/// Opens or closes a database to connections.
pub async fn allow_connections(admin: &mut Admin, name: &str, allowed: bool) -> anyhow::Result<()> {
    let name = quoted(admin, name);
    admin
        .run(format!("alter database {name} with allow_connections {allowed}"))
        .await
}

/// Whether a database of this name is there.
pub async fn exists(admin: &mut Admin, name: &str) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar("select exists (select from pg_catalog.pg_database where datname = $1)")
        .bind(admin.names.on_server(name))
        .fetch_one(&mut admin.conn)
        .await?;
    Ok(found)
}

/// Every database of the sandbox: templates and clones.
pub async fn list(admin: &mut Admin) -> anyhow::Result<Vec<String>> {
    let on_server: Vec<String> = sqlx::query_scalar("select datname::text from pg_catalog.pg_database order by 1")
        .fetch_all(&mut admin.conn)
        .await?;
    let names = on_server.iter().filter_map(|name| admin.names.in_sandbox(name));
    Ok(names.map(str::to_owned).collect())
}

/// Gives a database another name.
pub async fn rename(admin: &mut Admin, from: &str, to: &str) -> anyhow::Result<()> {
    admin
        .run(format!(
            "alter database {} rename to {}",
            quoted(admin, from),
            quoted(admin, to)
        ))
        .await
}

fn quoted(admin: &Admin, name: &str) -> String {
    ident::quote(&admin.names.on_server(name))
}
