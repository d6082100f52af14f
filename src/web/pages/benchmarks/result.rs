//! What a benchmark that is over came to, as its page shows it.

use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::levels;
use crate::report::benchmark::levels::LevelRow;
use crate::report::benchmark::server;
use crate::report::benchmark::server::ServerRow;
use crate::report::benchmark::statements;
use crate::report::benchmark::statements::ErrorRow;
use crate::report::benchmark::statements::StatementRow;
use crate::web::pages::benchmarks::chart::ChartView;
use crate::web::pages::benchmarks::chart::ViewParams;

/// Tables and charts, ready to be shown.
pub(super) struct ResultView {
    /// The chosen percentiles: as typed, as heads of columns, and what was wrong with them.
    pub percentiles: String,
    pub labels: Vec<String>,
    pub problem: Option<String>,
    pub kind: &'static str,
    pub chart: Option<ChartView>,
    pub levels: Vec<LevelRow>,
    /// Transactions were skipped or started late: it ran at a rate.
    pub has_rate: bool,
    pub has_objective: bool,
    /// What became of levels without a number.
    pub uncounted: Vec<String>,
    pub statements: Vec<LevelStatements>,
    pub errors: Vec<ErrorRow>,
    pub server: Vec<ServerRow>,
    /// How the tables were loaded; empty on a dataset.
    pub loaded: String,
}

/// The programs and statements of one level.
pub(super) struct LevelStatements {
    pub level: String,
    pub rows: Vec<StatementRow>,
}

impl ResultView {
    pub fn new(data: &BenchmarkData, params: &ViewParams) -> anyhow::Result<Self> {
        let percentiles = &params.percentiles;
        let of_level = |level| {
            let level: &crate::report::benchmark::LevelData = level;
            Ok(LevelStatements {
                level: level.label(),
                rows: statements::rows(data, level, percentiles)?,
            })
        };
        let statements: anyhow::Result<Vec<LevelStatements>> = data.levels.iter().map(of_level).collect();
        let spec = &data.benchmark.spec;
        Ok(Self {
            percentiles: percentiles.to_text(),
            labels: percentiles.labels(),
            problem: params.problem.clone(),
            kind: params.kind.word(),
            chart: ChartView::new(data, params)?,
            levels: levels::rows(data, percentiles),
            has_rate: matches!(spec.pace, crate::model::benchmark::Pace::Rate { .. }),
            has_objective: spec.objective.is_some(),
            uncounted: data.uncounted(),
            statements: statements?,
            errors: statements::errors(data),
            server: server::rows(data),
            loaded: loaded(data),
        })
    }
}

/// `1 000 000 rows in 2.1 s, 476 000 a second; then 1.1 s for indexes and VACUUM. They take 146 MiB.`
fn loaded(data: &BenchmarkData) -> String {
    let Some(load) = &data.benchmark.load else {
        return String::new();
    };
    let rate = load
        .rows_per_s()
        .map_or_else(String::new, |rate| format!(", {} a second", rate_in_words(rate)));
    format!(
        "{} in {}{rate}; then {} for indexes, VACUUM and ANALYZE. They take {}.",
        counted(load.n_rows, "row", "rows"),
        ms_in_words(load.load_ms),
        ms_in_words(load.finish_ms),
        bytes_in_words(load.size_bytes)
    )
}
