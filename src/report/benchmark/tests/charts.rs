//! Where the points and marks of charts lie.

use super::usual;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::chart::ChartKind;
use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::chart;
use crate::report::chart::Canvas;
use crate::report::chart::MarkShape;
use crate::report::chart::Scale;
use crate::report::chart::Theme;
use crate::report::chart::XyChart;

fn draw(data: &BenchmarkData, kind: ChartKind, level_idx: Option<i32>) -> XyChart {
    let wish = ChartWish {
        percentiles: Percentiles::parse("50,99").unwrap(),
        level_idx,
        scale: None,
    };
    chart(data, kind, &wish).unwrap()
}

fn labels(chart: &XyChart) -> Vec<&str> {
    chart.series.iter().map(|series| series.source.label.as_str()).collect()
}

fn finite(chart: &XyChart, series_idx: usize) -> Vec<(f64, f64)> {
    let points = chart.series[series_idx].points.iter().copied();
    points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

#[tokio::test]
async fn charts_show_the_numbers_of_the_tables() {
    let data = usual().await;
    let throughput = draw(&data, ChartKind::Throughput, None);
    assert_eq!(finite(&throughput, 0), [(2.0, 100.0), (4.0, 200.0)]);
    let latency = draw(&data, ChartKind::Latency, None);
    assert_eq!(labels(&latency), ["p50", "p99"]);
    assert_eq!(finite(&latency, 1), [(2.0, 0.001_099), (4.0, 0.001_599)]);
    assert_eq!(latency.y.scale, Scale::Linear);

    let cdf = draw(&data, ChartKind::Cdf, Some(1));
    assert_eq!(labels(&cdf), ["4 clients"]);
    let points = finite(&cdf, 0);
    assert_eq!((points[0], *points.last().unwrap()), ((0.001_501, 0.0), (0.0016, 1.0)));
    let histogram = draw(&data, ChartKind::Histogram, None);
    assert_eq!(labels(&histogram), ["2 clients", "4 clients"]);
    let total: f64 = finite(&histogram, 0).iter().map(|(_, percent)| percent).sum();
    assert!((total - 100.0).abs() < 1e-9, "{total}");

    let waits = draw(&data, ChartKind::Waits, None);
    assert_eq!(labels(&waits), ["at work (CPU)", "Lock"]);
    assert_eq!(
        finite(&waits, 0).len(),
        12,
        "where the server was not seen there is no line"
    );
    let cpu = draw(&data, ChartKind::Cpu, None);
    assert!(finite(&cpu, 0).iter().all(|(_, cores)| (cores - 1.5).abs() < 1e-9));
    assert!(
        finite(&draw(&data, ChartKind::CacheHits, None), 0)
            .iter()
            .all(|(_, share)| (share - 0.99).abs() < 1e-9)
    );
    assert!(
        finite(&draw(&data, ChartKind::Wal, None), 0)
            .iter()
            .all(|(_, bytes)| (bytes - 2e6).abs() < 1e-3)
    );
    for kind in ChartKind::ALL {
        assert!(kind.has_data(&data), "{kind:?}");
        assert_eq!(ChartKind::parse(kind.word()), Some(kind));
        let drawn = draw(&data, kind, None);
        let (width, height) = drawn.default_size().unwrap();
        let canvas = Canvas {
            width,
            height,
            scale: 1,
            theme: Theme::Light,
        };
        assert!(drawn.draw(&canvas).unwrap().starts_with(b"\x89PNG"), "{kind:?}");
    }
}

#[tokio::test]
async fn the_time_line_marks_what_happened_and_breaks_between_attempts() {
    let data = usual().await;
    let chart = draw(&data, ChartKind::ThroughputOverTime, None);
    let of_shape = |chart: &XyChart, shape: MarkShape| -> Vec<(f64, f64)> {
        let marks = chart.marks.iter().filter(|mark| mark.shape == shape);
        marks.map(|mark| (mark.from, mark.to)).collect()
    };
    // Three seconds of the interrupted attempt, thirteen of the second, twelve of the other level.
    assert_eq!(
        of_shape(&chart, MarkShape::Post),
        [(0.0, 0.0), (3.0, 3.0), (16.0, 16.0)]
    );
    assert_eq!(
        chart
            .marks
            .iter()
            .filter(|mark| mark.label == "2 clients, attempt 2")
            .count(),
        1
    );
    assert_eq!(of_shape(&chart, MarkShape::Shaded), [(0.0, 3.0), (3.0, 4.0)]);
    assert_eq!(of_shape(&chart, MarkShape::Striped), [(20.0, 20.5)]);
    assert_eq!(of_shape(&chart, MarkShape::Caret).len(), 16);
    let points = &chart.series[0].points;
    assert_eq!((points[0], points[4]), ((0.5, 100.0), (3.5, 100.0)));
    assert!(points[3].0.is_nan() && points[17].0.is_nan(), "{points:?}");

    let second = draw(&data, ChartKind::ThroughputOverTime, Some(1));
    assert_eq!(of_shape(&second, MarkShape::Striped), [(4.0, 4.5)]);
    assert_eq!(finite(&second, 0)[..2], [(0.5, 190.0), (1.5, 200.0)]);
    let latency = draw(&data, ChartKind::LatencyOverTime, Some(0));
    assert_eq!(finite(&latency, 0)[0], (0.5, 0.001_05));
    let errors = draw(&data, ChartKind::ErrorsOverTime, Some(0));
    assert!(finite(&errors, 0).iter().all(|(_, per_s)| (per_s - 1.0).abs() < 1e-9));
}
