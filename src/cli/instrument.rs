//! `pgassay instrument`: instruments without the browser, by the same services.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::app::house::House;
use crate::cli::columns;
use crate::cli::columns::Side;
use crate::cli::working::LOOK_EVERY;
use crate::cli::working::ProgressLine;
use crate::cli::working::RunError;
use crate::cli::working::in_house;
use crate::cli::working::request_id;
use crate::config::HouseConfig;
use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::model::ids::InstrumentId;
use crate::model::instrument::InstrumentKind;
use crate::model::job::JobStatus;
use crate::model::text::for_terminal;
use crate::model::text::shorten;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::Sheet;

/// A question about plans.
#[derive(Debug, clap::Args)]
pub struct InstrumentArgs {
    #[command(subcommand)]
    task: TaskArgs,
}

#[derive(Debug, clap::Subcommand)]
enum TaskArgs {
    /// Find the columns whose statistics turn the plan under one source into the plan under another.
    Bisect {
        /// A finished experiment, by its number.
        #[arg(long)]
        experiment: String,
        /// One of its queries, by label.
        #[arg(long)]
        query: String,
        /// The source whose plan is to be changed, by label.
        #[arg(long)]
        from: String,
        /// The source whose statistics change it, by label.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        common: Common,
    },
    /// Draw samples again and again, and count how often each plan flips.
    Lottery {
        #[command(flatten)]
        place: PlaceArgs,
        /// Values of `default_statistics_target`, apart by commas.
        #[arg(long, default_value = "100")]
        targets: String,
        /// Draws at each target.
        #[arg(long, default_value_t = 50)]
        draws: u32,
        #[command(flatten)]
        common: Common,
    },
    /// Find the smallest statistics target of each column after which plans and estimates stop moving.
    Budget {
        #[command(flatten)]
        place: PlaceArgs,
        /// The targets to try, apart by commas; the largest is what the others are compared with.
        #[arg(long, default_value = "1,3,10,30,100,300,1000")]
        targets: String,
        /// By which factor the worst estimate of a plan may change before it counts.
        #[arg(long, default_value = "2")]
        tolerance: String,
        #[command(flatten)]
        common: Common,
    },
    /// Run every plan that any source of an experiment chose, and compare each choice with the best.
    Regret {
        /// A finished experiment, by its number.
        #[arg(long)]
        experiment: String,
        /// How often each plan runs, after one run to warm up.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        #[command(flatten)]
        common: Common,
    },
}

/// Where a question is asked.
#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// A restored dataset, by its number.
    #[arg(long)]
    dataset: String,
    /// A workload, by its number.
    #[arg(long)]
    workload: String,
    /// The limit of one statement: 500ms, 30s, 2m.
    #[arg(long, default_value = "60s")]
    timeout: String,
}

impl PlaceArgs {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("dataset", self.dataset.clone()),
            ("workload", self.workload.clone()),
            ("timeout", self.timeout.clone()),
        ]
    }
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the table as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    #[command(flatten)]
    house: HouseConfig,
}

impl TaskArgs {
    /// The fields of the form that the browser would send.
    fn fields(&self) -> (InstrumentKind, Vec<(&'static str, String)>, &Common) {
        match self {
            Self::Bisect {
                experiment,
                query,
                from,
                to,
                common,
            } => {
                let fields = vec![
                    ("experiment", experiment.clone()),
                    ("query", query.clone()),
                    ("from", from.clone()),
                    ("to", to.clone()),
                ];
                (InstrumentKind::Bisect, fields, common)
            }
            Self::Lottery {
                place,
                targets,
                draws,
                common,
            } => {
                let mut fields = place.fields();
                fields.push(("targets", targets.clone()));
                fields.push(("draws", draws.to_string()));
                (InstrumentKind::Lottery, fields, common)
            }
            Self::Budget {
                place,
                targets,
                tolerance,
                common,
            } => {
                let mut fields = place.fields();
                fields.push(("targets", targets.clone()));
                fields.push(("tolerance", tolerance.clone()));
                (InstrumentKind::Budget, fields, common)
            }
            Self::Regret {
                experiment,
                rounds,
                common,
            } => {
                let fields = vec![("experiment", experiment.clone()), ("rounds", rounds.to_string())];
                (InstrumentKind::Regret, fields, common)
            }
        }
    }
}

/// Runs an instrument and prints what it has found.
pub async fn run(args: InstrumentArgs) -> Result<(), RunError> {
    let (kind, fields, common) = args.task.fields();
    let request_id = request_id()?;
    let pairs = [("kind", kind.word().to_owned()), ("request_id", request_id)];
    let pairs = pairs.into_iter().chain(fields);
    let form = InstrumentForm::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value)));
    in_house(&common.house, async |house| {
        let launched = house.instruments.launch(house.viewer, &form).await;
        let id = launched.map_err(|error| match error {
            LaunchError::Refused(fields) => {
                let messages: Vec<String> = fields.into_iter().map(|field| field.message).collect();
                RunError::Arguments(messages.join("\n"))
            }
            LaunchError::Fault(error) => RunError::Failed(error),
        })?;
        wait(house, id).await?;
        let data = {
            let mut conn = house.pool.acquire().await.context("reaching the store")?;
            let data = InstrumentData::load(&mut conn, house.viewer, id).await;
            data.context("reading the answer")?.context("the run is there")?
        };
        for (path, bytes) in [(&common.json, data.to_json()?), (&common.csv, data.to_csv()?)] {
            if let Some(path) = path {
                std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        print(&data.sheet()?)?;
        if let Some(headline) = &data.instrument.headline {
            println!("\n{}", for_terminal(headline));
        }
        if data.instrument.job.status != JobStatus::Completed {
            let message = data.instrument.job.message.unwrap_or_default();
            return Err(anyhow::anyhow!("{message}").into());
        }
        Ok(())
    })
    .await
}

async fn wait(house: &House, id: InstrumentId) -> anyhow::Result<()> {
    let mut progress = ProgressLine::new();
    loop {
        let instrument = house.instruments.get(house.viewer, id).await?;
        let job = instrument.context("the run is gone")?.job;
        match job.status {
            JobStatus::Queued | JobStatus::Running => {
                let text = format!("{} {}", job.stage, job.progress.detail);
                progress.show(&text, job.progress.done, job.progress.total);
            }
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => {
                progress.clear();
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The longest cell that a terminal gets whole; files have all of it.
const CELL: usize = 60;

fn print(sheet: &Sheet) -> anyhow::Result<()> {
    let heads = sheet.heads.iter().map(|head| head.replace('_', " ")).collect();
    let mut lines: Vec<Vec<String>> = vec![heads];
    let cells = |row: &Vec<String>| row.iter().map(|cell| shown(cell)).collect();
    lines.extend(sheet.rows.iter().map(cells));
    columns::print(&lines, |_| Side::Left)?;
    Ok(())
}

/// Files have all digits of a fraction, a terminal has room for four.
fn shown(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) if cell.contains('.') => format!("{number:.4}"),
        _ => shorten(&for_terminal(cell), CELL),
    }
}
