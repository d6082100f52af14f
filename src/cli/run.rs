//! `pgassay run`: a whole experiment without the browser, by the same services.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::app::house::House;
use crate::cli::bundle;
use crate::cli::working::LOOK_EVERY;
use crate::cli::working::MAX_FAILED_LOOKS;
use crate::cli::working::ProgressLine;
use crate::cli::working::RunError;
use crate::cli::working::in_house;
use crate::cli::working::request_id;
use crate::config::HouseConfig;
use crate::dataset::statistics_file::Arrived;
use crate::experiment::form::ExperimentForm;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::text::for_terminal;
use crate::model::trial::RecordedTrial;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::report::data::ReportData;
use crate::report::export;
use crate::report::table;
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

/// Where results go beside the terminal.
#[derive(Debug, clap::Args)]
pub struct ResultFiles {
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the summaries as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Where to write the report: as one page of HTML, or as Markdown into a file that ends in `.md`.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where to write the bundle: one file from which the numbers can be computed and the measuring repeated.
    #[arg(long)]
    bundle: Option<PathBuf>,
}

impl ResultFiles {
    /// Refuses, before anything has run, files that cannot be written.
    pub(super) fn check(&self) -> Result<(), RunError> {
        for path in [&self.json, &self.csv, &self.report, &self.bundle]
            .into_iter()
            .flatten()
        {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| RunError::Arguments(format!("{} cannot be written: {error}.", path.display())))?;
        }
        Ok(())
    }

    async fn write(&self, house: &House, data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<()> {
        let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
        let report = if self.report.as_ref().is_some_and(is_text) {
            "report.md"
        } else {
            "report.html"
        };
        for (path, name) in [
            (&self.json, "export.json"),
            (&self.csv, "export.csv"),
            (&self.report, report),
        ] {
            if let (Some(path), Some(exporter)) = (path, export::find(name)) {
                let bytes = exporter.write(data, trials)?;
                std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        match &self.bundle {
            Some(path) => bundle::write(house, data.experiment.id, path).await,
            None => Ok(()),
        }
    }
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

/// Waits for an experiment with its dataset, and says what came of it.
pub(super) async fn follow(
    house: &House,
    dataset_id: DatasetId,
    id: ExperimentId,
    files: &ResultFiles,
) -> Result<ReportData, RunError> {
    let mut progress = ProgressLine::new();
    wait_for_dataset(house, dataset_id, &mut progress).await?;
    let ended = wait_for_experiment(house, id, &mut progress).await?;
    let (data, trials) = {
        let mut conn = house.pool.acquire().await.context("reaching the store")?;
        let data = ReportData::load_whole(&mut conn, house.viewer, id, 0)
            .await
            .context("reading the results")?;
        let trials = store::trials::list(&mut conn, house.viewer, id, None)
            .await
            .context("reading the trials")?;
        (data.context("the experiment is there")?, trials)
    };
    print_table(&data)?;
    files.write(house, &data, &trials).await?;
    match ended {
        JobStatus::Completed if data.summaries.iter().all(|summary| summary.n_finished == 0) => {
            Err(anyhow::anyhow!("not one trial finished; the table says why").into())
        }
        JobStatus::Completed => Ok(data),
        _ => Err(anyhow::anyhow!(data.experiment.job.message.clone().unwrap_or_default()).into()),
    }
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

async fn wait_for_dataset(house: &House, id: DatasetId, progress: &mut ProgressLine) -> anyhow::Result<()> {
    loop {
        let dataset = {
            let mut conn = house.pool.acquire().await?;
            store::datasets::get(&mut conn, house.viewer, id)
                .await?
                .context("the dataset is gone")?
        };
        let job = &dataset.job;
        match job.status {
            JobStatus::Queued | JobStatus::Running => {
                let detail = format!("{} {}", job.stage, job.progress.detail);
                progress.show(&detail, job.progress.done, job.progress.total);
            }
            JobStatus::Completed => {
                progress.clear();
                let skipped = {
                    let mut conn = house.pool.acquire().await?;
                    store::restores::list_notes(&mut conn, house.viewer, id).await?.len()
                };
                eprintln!(
                    "Restored {} with {} ({}); {} in its restore log.",
                    counted(dataset.n_tables, "table", "tables"),
                    counted(dataset.n_rows, "row", "rows"),
                    bytes_in_words(dataset.database_bytes.unwrap_or(0)),
                    counted(skipped as u64, "line", "lines"),
                );
                return Ok(());
            }
            JobStatus::Failed | JobStatus::Cancelled => {
                progress.clear();
                anyhow::bail!("{}", job.message.clone().unwrap_or_default());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn wait_for_experiment(
    house: &House,
    id: ExperimentId,
    progress: &mut ProgressLine,
) -> anyhow::Result<JobStatus> {
    let mut n_failed_looks = 0;
    loop {
        let look = match house.experiments.progress(house.viewer, id).await {
            Ok(look) => look.context("the experiment is gone")?,
            // A store that has died is started again.
            Err(_) if n_failed_looks < MAX_FAILED_LOOKS => {
                n_failed_looks += 1;
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        n_failed_looks = 0;
        let status = look.experiment.job.status;
        if status.is_settled() {
            progress.clear();
            return Ok(status);
        }
        progress.show(&format!("{} {}", look.stage, look.detail), look.done, look.total);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn print_table(data: &ReportData) -> anyhow::Result<()> {
    let mut lines = vec![
        [
            "query",
            "source",
            "n",
            "median ms",
            "ratio",
            "verdict",
            "mean ms",
            "std dev ms",
            "p95 ms",
            "planning ms",
            "cost",
            "plan",
            "",
        ]
        .map(str::to_owned),
    ];
    for query in table::table(data) {
        for row in query.rows {
            let (ratio, verdict) = row.compared.map_or_else(Default::default, |compared| {
                (compared.ratio.shown, compared.verdict.word().to_owned())
            });
            lines.push([
                for_terminal(&query.label),
                row.source,
                row.n,
                row.median.shown,
                ratio,
                verdict,
                row.mean.shown,
                row.stddev.shown,
                row.p95.shown,
                row.planning.shown,
                row.cost.shown,
                row.letter,
                match row.same_as.as_str() {
                    "" => for_terminal(&row.trouble.replace('\n', " ")),
                    same_as => format!("same plan as {same_as}"),
                },
            ]);
        }
    }
    let widths: Vec<usize> = (0..13)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = std::io::stdout().lock();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 | 1 | 5 | 11 | 12 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    if let Some(headline) = &data.experiment.headline {
        writeln!(out, "\n{}", for_terminal(headline))?;
    }
    writeln!(
        out,
        "Seed {}. Times are of the {} clock.",
        data.experiment.spec.seed,
        data.experiment.spec.clock.word()
    )?;
    Ok(())
}
