//! `pgassay bench`: a benchmark without the browser, by the same services.

mod args;
mod following;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::house::House;
use crate::app::serve;
use crate::benchmark::form::BenchmarkForm;
use crate::cli::bench::args::Wish;
use crate::cli::columns;
use crate::cli::columns::Side;
use crate::cli::working::RunError;
use crate::cli::working::in_house_to_the_end;
use crate::cli::working::request_id;
use crate::cli::working::signalled;
use crate::experiment::service::LaunchError;
use crate::model::benchmark::Benchmark;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::model::text::for_terminal;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::levels;
use crate::report::benchmark::percentiles::Percentiles;
use crate::store;

pub use self::args::BenchArgs;

/// How a benchmark ends that was not in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// A level did not keep to it.
    ObjectiveMissed,
    /// By somebody, before its end.
    Stopped,
}

impl Ended {
    pub fn code(self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::ObjectiveMissed => ExitCode::from(3),
            Self::Stopped => ExitCode::from(4),
        }
    }

    fn of(benchmark: &Benchmark) -> Result<Self, RunError> {
        match benchmark.job.status {
            JobStatus::Completed if benchmark.is_met == Some(false) => Ok(Self::ObjectiveMissed),
            JobStatus::Completed => Ok(Self::Well),
            JobStatus::Cancelled => Ok(Self::Stopped),
            JobStatus::Queued | JobStatus::Running | JobStatus::Failed => {
                let message = benchmark.job.message.clone().unwrap_or_default();
                Err(RunError::Failed(anyhow::anyhow!("{message}")))
            }
        }
    }
}

/// Runs a benchmark, says every second how it goes, and prints its levels.
pub async fn run(args: BenchArgs) -> Result<Ended, RunError> {
    args.files.check()?;
    // Before anything is started: what is wrong with the arguments has nothing to do with the store.
    let wish = args.wish()?;
    in_house_to_the_end(&args.house, async |house| {
        let launched = tokio::select! {
            launched = launch(house, &wish) => launched,
            left = signalled() => Err(left),
        };
        let id = launched?;
        let data = follow(house, id, &args).await?;
        print(&data)?;
        args.files.write(&data)?;
        Ended::of(&data.benchmark)
    })
    .await
}

async fn launch(house: &House, wish: &Wish) -> Result<BenchmarkId, RunError> {
    let mut form = wish.form.clone();
    form.request_id = request_id()?;
    name_things(house, wish, &mut form).await?;
    let launched = house.benchmarks.launch(house.viewer, &form).await;
    launched.map_err(|error| match error {
        LaunchError::Refused(fields) => args::refusal(fields),
        LaunchError::Fault(error) => RunError::Failed(error),
    })
}

/// Puts the numbers of the dataset and the workload into the form, which were given by their names or numbers.
async fn name_things(house: &House, wish: &Wish, form: &mut BenchmarkForm) -> Result<(), RunError> {
    let mut conn = house.pool.acquire().await.context("reaching the store")?;
    if let Some(given) = &wish.dataset {
        let known = store::datasets::list(&mut conn, house.viewer).await;
        let known = known.context("reading the datasets")?.into_iter();
        let known = known.map(|dataset| (dataset.id.to_string(), dataset.name));
        form.dataset = args::find("dataset", given, &known.collect::<Vec<_>>())?;
    }
    if let Some(given) = &wish.workload {
        let known = store::workloads::list(&mut conn, house.viewer).await;
        let known = known.context("reading the workloads")?.into_iter();
        let known = known.map(|workload| (workload.id.to_string(), workload.name));
        form.workload = args::find("workload", given, &known.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Follows a benchmark to its end. The first signal stops it in order, so that what was measured is kept; the second does
/// not wait for that.
async fn follow(house: &House, id: BenchmarkId, args: &BenchArgs) -> Result<BenchmarkData, RunError> {
    let following = following::follow(house, id, args.quiet);
    tokio::pin!(following);
    tokio::select! {
        followed = &mut following => followed?,
        signal = serve::stop_signal() => {
            eprintln!("{} received: stopping; what was measured is kept.", signal?);
            let stopped = house.benchmarks.stop(house.viewer, id).await;
            stopped.context("asking the benchmark to stop")?;
            tokio::select! {
                followed = following => followed?,
                left = signalled() => return Err(left),
            }
        }
    }
    let mut conn = house.pool.acquire().await.context("reaching the store")?;
    let data = BenchmarkData::load(&mut conn, house.viewer, id).await?;
    Ok(data.context("the benchmark is there")?)
}

fn print(data: &BenchmarkData) -> anyhow::Result<()> {
    let percentiles = Percentiles::default();
    let has_sources = !data.benchmark.spec.sources.is_empty();
    let mut heads: Vec<String> = vec!["clients".to_owned()];
    heads.extend(has_sources.then(|| "source".to_owned()));
    heads.extend(["operations", "per second", "mean ms"].map(str::to_owned));
    heads.extend(percentiles.labels().into_iter().map(|label| format!("{label} ms")));
    heads.extend(["max ms", "errors", "rate", ""].map(str::to_owned));
    let last = heads.len() - 1;
    let mut lines = vec![heads];
    for row in levels::rows(data, &percentiles) {
        let mut line = vec![row.n_clients.to_string()];
        line.extend(has_sources.then(|| for_terminal(&row.source.unwrap_or_default())));
        line.extend([row.operations.shown, row.throughput.shown, row.mean.shown]);
        line.extend(row.percentiles.into_iter().map(|figure| figure.shown));
        line.extend([row.max.shown, row.errors.shown, row.error_rate.shown]);
        line.push(for_terminal(&row.remarks.join(" ")));
        lines.push(line);
    }
    columns::print(&lines, |column| match column {
        1 if has_sources => Side::Left,
        column if column == last => Side::Left,
        _ => Side::Right,
    })?;
    for uncounted in data.uncounted() {
        println!("{}", for_terminal(&uncounted));
    }
    if let Some(headline) = &data.benchmark.headline {
        println!("\n{}", for_terminal(headline));
    }
    let spec = &data.benchmark.spec;
    println!("Benchmark {}, seed {}.", data.benchmark.id, spec.seed);
    Ok(())
}
