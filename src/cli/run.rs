//! `pgassay run`: a whole experiment without the browser, by the same services.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::app::house::House;
use crate::cli::following::follow;
use crate::cli::results::ResultFiles;
use crate::cli::working::RunError;
use crate::cli::working::in_house;
use crate::cli::working::request_id;
use crate::config::HouseConfig;
use crate::dataset::statistics_file::Arrived;
use crate::experiment::form::ExperimentForm;
use crate::model::ids::DatasetId;
use crate::model::text::for_terminal;
use crate::source;
use crate::store;
use crate::workload::service::NewScript;

/// One experiment from files to numbers.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The dump: plain SQL, custom or tar archive, also compressed by gzip or zstd.
    #[arg(long)]
    dump: PathBuf,
    /// The queries, each ended by a semicolon; `-- name: label` in front of one names it.
    #[arg(long)]
    queries: PathBuf,
    /// A source of statistics, `name` or `name:parameter=value,...`; may be given several times.
    #[arg(long = "source", required = true)]
    sources: Vec<String>,
    /// A file with a script of settings, indexes and statistics objects, which becomes a source `custom_sql` in a copy of the
    /// dataset of its own, behind the others; may be given several times. Without a line `-- name: ...` it is called as
    /// its file.
    #[arg(long = "script")]
    scripts: Vec<PathBuf>,
    /// Measure the first source twice, with the same statistics: what differs between the two is noise.
    #[arg(long)]
    control: bool,
    /// When all else is measured, run every query plain, with TIMING OFF and with TIMING ON: what measuring itself costs.
    #[arg(long)]
    observer: bool,
    /// Measured rounds.
    #[arg(long, default_value_t = 10)]
    iterations: u32,
    /// Rounds in front that are not summarised.
    #[arg(long, default_value_t = 1)]
    warmup: u32,
    /// Decides the order of trials; drawn when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Which clock times are read from.
    #[arg(long, default_value = "server")]
    clock: String,
    /// The limit of one trial: 500ms, 30s, 2m.
    #[arg(long, default_value = "60s")]
    timeout: String,
    /// randomized, or sequential to see the bias that it causes.
    #[arg(long, default_value = "randomized")]
    order: String,
    #[command(flatten)]
    files: ResultFiles,
    #[command(flatten)]
    house: HouseConfig,
}

/// Runs an experiment and prints its table.
pub async fn run(args: RunArgs) -> Result<(), RunError> {
    for file in [&args.dump, &args.queries] {
        if !file.is_file() {
            return Err(RunError::Arguments(format!("There is no file {}.", file.display())));
        }
    }
    args.files.check()?;
    let scripts = read_scripts(&args.scripts)?;
    // Before anything is started: what is wrong with the arguments has nothing to do with the files.
    let spec = with_scripts(form(&args, "1", "1"), &scripts).parse(0);
    spec.map_err(|errors| {
        let messages: Vec<String> = errors
            .into_iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect();
        RunError::Arguments(messages.join("\n"))
    })?;
    for (_, _, path) in args.sources.iter().filter_map(|given| statistics_path(&args, given)) {
        if !path.is_file() {
            return Err(RunError::Arguments(format!("There is no file {}.", path.display())));
        }
    }
    in_house(&args.house, async |house| experiment(house, &args, &scripts).await).await
}

/// The scripts of all files in one text, each with a name.
fn read_scripts(paths: &[PathBuf]) -> Result<String, RunError> {
    let mut scripts = String::new();
    for path in paths {
        let script = std::fs::read_to_string(path)
            .map_err(|error| RunError::Arguments(format!("{} cannot be read: {error}.", path.display())))?;
        if source::custom_sql::is_nameless(&script) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            scripts.extend(["-- name: ", &name, "\n"]);
        }
        scripts.push_str(&script);
        scripts.push('\n');
    }
    Ok(scripts)
}

/// The form with the scripts, if there are any, as its last sources.
fn with_scripts(mut form: ExperimentForm, scripts: &str) -> ExperimentForm {
    if !scripts.is_empty() {
        let (name, field) = source::custom_sql::FIELD;
        form.stats_source.push(name.to_owned());
        form.params.insert(format!("{name}.{field}"), scripts.to_owned());
    }
    form
}

fn form(args: &RunArgs, dataset: &str, workload: &str) -> ExperimentForm {
    ExperimentForm {
        request_id: "command line".to_owned(),
        dataset: dataset.to_owned(),
        workload: workload.to_owned(),
        stats_source: args.sources.clone(),
        control: args.control,
        observer: args.observer,
        iterations: args.iterations.to_string(),
        warm_up: args.warmup.to_string(),
        seed: args.seed.map(|seed| seed.to_string()).unwrap_or_default(),
        clock: args.clock.clone(),
        timeout: args.timeout.clone(),
        order: args.order.clone(),
        ..ExperimentForm::default()
    }
}

async fn experiment(house: &House, args: &RunArgs, scripts: &str) -> Result<(), RunError> {
    let added = house
        .datasets
        .add_file(house.viewer, &args.dump, "", &request_id()?)
        .await;
    let dataset_id = added.map_err(anyhow::Error::from)?;
    let workload_id = add_queries(house, &args.queries).await?;
    tell_refused(house, workload_id).await?;
    // Before the restore is done: an experiment that is launched outlives this process.
    let mut form = form(args, &dataset_id.to_string(), &workload_id.to_string());
    form.request_id = request_id()?;
    form.stats_source = add_statistics(house, args, dataset_id).await?;
    let form = with_scripts(form, scripts);
    let id = house.experiments.launch(house.viewer, &form).await?;
    follow(house, dataset_id, id, &args.files).await?;
    Ok(())
}

/// Says which statements of the file will not be measured.
async fn tell_refused(house: &House, id: crate::model::ids::WorkloadId) -> anyhow::Result<()> {
    let mut conn = house.pool.acquire().await?;
    for query in store::workloads::list_queries(&mut conn, house.viewer, id).await? {
        if let Some(refusal) = query.refusal {
            let label = for_terminal(&query.label);
            eprintln!("Left out: {label} in line {}. {}", query.line, for_terminal(&refusal));
        }
    }
    Ok(())
}

/// The parameter and the path by which a source, as it was given, names a statistics file, with the name of the source.
fn statistics_path(args: &RunArgs, given: &str) -> Option<(String, &'static str, PathBuf)> {
    let alone = ExperimentForm {
        stats_source: vec![given.to_owned()],
        ..form(args, "1", "1")
    };
    let spec = alone.parse(0).ok()?.sources.into_iter().next()?;
    let (parameter, path) = source::statistics_file(&spec)?;
    Some((spec.name.clone(), parameter, PathBuf::from(path)))
}

/// Keeps the statistics files that sources name by their paths, and returns the sources as they name them from now on.
async fn add_statistics(house: &House, args: &RunArgs, dataset_id: DatasetId) -> anyhow::Result<Vec<String>> {
    let mut named = Vec::new();
    for given in &args.sources {
        let Some((source, parameter, path)) = statistics_path(args, given) else {
            named.push(given.clone());
            continue;
        };
        let arrived = Arrived {
            request_id: request_id()?,
            file_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?,
        };
        let added = house.datasets.add_statistics(house.viewer, dataset_id, arrived).await;
        let id = added.with_context(|| path.display().to_string())?;
        let mut conn = house.pool.acquire().await?;
        let file = store::statistics_files::get(&mut conn, house.viewer, id).await?;
        let (_, file) = file.context("a statistics file that was just kept")?;
        named.push(format!("{source}:{parameter}={}", file.name));
    }
    Ok(named)
}

async fn add_queries(house: &House, path: &Path) -> anyhow::Result<crate::model::ids::WorkloadId> {
    let script = NewScript {
        request_id: request_id()?,
        name: String::new(),
        file_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: std::fs::read(path).with_context(|| format!("reading {}", path.display()))?,
    };
    Ok(house.workloads.add(house.viewer, script).await?)
}
