//! How latencies are distributed: a line for each level.

use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::chart::levels;
use crate::report::benchmark::chart::series;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::Shape;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;

/// Points of a distribution function: more than its picture has pixels.
const N_POINTS: u32 = 1000;
/// Bars of a histogram from the fastest to the slowest transaction.
const N_BARS: u32 = 80;

/// Which share of transactions took at most so long.
pub(super) fn cdf(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let lines = levels(data, wish).map(|(colour, level)| {
        let foot = level.latencies.min_ms().map(|least| (least, 0.0));
        let points = foot.into_iter().chain(level.latencies.shares(N_POINTS));
        series(level.label(), colour, points.collect())
    });
    let shares = Numbers {
        title: "Share of the transactions that took at most so long".to_owned(),
        unit: None,
        scale: Scale::Linear,
    };
    over_latency(wish, shares, lines.collect())
}

/// How many took about so long: the outline of bars that are equally wide on a logarithmic axis.
pub(super) fn histogram(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let lines = levels(data, wish).map(|(colour, level)| {
        #[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
        let percent = |n: u64| 100.0 * n as f64 / level.latencies.len() as f64;
        let bars = level.latencies.bars(N_BARS);
        let foot = bars.first().map(|bar| (bar.from_ms, 0.0));
        let end = bars.last().map(|bar| (bar.to_ms, 0.0));
        let points = bars.iter().map(|bar| (bar.from_ms, percent(bar.n)));
        series(
            level.label(),
            colour,
            foot.into_iter().chain(points).chain(end).collect(),
        )
    });
    let percent = axis(
        "Share of the transactions in each of 80 steps from the fastest to the slowest",
        Unit::Percent,
        Scale::Linear,
    );
    over_latency(wish, percent, lines.collect())
}

fn over_latency(wish: &ChartWish, y: Numbers, series: Vec<XySeries>) -> XyChart {
    XyChart {
        x: axis("Latency", Unit::Milliseconds, wish.scale.unwrap_or(Scale::Log)),
        y,
        shape: Shape::Steps,
        series,
        marks: Vec::new(),
    }
}
