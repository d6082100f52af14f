//! The charts of a benchmark, built from the numbers of its tables.

mod over_clients;
mod over_time;
mod server;
mod shape;

use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;

/// Beyond this range of values a logarithmic scale is the better one.
const LOG_BEYOND: f64 = 50.0;

/// What a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// Throughput over clients, and percentiles over clients: the sweep.
    Throughput,
    Latency,
    /// The same second by second, and failed transactions.
    ThroughputOverTime,
    LatencyOverTime,
    ErrorsOverTime,
    /// Which share of transactions took at most how long, and how many took about how long.
    Cdf,
    Histogram,
    /// What the server did, second by second.
    Waits,
    CacheHits,
    Wal,
    Cpu,
}

impl ChartKind {
    /// In the order in which pages offer them.
    pub const ALL: [Self; 11] = [
        Self::Throughput,
        Self::Latency,
        Self::ThroughputOverTime,
        Self::LatencyOverTime,
        Self::ErrorsOverTime,
        Self::Cdf,
        Self::Histogram,
        Self::Waits,
        Self::CacheHits,
        Self::Wal,
        Self::Cpu,
    ];

    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::ThroughputOverTime => "throughput_time",
            Self::LatencyOverTime => "latency_time",
            Self::ErrorsOverTime => "errors_time",
            Self::Cdf => "cdf",
            Self::Histogram => "histogram",
            Self::Waits => "waits",
            Self::CacheHits => "cache",
            Self::Wal => "wal",
            Self::Cpu => "cpu",
        }
    }

    /// As the label of a choice, and as what a picture is said to be.
    pub fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput over clients",
            Self::Latency => "Latency over clients",
            Self::ThroughputOverTime => "Throughput, second by second",
            Self::LatencyOverTime => "Latency, second by second",
            Self::ErrorsOverTime => "Errors, second by second",
            Self::Cdf => "Latency: which share took at most so long",
            Self::Histogram => "Latency: how many took about so long",
            Self::Waits => "What sessions waited for",
            Self::CacheHits => "Blocks found in shared buffers",
            Self::Wal => "Write-ahead log",
            Self::Cpu => "Processors kept busy",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether it can be of one level as well as of all.
    pub fn is_of_levels(self) -> bool {
        match self {
            Self::Throughput | Self::Latency => false,
            Self::ThroughputOverTime
            | Self::LatencyOverTime
            | Self::ErrorsOverTime
            | Self::Cdf
            | Self::Histogram
            | Self::Waits
            | Self::CacheHits
            | Self::Wal
            | Self::Cpu => true,
        }
    }

    /// Whether it is drawn from the latencies of each second.
    pub fn is_of_seconds(self) -> bool {
        self == Self::LatencyOverTime
    }

    /// Whether there is anything to draw.
    pub fn has_data(self, data: &BenchmarkData) -> bool {
        let seconds = || data.seconds.iter();
        let server = || seconds().filter_map(|second| second.server.as_ref());
        match self {
            Self::Throughput | Self::Latency | Self::Cdf | Self::Histogram => !data.levels.is_empty(),
            Self::ThroughputOverTime | Self::LatencyOverTime => !data.seconds.is_empty(),
            Self::ErrorsOverTime => seconds().any(|second| second.totals.n_failed > 0),
            Self::Waits => server().any(|server| !server.waits.is_empty()),
            Self::CacheHits => server().any(|server| server.blocks_hit.is_some()),
            Self::Wal => server().any(|server| server.wal_bytes.is_some()),
            Self::Cpu => server().any(|server| server.cpu_ms.is_some()),
        }
    }
}

/// What a chart is asked for.
#[derive(Clone, Debug, Default)]
pub struct ChartWish {
    pub percentiles: Percentiles,
    /// One level by its place in the order; none for all.
    pub level_idx: Option<i32>,
    /// None for the one that suits the numbers.
    pub scale: Option<Scale>,
}

/// A chart of this kind.
pub fn chart(data: &BenchmarkData, kind: ChartKind, wish: &ChartWish) -> anyhow::Result<XyChart> {
    Ok(match kind {
        ChartKind::Throughput => over_clients::throughput(data, wish),
        ChartKind::Latency => over_clients::latency(data, wish),
        ChartKind::ThroughputOverTime => over_time::throughput(data, wish),
        ChartKind::LatencyOverTime => over_time::latency(data, wish)?,
        ChartKind::ErrorsOverTime => over_time::errors(data, wish),
        ChartKind::Cdf => shape::cdf(data, wish),
        ChartKind::Histogram => shape::histogram(data, wish),
        ChartKind::Waits => server::waits(data, wish),
        ChartKind::CacheHits => server::cache_hits(data, wish),
        ChartKind::Wal => server::wal(data, wish),
        ChartKind::Cpu => server::cpu(data, wish),
    })
}

/// The levels that were asked for, with their places among all.
fn levels<'a>(data: &'a BenchmarkData, wish: &ChartWish) -> impl Iterator<Item = (usize, &'a LevelData)> {
    let wished = wish.level_idx;
    let levels = data.levels.iter().enumerate();
    levels.filter(move |(_, level)| wished.is_none_or(|idx| level.record.level.level_idx == idx))
}

fn series(label: String, colour: usize, points: Vec<(f64, f64)>) -> XySeries {
    XySeries {
        source: SourceKey { label, colour },
        points,
    }
}

pub(super) fn axis(title: &str, unit: Unit, scale: Scale) -> Numbers {
    Numbers {
        title: title.to_owned(),
        unit: Some(unit),
        scale,
    }
}

/// The scale that was asked for, or the logarithmic one where small values would vanish on the other.
fn scale(wish: &ChartWish, series: &[XySeries]) -> Scale {
    let values = series.iter().flat_map(|series| &series.points).map(|(_, y)| *y);
    let positive = values.filter(|y| y.is_finite() && *y > 0.0);
    let (least, most) = positive.fold((f64::INFINITY, 0.0_f64), |(least, most), y| (least.min(y), most.max(y)));
    wish.scale.unwrap_or(if most > LOG_BEYOND * least {
        Scale::Log
    } else {
        Scale::Linear
    })
}
