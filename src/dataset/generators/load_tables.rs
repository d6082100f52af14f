//! The tables that load tests generate: pgbench's four, as its documentation describes them, of any number of rows, and one
//! more for inserts.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::dataset::template;
use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::LoadRecord;
use crate::model::benchmark::Loading;
use crate::target::ServerError;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::names::SERVER_DATABASE;
use crate::target::registered::session::OwnSession;
use crate::target::role;
use crate::target::session::Admin;

/// Without keys: those are made when the rows are there, as pgbench does it.
const TABLES: &str = "\
create table pgbench_branches (bid integer not null, bbalance integer, filler char(88)) with (fillfactor = 100);
create table pgbench_tellers (tid integer not null, bid integer, tbalance integer, filler char(84)) with (fillfactor = 100);
create table pgbench_accounts (aid integer not null, bid integer, abalance integer, filler char(84)) with (fillfactor = 100);
create table pgbench_history (tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22));
create table pgassay_rows (id bigint generated always as identity primary key, client_id integer, value integer,
                           filler text);";

const KEYS: [&str; 3] = [
    "alter table pgbench_branches add primary key (bid)",
    "alter table pgbench_tellers add primary key (tid)",
    "alter table pgbench_accounts add primary key (aid)",
];

const VACUUM: &str =
    "vacuum (analyze) pgbench_branches, pgbench_tellers, pgbench_accounts, pgbench_history, pgassay_rows";

/// Of all tables with their indexes.
const SIZE: &str = "\
select pg_catalog.sum(pg_catalog.pg_total_relation_size(oid)) from pg_catalog.pg_class
where relkind = 'r' and relname in ('pgbench_branches', 'pgbench_tellers', 'pgbench_accounts', 'pgbench_history', 'pgassay_rows')
  and pg_catalog.pg_table_is_visible(oid)";

/// What a row of `pgbench_accounts` takes with its key: pgbench's documentation has 15 MB for 100,000 of them.
const BYTES_PER_ROW: u64 = 150;

/// How far loading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub n_rows: u64,
    pub of_rows: u64,
}

/// Makes the database of a benchmark in its sandbox, in place of what an earlier attempt left, and fills it. `tell` hears how
/// far it is behind each batch. None when it was stopped: then the database is not complete. An `Err` is a
/// [`Shortage`](crate::target::room::Shortage) when there is no room for it, or not any more.
pub async fn make<'a>(
    sandbox: &Sandbox,
    generated: GeneratedSpec,
    tell: impl Fn(Loaded) -> BoxFuture<'a, anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<LoadRecord>> {
    let (address, tenant) = (&sandbox.address, sandbox.tenant);
    sandbox
        .room
        .require(generated.table_rows.saturating_mul(BYTES_PER_ROW))?;
    template::create(address, tenant, None).await?;
    let name = clone::template_name(tenant);
    let mut server = Admin::connect(address, SERVER_DATABASE).await?;
    role::readmit(&mut server, &address.password, &name).await?;
    let mut session = OwnSession::open(&address.dial(&name)).await?;
    let tell = |loaded| {
        let (room, told) = (sandbox.room.require(0), tell(loaded));
        async move {
            room?;
            told.await
        }
        .boxed()
    };
    let filled = fill(&mut session, generated, tell, stop).await?;
    session.close().await;
    if filled.is_some() {
        clone::allow_connections(&mut server, &name, false).await?;
    }
    server.close().await;
    Ok(filled)
}

/// Makes the tables in the first schema of the session's search path, and fills them.
pub async fn fill<'a>(
    session: &mut OwnSession,
    generated: GeneratedSpec,
    tell: impl Fn(Loaded) -> BoxFuture<'a, anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<LoadRecord>> {
    session.run(TABLES).await.context("making tables")?;
    let started = Instant::now();
    let parts = parts(generated);
    let of_rows = parts.iter().map(|part| part.n_rows).sum();
    let mut n_rows = 0;
    for part in parts {
        let mut first = 1;
        while first <= part.n_rows {
            if stop.is_cancelled() {
                return Ok(None);
            }
            let last = part.n_rows.min(first + u64::from(generated.batch_size) - 1);
            send(session, &part, first, last, generated.loading)
                .await
                .with_context(|| format!("loading {}", part.table))?;
            n_rows += last + 1 - first;
            first = last + 1;
            tell(Loaded { n_rows, of_rows }).await?;
        }
    }
    let load_ms = started.elapsed().as_secs_f64() * 1000.0;
    let started = Instant::now();
    for sql in KEYS.iter().chain(&[VACUUM]) {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match session.run(sql).await {
            // Not every server that speaks the protocol cleans up on request.
            Err(error) if *sql == VACUUM && is_unknown(&error) => {}
            ran => ran.with_context(|| format!("running {sql}"))?,
        }
    }
    let finish_ms = started.elapsed().as_secs_f64() * 1000.0;
    let size = session
        .ask_if_told(SIZE)
        .await
        .context("asking for the size of the tables")?;
    Ok(Some(LoadRecord {
        n_rows,
        load_ms,
        finish_ms,
        size_bytes: size.and_then(|text| text.parse().ok()).unwrap_or(0),
    }))
}

/// Whether a server does not know such a statement: `feature_not_supported`, `syntax_error`.
fn is_unknown(error: &anyhow::Error) -> bool {
    let said = error.downcast_ref::<ServerError>();
    said.is_some_and(|said| ["0A000", "42601"].contains(&said.sqlstate.as_str()))
}

/// One table with its rows.
struct Part {
    table: &'static str,
    columns: &'static str,
    n_rows: u64,
    /// The values of row `n`, from 1, apart by the separator.
    write: fn(row: u64, separator: &str, text: &mut String),
}

fn parts(generated: GeneratedSpec) -> [Part; 3] {
    [
        Part {
            table: "pgbench_branches",
            columns: "bid, bbalance",
            n_rows: generated.n_branches(),
            write: |row, separator, text| push(text, format_args!("{row}{separator}0")),
        },
        Part {
            table: "pgbench_tellers",
            columns: "tid, bid, tbalance",
            n_rows: generated.n_tellers(),
            write: |row, separator, text| {
                let branch = (row - 1) / 10 + 1;
                push(text, format_args!("{row}{separator}{branch}{separator}0"));
            },
        },
        Part {
            table: "pgbench_accounts",
            columns: "aid, bid, abalance, filler",
            n_rows: generated.table_rows,
            write: |row, separator, text| {
                let branch = (row - 1) / GeneratedSpec::ROWS_PER_BRANCH + 1;
                let empty = if separator == "\t" { "" } else { "''" };
                push(
                    text,
                    format_args!("{row}{separator}{branch}{separator}0{separator}{empty}"),
                );
            },
        },
    ]
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all text");
}

/// Sends the rows from `first` to `last`, in one statement and so in one transaction.
async fn send(session: &mut OwnSession, part: &Part, first: u64, last: u64, loading: Loading) -> anyhow::Result<()> {
    let (table, columns) = (part.table, part.columns);
    let mut text = String::new();
    match loading {
        Loading::Copy => {
            for row in first..=last {
                (part.write)(row, "\t", &mut text);
                text.push('\n');
            }
            let statement = format!("copy {table} ({columns}) from stdin");
            session.copy_in(&statement, text.as_bytes()).await
        }
        Loading::Insert => {
            push(&mut text, format_args!("insert into {table} ({columns}) values "));
            for row in first..=last {
                text.push_str(if row == first { "(" } else { ", (" });
                (part.write)(row, ", ", &mut text);
                text.push(')');
            }
            session.run(&text).await
        }
    }
}
