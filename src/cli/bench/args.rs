//! What `pgassay bench` is told, as the form that a browser would have sent.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::TargetKind;
use crate::cli::working::RunError;
use crate::config::HouseConfig;
use crate::experiment::fields::FieldError;
use crate::model::benchmark::Operation;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::export;
use crate::report::benchmark::percentiles::Percentiles;
use crate::sql::pgbench::weight::split_weight;

/// One benchmark. What is not given is as in the form of the pages.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Numbers of clients, one level each: `20,40,80` or `1..16 step 3`. Unset, 20, 40 and 80.
    #[arg(long)]
    threads: Option<String>,
    /// How long each level is measured: 60s, 3m. Unset, a minute.
    #[arg(long)]
    duration: Option<String>,
    /// What runs before each level and does not count. Unset, 5s.
    #[arg(long)]
    warm_up: Option<String>,
    /// Levels of less than ten seconds, good for a look; the run is marked.
    #[arg(long)]
    quick: bool,
    /// Rows of the tables that are generated. Unset, a million.
    #[arg(long)]
    table_rows: Option<String>,
    /// Rows sent at once while they are loaded. Unset, 10000.
    #[arg(long)]
    batch_size: Option<String>,
    /// How they are loaded: `copy` or `insert`.
    #[arg(long)]
    loading: Option<String>,
    /// Put clones of a dataset under load instead of generated tables: its name or number.
    #[arg(long)]
    dataset: Option<String>,
    /// Put tables on a registered server under load, in a schema of ours: its name or number.
    #[arg(long, conflicts_with_all = ["dataset", "workload"])]
    server: Option<String>,
    /// Run the queries of a workload, on a dataset: its name or number.
    #[arg(long, conflicts_with = "files_of_programs")]
    workload: Option<String>,
    /// What clients do: `point_read`, `range_read`, `update`, `read_write`, `insert`, `delete_insert` or `tpcb_like`.
    #[arg(long, conflicts_with_all = ["workload", "files_of_programs"])]
    operation: Option<String>,
    /// A program in pgbench's language, with `@weight` behind it where there are several.
    #[arg(short = 'f', long = "file", value_name = "FILE[@WEIGHT]")]
    files_of_programs: Vec<String>,
    /// Which rows are asked for: `uniform`, `zipf` or `gaussian`.
    #[arg(long)]
    keys: Option<String>,
    /// Of the operation `read_write`: how many of a hundred are reads.
    #[arg(long)]
    read_percent: Option<String>,
    /// Of the operation `insert`: rows at once.
    #[arg(long)]
    insert_rows: Option<String>,
    /// A source of statistics for a dataset, `name` or `name:parameter=value,...`; may be given several times.
    #[arg(long = "source")]
    sources: Vec<String>,
    /// Transactions a second among all clients, whether earlier ones have ended or not. Unset, each client begins its next
    /// transaction when it has ended the last.
    #[arg(long)]
    rate: Option<String>,
    /// At a rate: milliseconds after which a transaction is skipped and counted.
    #[arg(long)]
    latency_limit: Option<String>,
    /// How statements are sent: `prepared`, `extended` or `simple`.
    #[arg(long)]
    protocol: Option<String>,
    /// How long a connection is used: `per_client` or `per_transaction`.
    #[arg(long)]
    connection: Option<String>,
    /// How often a transaction is tried that meets a serialisation failure or a deadlock.
    #[arg(long)]
    max_tries: Option<String>,
    /// So many failed transactions end a level.
    #[arg(long)]
    max_errors: Option<String>,
    /// The limit of one statement: 500ms, 30s. Unset, none.
    #[arg(long)]
    statement_timeout: Option<String>,
    /// Leave autovacuum off.
    #[arg(long)]
    no_autovacuum: bool,
    /// A setting of every session, `name=value`; may be given several times.
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Decides which rows are asked for; drawn when not given.
    #[arg(long)]
    seed: Option<String>,
    /// Who makes the load: `here`, or `all` workers of the store that are free, each with a share of the clients.
    #[arg(long)]
    workers: Option<String>,
    /// What every level should keep to: `p95 < 20 ms`.
    #[arg(long)]
    objective: Option<String>,
    /// Say nothing until the end.
    #[arg(long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) files: BenchFiles,
    #[command(flatten)]
    pub(super) house: HouseConfig,
}

/// Where results go beside the terminal.
#[derive(Debug, clap::Args)]
pub struct BenchFiles {
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the levels as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Where to write the report: as one page of HTML, or as Markdown into a file that ends in `.md`.
    #[arg(long)]
    report: Option<PathBuf>,
}

impl BenchFiles {
    fn named(&self) -> impl Iterator<Item = (&Path, &'static str)> {
        let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
        let report = if self.report.as_ref().is_some_and(is_text) {
            "report.md"
        } else {
            "report.html"
        };
        let named = [
            (&self.json, "export.json"),
            (&self.csv, "levels.csv"),
            (&self.report, report),
        ];
        named
            .into_iter()
            .filter_map(|(path, name)| Some((path.as_deref()?, name)))
    }

    /// Refuses, before anything has run, files that cannot be written.
    pub(super) fn check(&self) -> Result<(), RunError> {
        for (path, _) in self.named() {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| RunError::Arguments(format!("{} cannot be written: {error}.", path.display())))?;
        }
        Ok(())
    }

    pub(super) fn write(&self, data: &BenchmarkData) -> anyhow::Result<()> {
        for (path, name) in self.named() {
            let kind = export::find(name).context("a file of ours")?;
            let bytes = kind.write(data, &Percentiles::default())?;
            std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// A form that can be, but for the things that have to be looked up.
#[derive(Debug)]
pub(super) struct Wish {
    pub form: BenchmarkForm,
    /// By name or number.
    pub dataset: Option<String>,
    pub workload: Option<String>,
}

impl BenchArgs {
    /// Reads programs and checks all that needs no store.
    pub(super) fn wish(&self) -> Result<Wish, RunError> {
        let form = self.form()?;
        // Whatever numbers they have.
        let looked_up = BenchmarkForm {
            dataset: "1".to_owned(),
            workload: "1".to_owned(),
            server: "1".to_owned(),
            ..form.clone()
        };
        looked_up.parse(0, &[]).map_err(refusal)?;
        Ok(Wish {
            form,
            dataset: self.dataset.clone(),
            workload: self.workload.clone(),
        })
    }

    fn form(&self) -> Result<BenchmarkForm, RunError> {
        let mut form = BenchmarkForm {
            programs: programs(&self.files_of_programs)?,
            autovacuum: !self.no_autovacuum,
            quick: self.quick,
            settings: self.settings.join("\n"),
            ..BenchmarkForm::default()
        };
        form.sources.stats_source.clone_from(&self.sources);
        if self.dataset.is_some() {
            TargetKind::Dataset.word().clone_into(&mut form.target);
        }
        if let Some(server) = &self.server {
            TargetKind::Server.word().clone_into(&mut form.target);
            form.server.clone_from(server);
        }
        let operation = match (&self.operation, &self.workload) {
            (Some(operation), _) => Some(operation.as_str()),
            (None, Some(_)) => Some(Operation::Workload.word()),
            (None, None) if !form.programs.is_empty() => Some(Operation::Programs.word()),
            (None, None) => None,
        };
        let given = [
            ("thread_counts", self.threads.as_deref()),
            ("test_duration", self.duration.as_deref()),
            ("warm_up", self.warm_up.as_deref()),
            ("table_rows", self.table_rows.as_deref()),
            ("batch_size", self.batch_size.as_deref()),
            ("loading", self.loading.as_deref()),
            ("operation", operation),
            ("keys", self.keys.as_deref()),
            ("read_percent", self.read_percent.as_deref()),
            ("insert_rows", self.insert_rows.as_deref()),
            ("rate", self.rate.as_deref()),
            ("latency_limit", self.latency_limit.as_deref()),
            ("protocol", self.protocol.as_deref()),
            ("connection", self.connection.as_deref()),
            ("max_tries", self.max_tries.as_deref()),
            ("max_errors", self.max_errors.as_deref()),
            ("statement_timeout", self.statement_timeout.as_deref()),
            ("seed", self.seed.as_deref()),
            ("workers", self.workers.as_deref()),
            ("objective", self.objective.as_deref()),
        ];
        for (name, value) in given {
            if let (Some(text), Some(value)) = (form.text_mut(name), value) {
                value.clone_into(text);
            }
        }
        Ok(form)
    }
}

/// The programs in files, each called as its file is.
fn programs(files: &[String]) -> Result<Vec<GivenProgram>, RunError> {
    let mut programs: Vec<GivenProgram> = Vec::new();
    for given in files {
        let (path, weight) = split_weight(given).map_err(|error| RunError::Arguments(format!("{given}: {error}.")))?;
        let text = std::fs::read_to_string(path)
            .map_err(|error| RunError::Arguments(format!("{path} cannot be read: {error}.")))?;
        let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
        let is_taken = programs.iter().any(|program| program.name == stem);
        programs.push(GivenProgram {
            name: if is_taken { path.to_owned() } else { stem.into_owned() },
            weight: weight.to_string(),
            text,
        });
    }
    Ok(programs)
}

/// What is wrong, by the names of the options.
pub(super) fn refusal(fields: Vec<FieldError>) -> RunError {
    let lines = fields.into_iter().map(|FieldError { field, message }| {
        let option = match field.as_str() {
            "thread_counts" => "threads".to_owned(),
            "test_duration" => "duration".to_owned(),
            "program_name" | "program_weight" | "program_text" => "file".to_owned(),
            "stats_source" => "source".to_owned(),
            "settings" => "setting".to_owned(),
            field => field.replace('_', "-"),
        };
        format!("--{option}: {message}")
    });
    RunError::Arguments(lines.collect::<Vec<String>>().join("\n"))
}

/// The number of the thing that goes by this name, or has this number.
pub(super) fn find(noun: &str, given: &str, known: &[(String, String)]) -> Result<String, RunError> {
    let numbers = |found: &[&(String, String)]| {
        let numbers: Vec<&str> = found.iter().map(|(number, _)| number.as_str()).collect();
        numbers.join(", ")
    };
    let by_name: Vec<&(String, String)> = known.iter().filter(|(_, name)| name == given).collect();
    let found = match by_name.as_slice() {
        [] => known.iter().find(|(number, _)| number == given),
        [one] => Some(*one),
        several => {
            let numbers = numbers(several);
            let message = format!("--{noun}: Several are called {given}. Give the number of one: {numbers}.");
            return Err(RunError::Arguments(message));
        }
    };
    let (number, _) = found
        .ok_or_else(|| RunError::Arguments(format!("--{noun}: There is no {noun} {given} in this data directory.")))?;
    Ok(number.clone())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::testing::scratch;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn wish(args: &[&str]) -> Result<Wish, RunError> {
        let args = ["bench"].iter().chain(args);
        Command::try_parse_from(args).unwrap().args.wish()
    }

    fn refused(args: &[&str]) -> String {
        wish(args).unwrap_err().to_string()
    }

    #[test]
    fn without_options_it_is_the_form_as_it_comes() {
        assert_eq!(wish(&[]).unwrap().form, BenchmarkForm::default());
    }

    #[test]
    fn every_option_ends_in_its_field() {
        let args = "--threads 2,4 --duration 3s --warm-up 1s --quick --table-rows 5000 --batch-size 7 --loading insert \
                    --operation read_write --keys zipf --read-percent 33 --insert-rows 9 --rate 50.5 --latency-limit 20 \
                    --protocol simple --connection per_transaction --max-tries 5 --max-errors 6 --statement-timeout 8s \
                    --no-autovacuum --setting work_mem=8MB --setting jit=off --seed 11 --workers all";
        let mut args: Vec<&str> = args.split_whitespace().collect();
        args.extend(["--objective", "p99 < 5 ms"]);
        let mut form = wish(&args).unwrap().form;
        let own: Vec<String> = form.texts_mut().map(|(_, text)| text.clone()).to_vec();
        let expected = [
            "",
            "generated",
            "",
            "",
            "",
            "5000",
            "7",
            "insert",
            "read_write",
            "zipf",
            "33",
            "9",
            "2,4",
            "3s",
            "1s",
            "50.5",
            "20",
            "simple",
            "per_transaction",
            "5",
            "6",
            "8s",
            "work_mem=8MB\njit=off",
            "11",
            "all",
            "p99 < 5 ms",
        ];
        assert_eq!(own, expected);
        assert!(form.quick && !form.autovacuum);
    }

    #[test]
    fn files_are_programs_with_weights_and_datasets_run_workloads() {
        let dir = scratch::dir();
        std::fs::create_dir(dir.join("more")).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        for name in ["a.sql", "b@2.sql", "more/a.sql"] {
            std::fs::write(path(name), "select 1;").unwrap();
        }
        // As with pgbench, what follows the last @ is a weight, so a name with one has to have a weight behind it.
        let (first, second) = (format!("{}@3", path("a.sql")), format!("{}@1", path("b@2.sql")));
        let third = path("more/a.sql");
        assert!(wish(&["-f", &path("b@2.sql")]).is_err());
        let form = wish(&["-f", &first, "-f", &second, "--file", &third]).unwrap().form;
        assert_eq!(
            (form.operation.as_str(), form.target.as_str()),
            ("programs", "generated")
        );
        let named: Vec<(&str, &str)> = form
            .programs
            .iter()
            .map(|program| (program.name.as_str(), program.weight.as_str()))
            .collect();
        assert_eq!(named, [("a", "3"), ("b@2", "1"), (third.as_str(), "1")]);

        let on_dataset = wish(&["--dataset", "shop", "--workload", "7", "--source", "none"]).unwrap();
        assert_eq!(
            (on_dataset.dataset.as_deref(), on_dataset.workload.as_deref()),
            (Some("shop"), Some("7"))
        );
        assert_eq!(on_dataset.form.operation, "workload");
        assert_eq!(on_dataset.form.sources.stats_source, ["none"]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_option() {
        for (args, expected) in [
            (vec!["--threads", "0"], "--threads: Numbers of clients"),
            (vec!["--duration", "9s"], "--duration: A duration"),
            (vec!["--table-rows", "999"], "--table-rows: This takes"),
            (vec!["--latency-limit", "5"], "--latency-limit: Only at a rate"),
            (vec!["--operation", "programs"], "--file: Give at least one"),
            (vec!["--dataset", "shop"], "--operation: This operation needs"),
            (vec!["--setting", "x"], "--setting: "),
            (
                vec!["--source", "none"],
                "--source: Sources of statistics are for datasets",
            ),
            (vec!["-f", "/nowhere/x.sql@2"], "/nowhere/x.sql cannot be read"),
        ] {
            let said = refused(&args);
            assert!(said.contains(expected), "{args:?}: {said}");
        }
        let both = refused(&["--threads", "x", "--keys", "y"]);
        assert_eq!(both.lines().count(), 2, "{both}");
    }

    #[test]
    fn things_are_found_by_name_or_number() {
        let known =
            [("1", "shop"), ("2", "twice"), ("3", "twice"), ("4", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        for (given, number) in [("shop", "1"), ("2", "2"), ("1", "4")] {
            assert_eq!(find("dataset", given, &known).unwrap(), number, "{given}");
        }
        let several = find("dataset", "twice", &known).unwrap_err().to_string();
        assert!(several.contains("2, 3"), "{several}");
        let none = find("dataset", "nothing", &known).unwrap_err().to_string();
        assert!(none.contains("There is no dataset nothing"), "{none}");
    }
}
