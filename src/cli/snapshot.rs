//! `pgassay snapshot export`: planner statistics out of a server that somebody else runs.

use std::io::IsTerminal as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;

use crate::model::text::for_terminal;
use crate::model::units::counted;
use crate::snapshot::export;

#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SnapshotCommand {
    /// Write the planner statistics of a database as JSON, for the source `imported`.
    ///
    /// Any role that may read the columns can do this; what it may not see is listed. Only catalogs are read. The file
    /// holds most common values and histogram bounds, which are data of the tables: treat it as confidential.
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// The database: `postgres://user:password@host/name`. A password is better kept in PGPASSWORD or ~/.pgpass.
    #[arg(long)]
    url: String,
    /// Only this schema; may be given several times.
    #[arg(long = "schema")]
    schemas: Vec<String>,
    /// Where to write; standard output when not given.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Runs the command.
pub async fn snapshot(args: SnapshotArgs) -> anyhow::Result<()> {
    match args.command {
        SnapshotCommand::Export(args) => export(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let options = PgConnectOptions::from_str(&args.url).context("reading --url")?;
    let mut file = export::export(options).await?;
    for schema in &args.schemas {
        let is_there = file.relations.iter().any(|relation| relation.schema == *schema);
        anyhow::ensure!(is_there, "There is no schema {schema} with tables in this database.");
    }
    if !args.schemas.is_empty() {
        file.retain_schemas(&args.schemas);
    }
    let mut json = serde_json::to_vec(&file)?;
    json.push(b'\n');
    match &args.output {
        Some(path) => std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?,
        None => std::io::stdout().lock().write_all(&json)?,
    }
    eprintln!(
        "Exported {} of columns, and the sizes of {}.",
        counted(file.columns.len() as u64, "row of statistics", "rows of statistics"),
        counted(file.relations.len() as u64, "relation", "relations"),
    );
    if !file.unseen.is_empty() {
        eprintln!("Not exported:");
    }
    for unseen in &file.unseen {
        eprintln!(
            "  {}",
            for_terminal(&format!("{}: {}", unseen.full_name(), unseen.reason))
        );
    }
    if args.output.is_none() && std::io::stdout().is_terminal() {
        eprintln!("Put `> statistics.json` behind the command to keep it.");
    }
    Ok(())
}
