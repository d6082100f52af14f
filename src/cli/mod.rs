//! The command line: serve, worker, run, bench, server, instrument, bundle, verify, rerun, backup, restore, admin, doctor,
//! sample, snapshot, openapi.

mod admin;
mod backup;
mod bench;
mod bundle;
mod columns;
mod doctor;
mod following;
mod instrument;
mod rerun;
mod results;
mod run;
mod sample;
mod server;
mod snapshot;
mod working;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use clap::Subcommand;
use tracing::error;

use crate::app::serve;
use crate::app::telemetry;
use crate::app::without_pages;
use crate::cli::working::RunError;
use crate::config::HouseConfig;
use crate::config::LogConfig;
use crate::config::LogFormat;
use crate::config::WebConfig;
use crate::model::text::for_terminal;
use crate::target::open_files;
use crate::web;

/// The lab bench for PostgreSQL: which planner statistics change which plans, by how much, and how sure that is.
#[derive(Debug, Parser)]
#[command(name = "pgassay", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogConfig,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages and work on what is queued.
    Serve {
        #[command(flatten)]
        house: Box<HouseConfig>,
        #[command(flatten)]
        web: Box<WebConfig>,
    },
    /// Take work from a store that others use too, without pages: make shares of the load of their benchmarks, and, where
    /// PostgreSQL's programs are, do any job that can be done from this data directory: work on its datasets, benchmarks
    /// that need none, and restores of dumps that lie where `PGASSAY_FILES` says.
    Worker {
        #[command(flatten)]
        house: HouseConfig,
    },
    /// Run one experiment from files to numbers, without a browser.
    Run(Box<run::RunArgs>),
    /// Put a database under load: some numbers of clients, one after the other. Exits with 0 when all levels have ended
    /// and kept to the objective, if there is one; with 3 when one did not, and with 4 when it was stopped.
    Bench(Box<bench::BenchArgs>),
    /// Registered servers, to be put under load: add, list, test, remove.
    Server(Box<server::ServerArgs>),
    /// Ask a question about plans that is answered by trying, of what the data directory holds.
    Instrument(Box<instrument::InstrumentArgs>),
    /// Write a finished experiment as one file: settings, queries, statistics, plans, trials and numbers.
    Bundle(bundle::BundleArgs),
    /// Compute every number of a bundle again from its trials and plans, and name those that differ. Exits with 1 if any
    /// does. Needs neither a server nor a data directory.
    Verify(bundle::VerifyArgs),
    /// Measure again what a bundle holds, on the same dump, under the same planner statistics and in the same order.
    Rerun(Box<rerun::RerunArgs>),
    /// Write the store and the files that cannot be made anew as one file, while pgassay runs or while it does not. The key
    /// file is in it, so keep it as you keep that.
    Backup(backup::BackupArgs),
    /// Make a data directory and a store of a backup. Both are empty, or not there yet.
    Restore(backup::RestoreArgs),
    /// Accounts, where nobody has to be signed in: make an admin, set a password.
    Admin(admin::AdminArgs),
    /// Say what this machine has, and what to do about what it has not.
    Doctor {
        #[command(flatten)]
        house: HouseConfig,
    },
    /// Write the sample dump, at any size.
    Sample(sample::SampleArgs),
    /// Get planner statistics out of a server.
    Snapshot(snapshot::SnapshotArgs),
    /// Print the description of the API, in JSON.
    Openapi,
}

/// Runs the command of this process. Exit codes: 0 done, 1 failed, 2 bad arguments; a benchmark has two more.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli.log;
    // Where it cannot be raised there are fewer clients, and forms and `doctor` say how many.
    let files_before = open_files::raise().ok();
    let result = match cli.command {
        Command::Serve { house, web } => {
            telemetry::start(None, log);
            return ended(serve::serve(&house, &web).await, log);
        }
        Command::Worker { house } => {
            telemetry::start(None, log);
            if house.database_url().is_none() {
                return code_of(RunError::Arguments(without_pages::NO_STORE.to_owned()));
            }
            return ended(without_pages::work(&house).await, log);
        }
        Command::Run(args) => {
            telemetry::start(Some(QUIET), log);
            match run::run(*args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Bench(args) => {
            telemetry::start(Some(QUIET), log);
            return match bench::run(*args).await {
                Ok(ended) => ended.code(),
                Err(error) => code_of(error),
            };
        }
        Command::Server(args) => {
            telemetry::start(Some(QUIET), log);
            match server::server(*args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Instrument(args) => {
            telemetry::start(Some(QUIET), log);
            match instrument::run(*args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Bundle(args) => {
            telemetry::start(Some(QUIET), log);
            bundle::bundle(&args).await
        }
        Command::Backup(args) => {
            telemetry::start(Some(QUIET), log);
            backup::back_up(&args).await
        }
        Command::Restore(args) => {
            telemetry::start(Some(QUIET), log);
            backup::restore(&args).await
        }
        Command::Admin(args) => {
            telemetry::start(Some(QUIET), log);
            match admin::admin(args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Rerun(args) => {
            telemetry::start(Some(QUIET), log);
            match rerun::rerun(*args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Verify(args) => match bundle::verify(&args) {
            Ok(bundle::Verdict::AllFollow) => Ok(()),
            Ok(bundle::Verdict::SomeDiffer) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Command::Doctor { house } => {
            return if doctor::doctor(&house, files_before).await {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        Command::Sample(args) => sample::sample(&args),
        Command::Snapshot(args) => snapshot::snapshot(args).await,
        Command::Openapi => openapi(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => code_of(RunError::Failed(error)),
    }
}

fn openapi() -> anyhow::Result<()> {
    let text = web::openapi().to_pretty_json().context("writing the description")?;
    writeln!(std::io::stdout(), "{text}").context("writing the description")
}

/// How a process ends that logs for as long as it runs: its last word stands where the others do, and as they do.
fn ended(result: anyhow::Result<()>, log: LogConfig) -> ExitCode {
    match (result, log.log_format) {
        (Ok(()), _) => ExitCode::SUCCESS,
        (Err(error), LogFormat::Json) => {
            error!("pgassay ends: {error:#}");
            ExitCode::FAILURE
        }
        (Err(error), LogFormat::Text) => code_of(RunError::Failed(error)),
    }
}

/// Says what is wrong, and whether it is the arguments.
fn code_of(error: RunError) -> ExitCode {
    match error {
        RunError::Arguments(message) => {
            eprintln!("pgassay: {}", for_terminal(&message));
            ExitCode::from(2)
        }
        RunError::Failed(error) => {
            eprintln!("pgassay: {}", for_terminal(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// What commands log whose answer is what they print.
const QUIET: &str = "warn,sqlx::postgres::notice=off";
