//! What is written down of an attempt when it has ended.

use crate::benchmark::generator::Ended;
use crate::benchmark::generator::LevelReport;
use crate::benchmark::load::ms;
use crate::model::benchmark::LevelNotes;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::StatementRecord;
use crate::store::levels::AttemptKey;
use crate::store::levels::LevelEnd;

/// What there is to say about it.
pub(super) fn notes(report: &LevelReport) -> LevelNotes {
    let mut remarks = report.given_up.clone();
    match report.ended {
        Ended::Finished | Ended::Stopped => {}
        Ended::TooManyErrors => remarks.insert(0, "It was ended because too many transactions had failed.".to_owned()),
        Ended::NoClientLeft => remarks.insert(0, "It was ended because no client could go on.".to_owned()),
    }
    LevelNotes {
        errors: report.errors.clone(),
        gaps: report.gaps.clone(),
        n_reconnects: report.n_reconnects,
        connect_mean_ms: report.connects.mean_ms(),
        connect_max_ms: report.connects.max_ms(),
        n_unfinished: report.n_late + report.n_cut,
        lag_mean_ms: report.lag.mean_ms(),
        lag_max_ms: report.lag.max_ms(),
        generator_load: Some(report.generator_load),
        is_generator_limited: report.is_generator_limited(),
        statistics_moved: false,
        remarks,
        shares: Vec::new(),
    }
}

pub(super) fn end<'a>(report: &LevelReport, notes: &'a LevelNotes, latencies: Option<&'a [u8]>) -> LevelEnd<'a> {
    LevelEnd {
        status: match report.ended {
            Ended::Finished => LevelStatus::Finished,
            Ended::Stopped | Ended::TooManyErrors | Ended::NoClientLeft => LevelStatus::Stopped,
        },
        measured_ms: Some(ms(report.measured)),
        totals: report.totals,
        latencies,
        notes,
    }
}

/// Programs, and behind each its statements.
pub(super) fn statements(key: AttemptKey, report: &LevelReport) -> Vec<StatementRecord> {
    let mut records = Vec::new();
    for (program_idx, program) in (0_i32..).zip(&report.programs) {
        let parts = program.statements.iter().map(|statement| {
            let command_idx = i32::try_from(statement.command_idx).unwrap_or(i32::MAX);
            (Some(command_idx), &statement.part)
        });
        for (command_idx, part) in std::iter::once((None, &program.whole)).chain(parts) {
            records.push(StatementRecord {
                level_idx: key.level_idx,
                attempt: key.attempt,
                program_idx,
                command_idx,
                n: part.n,
                n_failed: part.n_failed,
                latencies: part.latencies.to_bytes(),
            });
        }
    }
    records
}
