//! The sweep: throughput and percentiles over the number of clients, a line for each source.

use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::chart::scale;
use crate::report::benchmark::chart::series;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::percentiles::label;
use crate::report::chart::Scale;
use crate::report::chart::Shape;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;

pub(super) fn throughput(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let lines = sources(data).into_iter().enumerate().map(|(colour, source)| {
        let points = points(data, source, |level| level.record.throughput());
        series(source.unwrap_or("throughput").to_owned(), colour, points)
    });
    over_clients(
        "Transactions a second",
        Unit::Count,
        wish.scale.unwrap_or(Scale::Linear),
        lines.collect(),
    )
}

pub(super) fn latency(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let percentiles = wish.percentiles.as_slice();
    let lines: Vec<XySeries> = sources(data)
        .into_iter()
        .flat_map(|source| percentiles.iter().map(move |percentile| (source, *percentile)))
        .enumerate()
        .map(|(colour, (source, percentile))| {
            let name = match source {
                Some(source) => format!("{} under {source}", label(percentile)),
                None => label(percentile),
            };
            let points = points(data, source, |level| level.latencies.percentile_ms(percentile));
            series(name, colour, points)
        })
        .collect();
    over_clients("Latency", Unit::Milliseconds, scale(wish, &lines), lines)
}

fn over_clients(title: &str, unit: Unit, y_scale: Scale, series: Vec<XySeries>) -> XyChart {
    XyChart {
        x: axis("Clients", Unit::Whole, Scale::Linear),
        y: axis(title, unit, y_scale),
        shape: Shape::Lines,
        series,
        marks: Vec::new(),
    }
}

/// The sources in their order; one that is none where the benchmark has none.
fn sources(data: &BenchmarkData) -> Vec<Option<&str>> {
    let spec = &data.benchmark.spec;
    match spec.sources.as_slice() {
        [] => vec![None],
        sources => sources.iter().map(|source| Some(source.label.as_str())).collect(),
    }
}

/// A number of the levels of one source, in ascending order of clients.
fn points(data: &BenchmarkData, source: Option<&str>, value: impl Fn(&LevelData) -> Option<f64>) -> Vec<(f64, f64)> {
    let of_source = data.levels.iter().filter(|level| level.source.as_deref() == source);
    let mut points: Vec<(f64, f64)> = of_source
        .filter_map(|level| Some((f64::from(level.record.level.n_clients), value(level)?)))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}
