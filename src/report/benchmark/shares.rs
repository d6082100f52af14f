//! Where the load of each level came from, where several workers made it.

use crate::model::benchmark::ShareNote;
use crate::model::benchmark::ShareStatus;
use crate::model::units::grouped;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::figures;
use crate::report::table::Figure;

/// The shares of one level.
#[derive(Clone, Debug)]
pub struct LevelShares {
    pub level: String,
    pub rows: Vec<ShareRow>,
}

/// What one worker did of a level.
#[derive(Clone, Debug)]
pub struct ShareRow {
    pub worker: String,
    /// `whole`, `lost`: and whether it is as it should be.
    pub status: &'static str,
    pub is_whole: bool,
    /// `20`, or `18 of 20` where some could not connect.
    pub clients: String,
    pub operations: Figure,
    /// Of all operations of the level, 0 to 1.
    pub part: Figure,
    pub generator_load: Figure,
    pub clock_error: Figure,
    /// Why it is not whole; empty where it is.
    pub message: String,
}

/// Of every level that counts and that was shared.
pub fn rows(data: &BenchmarkData) -> Vec<LevelShares> {
    let shared = data.levels.iter().filter(|level| !level.record.notes.shares.is_empty());
    shared
        .map(|level| LevelShares {
            level: level.label(),
            rows: level
                .record
                .notes
                .shares
                .iter()
                .map(|share| row(level, share))
                .collect(),
        })
        .collect()
}

fn row(level: &LevelData, share: &ShareNote) -> ShareRow {
    let n_all = level.record.totals.n_transactions;
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let part = (n_all > 0).then(|| share.n_transactions as f64 / n_all as f64);
    ShareRow {
        worker: share.worker.clone(),
        status: match share.status {
            ShareStatus::Done if share.lasted_ms.is_some() => "ended early",
            status => status.word(),
        },
        is_whole: share.status == ShareStatus::Done && share.lasted_ms.is_none(),
        clients: match (share.n_connected, share.n_clients) {
            (connected, clients) if connected == clients => grouped(clients.into()),
            (connected, clients) => format!("{} of {}", grouped(connected.into()), grouped(clients.into())),
        },
        operations: figures::count(share.n_transactions),
        part: figures::share(part),
        generator_load: figures::share(share.generator_load),
        clock_error: figures::time(share.clock_error_ms),
        message: share.message.clone().unwrap_or_default(),
    }
}
