//! What a benchmark would take, before it is launched.

use crate::benchmark::operations;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::Generators;
use crate::model::benchmark::Loading;
use crate::model::benchmark::Pace;
use crate::model::units::grouped;

/// Bytes of a row of `pgbench_accounts` with its place in the index: 60 rows fit a page of 8 kB, and 366 keys.
const BYTES_PER_ROW: u64 = 8192 / 60 + 8192 / 366;
/// Rows a second as they are loaded on a small machine.
const COPIED_PER_S: u64 = 400_000;
const INSERTED_PER_S: u64 = 80_000;
/// A server, clones and checkpoints take their time around each level.
const AROUND_A_LEVEL_MS: u64 = 1_500;
/// A session of a server takes so much of memory without doing anything.
const BYTES_PER_CLIENT: u64 = 10 << 20;

/// What is expected of a spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub spec: BenchmarkSpec,
    pub n_levels: usize,
    /// Of all levels, added up.
    pub total_clients: u64,
    pub most_clients: u32,
    /// Loading included.
    pub estimated_ms: u64,
    /// Of the generated tables; none on a dataset.
    pub size_bytes: Option<u64>,
    pub warnings: Vec<String>,
}

/// What a spec is expected to take. How long loading takes is a guess from a small machine.
pub fn estimate(spec: &BenchmarkSpec) -> Estimate {
    let levels = spec.levels();
    let (size_bytes, load_ms) = match spec.target.generated() {
        Some(generated) => {
            let per_s = match generated.loading {
                Loading::Copy => COPIED_PER_S,
                Loading::Insert => INSERTED_PER_S,
            };
            let load_ms = generated.table_rows.saturating_mul(1000) / per_s;
            (Some(generated.table_rows.saturating_mul(BYTES_PER_ROW)), load_ms)
        }
        None => (None, 0),
    };
    // There is no clone of tables on a server that is not ours.
    let n_loads = match spec.target.server_id() {
        Some(_) if operations::writes(spec.mix.operation) => levels.len() as u64,
        Some(_) | None => 1,
    };
    let load_ms = load_ms.saturating_mul(n_loads);
    let around_ms = AROUND_A_LEVEL_MS.saturating_mul(levels.len() as u64);
    Estimate {
        n_levels: levels.len(),
        total_clients: levels.iter().map(|level| u64::from(level.n_clients)).sum(),
        most_clients: spec.most_clients(),
        estimated_ms: spec.running_ms().saturating_add(load_ms).saturating_add(around_ms),
        size_bytes,
        warnings: warnings(spec),
        spec: spec.clone(),
    }
}

fn warnings(spec: &BenchmarkSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if spec.is_quick {
        warnings.push(
            "Levels of less than ten seconds are good for a look; their numbers move from run to run. The run is marked."
                .to_owned(),
        );
    }
    if spec.generators == Generators::All && spec.target.server_id().is_none() {
        warnings.push(
            "Several workers can share this load only if it runs on the server of SANDBOX_URL, which all of them reach. On a \
             server of its own the benchmark fails at once."
                .to_owned(),
        );
    }
    if spec.target.server_id().is_some() && operations::writes(spec.mix.operation) && spec.levels().len() > 1 {
        warnings.push("The levels may write, so each of them begins with tables that are loaded anew.".to_owned());
    }
    let memory = u64::from(spec.most_clients()) * BYTES_PER_CLIENT;
    if memory > (1 << 30) {
        warnings.push(format!(
            "{} connections take about {} MB of the server's memory before they do anything.",
            grouped(u64::from(spec.most_clients())),
            grouped(memory >> 20)
        ));
    }
    if let Pace::Rate { per_s, .. } = spec.pace
        && let Some(few) = spec.n_clients.iter().find(|n| f64::from(**n) * 1000.0 < per_s)
    {
        warnings.push(format!(
            "At {per_s} transactions a second, {few} clients have less than a millisecond for each: more will be late."
        ));
    }
    warnings
}
