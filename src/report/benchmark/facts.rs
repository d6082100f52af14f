//! What stands around the numbers of a benchmark: what was asked for, on what it ran, and what a reader must know first.

use crate::model::benchmark::Benchmark;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Generators;
use crate::model::benchmark::LoadRecord;
use crate::model::benchmark::Loading;
use crate::model::benchmark::Pace;
use crate::model::benchmark::TargetSpec;
use crate::model::dataset::Setting;
use crate::model::experiment::SHARED_SERVER;
use crate::model::units::bytes_in_words;
use crate::model::units::date;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::model::units::seconds_in_words;

fn fact(name: &str, value: impl Into<String>) -> Setting {
    Setting {
        name: name.to_owned(),
        value: value.into(),
    }
}

/// What was asked for and when, as pairs of name and value.
pub fn facts(benchmark: &Benchmark) -> Vec<Setting> {
    let spec = &benchmark.spec;
    let mut facts = vec![fact("Target", &benchmark.target_name)];
    facts.extend(target(&spec.target));
    facts.extend([
        fact("Operation", spec.mix.operation.title()),
        fact("Keys", spec.mix.keys.word()),
        fact("Clients", list(spec.n_clients.iter())),
    ]);
    if !spec.sources.is_empty() {
        facts.push(fact("Sources", list(spec.sources.iter().map(|source| &source.label))));
    }
    facts.extend(load_of(spec));
    facts.push(fact("Autovacuum", autovacuum(benchmark)));
    facts.extend(spec.objective.map(|objective| fact("Objective", objective.to_string())));
    facts.push(fact("Seed", spec.seed.to_string()));
    facts.push(fact("Launched (UTC)", date(benchmark.created_at)));
    facts.extend(benchmark.job.elapsed_s().map(|s| fact("Took", seconds_in_words(s))));
    facts
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<String>>().join(", ")
}

fn target(target: &TargetSpec) -> Vec<Setting> {
    match target {
        TargetSpec::Generated(generated) | TargetSpec::Server { generated, .. } => vec![
            fact("Rows of pgbench_accounts", grouped(generated.table_rows)),
            fact(
                "Loaded by",
                match generated.loading {
                    Loading::Copy => format!("COPY, {} rows at once", grouped(generated.batch_size.into())),
                    Loading::Insert => format!("INSERT of {} rows each", grouped(generated.batch_size.into())),
                },
            ),
        ],
        TargetSpec::Dataset { .. } => Vec::new(),
    }
}

fn load_of(spec: &BenchmarkSpec) -> Vec<Setting> {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let seconds = |ms: u64| seconds_in_words(ms as f64 / 1000.0);
    let pace = match spec.pace {
        Pace::Closed => "closed loop: each client begins its next transaction when it has ended the last".to_owned(),
        Pace::Rate {
            per_s,
            latency_limit_ms: None,
        } => format!("{per_s} transactions a second"),
        Pace::Rate {
            per_s,
            latency_limit_ms: Some(limit_ms),
        } => format!(
            "{per_s} transactions a second; what is {} late is skipped",
            ms_in_words(limit_ms)
        ),
    };
    #[expect(clippy::cast_precision_loss, reason = "a timeout is at most a day")]
    let timeout = match spec.statement_timeout_ms {
        0 => "none".to_owned(),
        ms => ms_in_words(ms as f64),
    };
    vec![
        fact("Duration of a level", seconds(spec.duration_ms)),
        fact("Warm-up of a level", seconds(spec.warm_up_ms)),
        fact("Pace", pace),
        fact("Protocol", spec.protocol.word()),
        fact(
            "Connections",
            match spec.connection {
                ConnectionMode::PerClient => "one for each client",
                ConnectionMode::PerTransaction => "a new one for each transaction, which is part of its latency",
            },
        ),
        fact("Most tries of a transaction", spec.max_tries.to_string()),
        fact(
            "Limit on errors",
            spec.max_errors.map_or_else(|| "none".to_owned(), grouped),
        ),
        fact("Limit of one statement", timeout),
        fact(
            "Load made by",
            match spec.generators {
                Generators::Here => "one worker",
                Generators::All => "all workers that were free when a level began",
            },
        ),
    ]
}

fn autovacuum(benchmark: &Benchmark) -> &'static str {
    match benchmark.spec.autovacuum {
        _ if benchmark.spec.target.server_id().is_some() || is_shared(benchmark) => "as the server has it",
        true => "on",
        false => "off",
    }
}

/// Whether it ran on a server that pgassay did not start.
fn is_shared(benchmark: &Benchmark) -> bool {
    benchmark.environment.iter().any(|fact| fact.name == SHARED_SERVER)
}

/// How the generated tables were loaded, as pairs of name and value.
pub fn loading(load: &LoadRecord) -> Vec<Setting> {
    let mut facts = vec![
        fact("Rows", grouped(load.n_rows)),
        fact("Rows sent in", ms_in_words(load.load_ms)),
    ];
    facts.extend(load.rows_per_s().map(|rate| fact("Rows a second", rate_in_words(rate))));
    facts.push(fact("Indexes, VACUUM and ANALYZE", ms_in_words(load.finish_ms)));
    facts.push(fact("Size", bytes_in_words(load.size_bytes)));
    facts
}

/// What anybody who reads the numbers has to know first.
pub fn warnings(benchmark: &Benchmark) -> Vec<String> {
    let mut warnings: Vec<String> = benchmark
        .environment
        .iter()
        .filter(|fact| fact.name == SHARED_SERVER)
        .map(|fact| fact.value.clone())
        .collect();
    if is_shared(benchmark) {
        warnings.push(
            "It ran with that server's own settings: autovacuum, max_connections and checkpoints are as they are there, and \
             the write-ahead log is that of all its databases."
                .to_owned(),
        );
    }
    if benchmark.spec.is_quick {
        warnings.push(
            "This was a quick look: its levels are shorter than ten seconds, and say little about a server that runs for days."
                .to_owned(),
        );
    }
    warnings
}
