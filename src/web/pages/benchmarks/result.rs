//! What a benchmark that is over came to, as its page shows it.

use crate::model::benchmark::Pace;
use crate::model::benchmark::ProgramText;
use crate::model::dataset::Setting;
use crate::model::ids::BenchmarkId;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::LevelData;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::export;
use crate::report::benchmark::export::FileKind;
use crate::report::benchmark::facts;
use crate::report::benchmark::levels;
use crate::report::benchmark::levels::LevelRow;
use crate::report::benchmark::server;
use crate::report::benchmark::server::ServerRow;
use crate::report::benchmark::shares;
use crate::report::benchmark::shares::LevelShares;
use crate::report::benchmark::statements;
use crate::report::benchmark::statements::ErrorRow;
use crate::report::benchmark::statements::StatementRow;
use crate::web::pages::benchmarks::chart::ChartView;
use crate::web::pages::benchmarks::chart::ViewParams;
use crate::web::pages::benchmarks::measure;
use crate::web::urls;

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
    /// Where the load came from, where several workers made it.
    pub shares: Vec<LevelShares>,
    pub statements: Vec<LevelStatements>,
    pub errors: Vec<ErrorRow>,
    pub server: Vec<ServerRow>,
    /// How the tables were loaded; empty on a dataset.
    pub loading: Vec<Setting>,
    pub facts: Vec<Setting>,
    pub settings: Vec<Setting>,
    pub environment: Vec<Setting>,
    pub programs: Vec<ProgramText>,
    pub warnings: Vec<String>,
    pub exports: Vec<ExportLink>,
}

/// A file to take away.
pub(super) struct ExportLink {
    pub address: String,
    pub about: &'static str,
    pub is_read: bool,
}

/// The programs and statements of one level.
pub(super) struct LevelStatements {
    pub level: String,
    pub rows: Vec<StatementRow>,
}

impl ResultView {
    pub fn new(data: &BenchmarkData, params: &ViewParams) -> anyhow::Result<Self> {
        let percentiles = &params.percentiles;
        let of_level = |level: &LevelData| {
            Ok(LevelStatements {
                level: level.label(),
                rows: statements::rows(data, level, percentiles)?,
            })
        };
        let statements: anyhow::Result<Vec<LevelStatements>> = data.levels.iter().map(of_level).collect();
        let (benchmark, spec) = (&data.benchmark, &data.benchmark.spec);
        Ok(Self {
            percentiles: percentiles.to_text(),
            labels: percentiles.labels(),
            problem: params.problem.clone(),
            kind: params.kind.word(),
            chart: ChartView::new(data, params)?,
            levels: levels::rows(data, percentiles),
            has_rate: matches!(spec.pace, Pace::Rate { .. }),
            has_objective: spec.objective.is_some(),
            uncounted: data.uncounted(),
            shares: shares::rows(data),
            statements: statements?,
            errors: statements::errors(data),
            server: server::rows(data),
            loading: benchmark.load.as_ref().map(facts::loading).unwrap_or_default(),
            facts: facts::facts(benchmark),
            settings: spec.settings.clone(),
            environment: benchmark.environment.clone(),
            programs: spec.mix.programs.clone(),
            warnings: facts::warnings(benchmark),
            exports: export::ALL
                .iter()
                .map(|kind| export_link(benchmark.id, kind, percentiles))
                .collect(),
        })
    }
}

fn export_link(id: BenchmarkId, kind: &FileKind, percentiles: &Percentiles) -> ExportLink {
    let address = urls::benchmark_part(id, kind.name);
    ExportLink {
        address: if measure::go_without_saying(percentiles) {
            address
        } else {
            urls::with_query(&address, [("p", percentiles.to_text().as_str())])
        },
        about: kind.about,
        is_read: kind.is_read,
    }
}
