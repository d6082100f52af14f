//! What a spec means to the generator, and a second of the generator to the store; the same for a whole level and for a share
//! of one.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::benchmark::generator::LevelPlan;
use crate::benchmark::generator::SecondReport;
use crate::benchmark::generator::Weighted;
use crate::benchmark::program::Setup;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::store::levels::AttemptKey;

/// Clients of a level that are at work in one place: so many, from the one with this number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clients {
    pub first: u32,
    pub n: u32,
}

/// What these clients are to do.
pub(super) fn plan(spec: &BenchmarkSpec, programs: &[Weighted], clients: Clients) -> LevelPlan {
    let variables = &spec.mix.variables;
    let scale = variables.iter().find(|(name, _)| name == "scale");
    LevelPlan {
        n_clients: clients.n,
        first_client: clients.first,
        warm_up: Duration::from_millis(spec.warm_up_ms),
        duration: Duration::from_millis(spec.duration_ms),
        pace: spec.pace,
        connection: spec.connection,
        protocol: spec.protocol,
        programs: Arc::from(programs),
        setup: Setup {
            seed: spec.seed,
            scale: scale.and_then(|(_, value)| value.parse().ok()).unwrap_or(1),
            definitions: variables.clone(),
        },
        max_tries: spec.max_tries,
        max_errors: spec.max_errors,
    }
}

/// Whose second it is, and when the load began by the store's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub key: AttemptKey,
    pub share_idx: i32,
    pub began_at: DateTime<Utc>,
}

impl Origin {
    /// A second as it is stored.
    pub fn record(self, report: &SecondReport, server: Option<ServerSecond>) -> SecondRecord {
        SecondRecord {
            level_idx: self.key.level_idx,
            attempt: self.key.attempt,
            share_idx: self.share_idx,
            second_idx: report.second_idx,
            started_at: self.began_at + TimeDelta::from_std(report.from).unwrap_or_default(),
            span_ms: ms(report.span),
            totals: report.totals,
            n_connected: report.n_connected,
            latencies: report.latencies.to_bytes(),
            errors: report.errors.clone().into_counts(),
            generator_cpu_ms: ms(report.own_cpu),
            server,
        }
    }
}

pub(super) fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
