//! Files to take away from a benchmark. Each holds the stored numbers with every digit.

mod csv;
mod json;
mod pgbench;
mod report;

use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::percentiles::Percentiles;

/// One kind of file.
pub struct FileKind {
    /// Its name in addresses: `levels.csv`.
    pub name: &'static str,
    /// What it holds, for the link's text.
    pub about: &'static str,
    /// The kind of content, as HTTP says it.
    pub media_type: &'static str,
    /// Whether it is to be read in the browser rather than saved.
    pub is_read: bool,
    write: fn(&BenchmarkData, &Percentiles) -> anyhow::Result<Vec<u8>>,
}

const CSV: &str = "text/csv; charset=utf-8";

/// Every file on offer, in the order in which pages list them.
pub static ALL: &[FileKind] = &[
    FileKind {
        name: "levels.csv",
        about: "Levels, one row for each (CSV)",
        media_type: CSV,
        is_read: false,
        write: csv::levels,
    },
    FileKind {
        name: "seconds.csv",
        about: "Seconds, one row for each, warm-ups and interrupted attempts included (CSV)",
        media_type: CSV,
        is_read: false,
        write: csv::seconds,
    },
    FileKind {
        name: "histogram.csv",
        about: "Latencies, one row for each bucket of each level's histogram (CSV)",
        media_type: CSV,
        is_read: false,
        write: csv::histogram,
    },
    FileKind {
        name: "statements.csv",
        about: "Programs and statements, one row for each in each level (CSV)",
        media_type: CSV,
        is_read: false,
        write: csv::statements,
    },
    FileKind {
        name: "export.json",
        about: "Everything but the histograms: settings, levels, statements, seconds (JSON)",
        media_type: "application/json",
        is_read: false,
        write: json::everything,
    },
    FileKind {
        name: "pgbench.txt",
        about: "Levels in the words of pgbench -r, for scripts that read those",
        media_type: "text/plain; charset=utf-8",
        is_read: true,
        write: pgbench::text,
    },
    FileKind {
        name: "report.html",
        about: "Report: one page to read, print and send, with its charts in it (HTML)",
        media_type: "text/html; charset=utf-8",
        is_read: true,
        write: report::html,
    },
    FileKind {
        name: "report.md",
        about: "The same as Markdown, its tables ready to be pasted",
        media_type: "text/markdown; charset=utf-8",
        is_read: true,
        write: report::markdown,
    },
];

/// The kind of file of this name.
pub fn find(name: &str) -> Option<&'static FileKind> {
    ALL.iter().find(|kind| kind.name == name)
}

impl FileKind {
    /// The whole file.
    pub fn write(&self, data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
        (self.write)(data, percentiles)
    }

    /// A name that says what the file is wherever it is saved: `pgassay_benchmark-7_20261121T0830Z_levels.csv`.
    pub fn file_name(&self, data: &BenchmarkData) -> String {
        let date = data.benchmark.created_at.format("%Y%m%dT%H%MZ");
        format!("pgassay_benchmark-{}_{date}_{}", data.benchmark.id, self.name)
    }
}
