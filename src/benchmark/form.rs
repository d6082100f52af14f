//! From what a person typed, in a form, on the command line or to the API, to a validated spec.

mod levels;
mod mix;
mod texts;

pub use crate::benchmark::form::levels::MAX_CLIENTS;
use crate::experiment::fields::FieldError;
use crate::experiment::fields::choice;
use crate::experiment::fields::duration_ms;
use crate::experiment::fields::id;
use crate::experiment::fields::number;
use crate::experiment::fields::settings;
use crate::experiment::form::ExperimentForm;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::Generators;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::Loading;
use crate::model::benchmark::Objective;
use crate::model::benchmark::Operation;
use crate::model::benchmark::Pace;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::Protocol;
use crate::model::benchmark::TargetSpec;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ServerId;
use crate::model::ids::WorkloadId;
use crate::model::text::display_name;

/// Fewer rows fit into the processor's cache and say nothing.
pub const MIN_TABLE_ROWS: u64 = 1_000;
pub const MAX_TABLE_ROWS: u64 = 1_000_000_000;
pub const MAX_BATCH_SIZE: u64 = 100_000;
/// Shorter levels say little, and have to be asked for as a quick look.
pub const MIN_DURATION_MS: u64 = 10_000;
pub const MIN_QUICK_MS: u64 = 1_000;
pub const MAX_DURATION_MS: u64 = 24 * 3_600_000;
pub const MAX_WARM_UP_MS: u64 = 3_600_000;
pub const MAX_PROGRAMS: usize = 64;
pub const MAX_PROGRAM_BYTES: usize = 256 << 10;
pub const MAX_WEIGHT: u64 = 1_000_000;
pub const MAX_TRIES: u64 = 1_000;
/// Rows of one insert: their program has to stay below the mebibyte that `sql::pgbench` reads.
pub const MAX_INSERT_ROWS: u64 = 5_000;

/// Which database is put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    Generated,
    Dataset,
    Server,
}

impl TargetKind {
    pub const ALL: [Self; 3] = [Self::Generated, Self::Dataset, Self::Server];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Dataset => "dataset",
            Self::Server => "server",
        }
    }
}

/// A program as somebody gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenProgram {
    pub name: String,
    pub weight: String,
    pub text: String,
}

impl GivenProgram {
    fn is_empty(&self) -> bool {
        self.name.trim().is_empty() && self.text.trim().is_empty()
    }
}

/// What a person gave, as text. Fields are named as in the browser's form; those of the API are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkForm {
    pub request_id: String,
    pub target: String,
    pub dataset: String,
    /// A registered server.
    pub server: String,
    pub workload: String,
    pub table_rows: String,
    pub batch_size: String,
    pub loading: String,
    pub operation: String,
    pub keys: String,
    pub read_percent: String,
    pub insert_rows: String,
    pub programs: Vec<GivenProgram>,
    /// Names of files that were to be programs and hold no text.
    pub unreadable: Vec<String>,
    /// `20, 40, 80` or `1..16 step 3`.
    pub thread_counts: String,
    pub test_duration: String,
    pub warm_up: String,
    /// Transactions a second; empty for a closed loop.
    pub rate: String,
    /// At a rate: milliseconds after which a transaction is skipped; empty for never.
    pub latency_limit: String,
    pub protocol: String,
    pub connection: String,
    pub max_tries: String,
    /// Empty for none.
    pub max_errors: String,
    /// Empty or 0 for none.
    pub statement_timeout: String,
    pub autovacuum: bool,
    pub settings: String,
    pub seed: String,
    /// Who makes the load: `here` or `all`.
    pub workers: String,
    pub quick: bool,
    /// `p95 < 20 ms`; empty for none.
    pub objective: String,
    /// As in the form of experiments: names with their parameters.
    pub sources: ExperimentForm,
}

impl Default for BenchmarkForm {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            target: TargetKind::Generated.word().to_owned(),
            dataset: String::new(),
            server: String::new(),
            workload: String::new(),
            table_rows: "1000000".to_owned(),
            batch_size: "10000".to_owned(),
            loading: Loading::Copy.word().to_owned(),
            operation: Operation::PointRead.word().to_owned(),
            keys: KeyDistribution::Uniform.word().to_owned(),
            read_percent: "80".to_owned(),
            insert_rows: "10".to_owned(),
            programs: Vec::new(),
            unreadable: Vec::new(),
            thread_counts: "20, 40, 80".to_owned(),
            test_duration: "60s".to_owned(),
            warm_up: "5s".to_owned(),
            rate: String::new(),
            latency_limit: String::new(),
            protocol: Protocol::Prepared.word().to_owned(),
            connection: ConnectionMode::PerClient.word().to_owned(),
            max_tries: "1".to_owned(),
            max_errors: String::new(),
            statement_timeout: String::new(),
            autovacuum: true,
            settings: String::new(),
            seed: String::new(),
            workers: Generators::Here.word().to_owned(),
            quick: false,
            objective: String::new(),
            sources: ExperimentForm {
                stats_source: Vec::new(),
                ..ExperimentForm::default()
            },
        }
    }
}

impl BenchmarkForm {
    /// Reads the pairs of a posted form. The fields of programs come in threes: name, weight, text.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut form = Self {
            autovacuum: false,
            ..Self::default()
        };
        let mut of_sources = Vec::new();
        for (name, value) in pairs {
            match name.as_str() {
                "program_name" => form.programs.push(GivenProgram {
                    name: value,
                    ..GivenProgram::default()
                }),
                "program_weight" => form.last_program().weight = value,
                "program_text" => form.last_program().text = value,
                "autovacuum" => form.autovacuum = true,
                "quick" => form.quick = true,
                "stats_source" => of_sources.push((name, value)),
                _ if name.contains('.') => of_sources.push((name, value)),
                _ => {
                    if let Some(text) = form.text_mut(&name) {
                        *text = value;
                    }
                }
            }
        }
        form.sources = ExperimentForm::from_pairs(of_sources);
        form
    }

    /// Adds programs that came as files behind the others, each called as its file is. `weights` are theirs in their order,
    /// like `10, 1`; where there are too few, one is as usual.
    pub fn add_files(&mut self, files: impl IntoIterator<Item = (String, Vec<u8>)>, weights: &str) {
        let mut weights = weights.split(',').map(str::trim);
        for (file_name, bytes) in files {
            // What nobody has written into is not kept in between.
            self.programs.retain(|program| !program.is_empty());
            let file_name = display_name(&file_name, "program");
            let weight = weights.next().unwrap_or_default().to_owned();
            match String::from_utf8(bytes) {
                Ok(text) => self.programs.push(GivenProgram {
                    name: stem(&file_name).to_owned(),
                    weight,
                    text,
                }),
                Err(_) => self.unreadable.push(file_name),
            }
        }
    }

    fn last_program(&mut self) -> &mut GivenProgram {
        if self.programs.is_empty() {
            self.programs.push(GivenProgram::default());
        }
        let last = self.programs.len() - 1;
        &mut self.programs[last]
    }

    /// The workload whose queries are to be run, where that is what was chosen.
    pub fn workload_id(&self) -> Result<Option<WorkloadId>, FieldError> {
        if self.operation.trim() != Operation::Workload.word() {
            return Ok(None);
        }
        id(&self.workload, "workload", "Choose a workload.").map(|id| Some(WorkloadId(id)))
    }

    /// The spec that the form asks for, or everything that is wrong with it. `fresh_seed` is used when none was given;
    /// `queries` are those of the workload that was chosen, as programs.
    pub fn parse(&self, fresh_seed: u64, queries: &[ProgramText]) -> Result<BenchmarkSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut keep = |error: FieldError| errors.push(error);
        let target = self.target(&mut keep);
        let mix = self.mix(target.as_ref(), queries, &mut keep);
        let n_clients = levels::read(&self.thread_counts).map_err(&mut keep).ok();
        let least_ms = if self.quick { MIN_QUICK_MS } else { MIN_DURATION_MS };
        let duration_ms_read = duration_ms(&self.test_duration, "test_duration", least_ms, MAX_DURATION_MS);
        let duration_ms_read = duration_ms_read.map_err(&mut keep).ok();
        let warm_up_ms = duration_ms(&self.warm_up, "warm_up", 0, MAX_WARM_UP_MS);
        let warm_up_ms = warm_up_ms.map_err(&mut keep).ok();
        let pace = self.pace(&mut keep);
        let protocol = choice(&self.protocol, "protocol", &Protocol::ALL, Protocol::word);
        let protocol = protocol.map_err(&mut keep).ok();
        let connection = choice(
            &self.connection,
            "connection",
            &ConnectionMode::ALL,
            ConnectionMode::word,
        );
        let connection = connection.map_err(&mut keep).ok();
        let max_tries = number(&self.max_tries, "max_tries", 1, MAX_TRIES);
        let max_tries = max_tries.map_err(&mut keep).ok();
        let max_errors = optional(&self.max_errors, |text| number(text, "max_errors", 1, u64::MAX));
        let max_errors = max_errors.map_err(&mut keep).ok();
        let statement_timeout_ms = match self.statement_timeout.trim() {
            "" | "0" => Some(0),
            text => duration_ms(text, "statement_timeout", 1, 3_600_000)
                .map_err(&mut keep)
                .ok(),
        };
        let settings = settings(&self.settings).map_err(&mut keep).ok();
        let seed = optional(&self.seed, |text| number(text, "seed", 0, u64::MAX));
        let seed = seed.map_err(&mut keep).ok();
        let generators = choice(&self.workers, "workers", &Generators::ALL, Generators::word);
        let generators = generators.map_err(&mut keep).ok();
        let objective = optional(&self.objective, objective).map_err(&mut keep).ok();
        let sources = self.sources(target.as_ref(), &mut keep);
        let spec = (|| {
            let max_tries = u32::try_from(max_tries?).ok()?;
            Some(BenchmarkSpec {
                target: target?,
                mix: mix?,
                sources: sources?,
                n_clients: n_clients?,
                duration_ms: duration_ms_read?,
                warm_up_ms: warm_up_ms?,
                pace: pace?,
                protocol: protocol?,
                connection: connection?,
                max_tries,
                max_errors: max_errors?,
                statement_timeout_ms: statement_timeout_ms?,
                autovacuum: self.autovacuum,
                settings: settings?,
                seed: seed?.unwrap_or(fresh_seed),
                generators: generators?,
                is_quick: duration_ms_read? < MIN_DURATION_MS,
                objective: objective?,
            })
        })();
        match spec {
            Some(spec) if errors.is_empty() => Ok(spec),
            _ => Err(errors),
        }
    }

    fn target(&self, keep: &mut impl FnMut(FieldError)) -> Option<TargetSpec> {
        let kind = choice(&self.target, "target", &TargetKind::ALL, TargetKind::word);
        match kind.map_err(&mut *keep).ok()? {
            TargetKind::Generated => self.generated(keep).map(TargetSpec::Generated),
            TargetKind::Server => {
                let id = id(&self.server, "server", "Choose a registered server.");
                let id = id.map_err(&mut *keep).ok();
                let generated = self.generated(keep);
                Some(TargetSpec::Server {
                    server_id: ServerId(id?),
                    generated: generated?,
                })
            }
            TargetKind::Dataset => {
                let id = id(&self.dataset, "dataset", "Choose a dataset.");
                let id = id.map_err(&mut *keep).ok()?;
                Some(TargetSpec::Dataset {
                    dataset_id: DatasetId(id),
                })
            }
        }
    }

    fn generated(&self, keep: &mut impl FnMut(FieldError)) -> Option<GeneratedSpec> {
        let table_rows = number(&self.table_rows, "table_rows", MIN_TABLE_ROWS, MAX_TABLE_ROWS);
        let table_rows = table_rows.map_err(&mut *keep).ok();
        let batch_size = number(&self.batch_size, "batch_size", 1, MAX_BATCH_SIZE);
        let batch_size = batch_size.map_err(&mut *keep).ok();
        let loading = choice(&self.loading, "loading", &Loading::ALL, Loading::word);
        let loading = loading.map_err(&mut *keep).ok();
        Some(GeneratedSpec {
            table_rows: table_rows?,
            batch_size: u32::try_from(batch_size?).ok()?,
            loading: loading?,
        })
    }

    fn sources(&self, target: Option<&TargetSpec>, keep: &mut impl FnMut(FieldError)) -> Option<Vec<SourceSpec>> {
        if self.sources.stats_source.is_empty() {
            return Some(Vec::new());
        }
        if target.is_some_and(|target| target.generated().is_some()) {
            keep(FieldError::new(
                "stats_source",
                "Sources of statistics are for datasets; generated tables are analyzed as they are.",
            ));
            return None;
        }
        // Each has a database of its own, so that none needs a twin.
        let chosen = self.sources.chosen_sources();
        chosen.map_err(|wrong| wrong.into_iter().for_each(keep)).ok()
    }

    fn pace(&self, keep: &mut impl FnMut(FieldError)) -> Option<Pace> {
        let decimal = |text: &str, field: &str, what: &str| match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 && value <= 1e9 => Ok(value),
            _ => Err(FieldError::new(
                field,
                format!("This takes {what}, as a number above 0, not {:?}.", text.trim()),
            )),
        };
        let per_s = optional(&self.rate, |text| decimal(text, "rate", "transactions a second"));
        let per_s = per_s.map_err(&mut *keep).ok();
        let limit = optional(&self.latency_limit, |text| {
            decimal(text, "latency_limit", "milliseconds")
        });
        let latency_limit_ms = limit.map_err(&mut *keep).ok();
        match (per_s?, latency_limit_ms?) {
            (Some(per_s), latency_limit_ms) => Some(Pace::Rate {
                per_s,
                latency_limit_ms,
            }),
            (None, None) => Some(Pace::Closed),
            (None, Some(_)) => {
                keep(FieldError::new(
                    "latency_limit",
                    "Only at a rate are transactions skipped. Give a rate, or leave this empty.",
                ));
                None
            }
        }
    }
}

/// A file's name without its ending.
fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    }
}

/// None for an empty field.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, FieldError>) -> Result<Option<T>, FieldError> {
    match text.trim() {
        "" => Ok(None),
        text => read(text).map(Some),
    }
}

/// `p95 < 20 ms`, with or without blanks; `p99.9<1s`.
fn objective(text: &str) -> Result<Objective, FieldError> {
    let wrong = || {
        FieldError::new(
            "objective",
            format!("An objective like p95 < 20 ms is expected, not {text:?}."),
        )
    };
    let (percentile, limit) = text.split_once('<').ok_or_else(wrong)?;
    let percentile: f64 = percentile
        .trim()
        .trim_start_matches(['p', 'P'])
        .parse()
        .map_err(|_| wrong())?;
    let limit = limit.trim();
    let (number, factor) = match limit.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (limit.strip_suffix('s').ok_or_else(wrong)?, 1000.0),
    };
    let below_ms = number.trim().parse::<f64>().map_err(|_| wrong())? * factor;
    let is_possible = percentile > 0.0 && percentile < 100.0 && below_ms > 0.0 && below_ms.is_finite();
    if !is_possible {
        return Err(wrong());
    }
    Ok(Objective { percentile, below_ms })
}
