//! The command line: serve, run, bundle, verify, rerun, doctor, sample.

mod bundle;
mod doctor;
mod rerun;
mod run;
mod sample;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::app::serve;
use crate::app::telemetry;
use crate::config::HouseConfig;
use crate::config::WebConfig;
use crate::model::text::for_terminal;

/// The lab bench for PostgreSQL: which planner statistics change which plans, by how much, and how sure that is.
#[derive(Debug, Parser)]
#[command(name = "pgassay", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages and work on what is queued.
    Serve {
        #[command(flatten)]
        house: HouseConfig,
        #[command(flatten)]
        web: WebConfig,
    },
    /// Run one experiment from files to numbers, without a browser.
    Run(Box<run::RunArgs>),
    /// Write a finished experiment as one file: settings, queries, statistics, plans, trials and numbers.
    Bundle(bundle::BundleArgs),
    /// Compute every number of a bundle again from its trials and plans, and name those that differ. Exits with 1 if any
    /// does. Needs neither a server nor a data directory.
    Verify(bundle::VerifyArgs),
    /// Measure again what a bundle holds, on the same dump, under the same planner statistics and in the same order.
    Rerun(Box<rerun::RerunArgs>),
    /// Say what this machine has, and what to do about what it has not.
    Doctor {
        #[command(flatten)]
        house: HouseConfig,
    },
    /// Write the sample dump, at any size.
    Sample(sample::SampleArgs),
}

/// Runs the command of this process. Exit codes: 0 done, 1 failed, 2 bad arguments.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve { house, web } => {
            telemetry::start(None);
            serve::serve(&house, &web).await
        }
        Command::Run(args) => {
            telemetry::start(Some("warn,sqlx::postgres::notice=off"));
            match run::run(*args).await {
                Ok(()) => Ok(()),
                Err(error) => return code_of(error),
            }
        }
        Command::Bundle(args) => {
            telemetry::start(Some("warn,sqlx::postgres::notice=off"));
            bundle::bundle(&args).await
        }
        Command::Rerun(args) => {
            telemetry::start(Some("warn,sqlx::postgres::notice=off"));
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
            return if doctor::doctor(&house).await {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        Command::Sample(args) => sample::sample(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => code_of(run::RunError::Failed(error)),
    }
}

/// Says what is wrong, and whether it is the arguments.
fn code_of(error: run::RunError) -> ExitCode {
    match error {
        run::RunError::Arguments(message) => {
            eprintln!("pgassay: {}", for_terminal(&message));
            ExitCode::from(2)
        }
        run::RunError::Failed(error) => {
            eprintln!("pgassay: {}", for_terminal(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
