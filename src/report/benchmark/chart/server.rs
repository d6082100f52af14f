//! What the server did, second by second, on the same axis as what was measured.

use crate::model::benchmark::SecondRecord;
use crate::model::benchmark::ServerSecond;
use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::chart::over_time::Timeline;
use crate::report::benchmark::chart::series;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::server;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;

/// Classes of waits that one chart shows: the most frequent ones.
const MOST_CLASSES: usize = 8;

/// Sessions that waited, by class.
pub(super) fn waits(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let timeline = Timeline::new(data, wish);
    let classes = server::classes(&data.seconds).into_iter().take(MOST_CLASSES);
    let lines = classes.enumerate().map(|(colour, class)| {
        let points = timeline.points(|second| {
            let waits = &second.server.as_ref()?.waits;
            let of_class = waits.iter().filter(|wait| wait.class == class);
            Some(of_class.map(|wait| f64::from(wait.n)).sum())
        });
        let label = if class == "CPU" {
            "at work (CPU)".to_owned()
        } else {
            class.clone()
        };
        series(label, colour, points)
    });
    let lines = lines.collect();
    timeline.chart(
        axis(
            "Sessions, by what they waited for",
            Unit::Count,
            wish.scale.unwrap_or(Scale::Linear),
        ),
        lines,
    )
}

/// Which share of blocks were in shared buffers.
pub(super) fn cache_hits(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let shares = Numbers {
        title: "Share of blocks found in shared buffers".to_owned(),
        unit: None,
        scale: Scale::Linear,
    };
    line(data, wish, "found in shared buffers", shares, |server, _| {
        server::hit_share(server.blocks_hit?, server.blocks_read?)
    })
}

pub(super) fn wal(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let bytes = axis(
        "Write-ahead log a second, of the whole server",
        Unit::Bytes,
        wish.scale.unwrap_or(Scale::Linear),
    );
    line(data, wish, "write-ahead log", bytes, |server, second| {
        Some(server::number(server.wal_bytes)? * 1000.0 / second.span_ms)
    })
}

pub(super) fn cpu(data: &BenchmarkData, wish: &ChartWish) -> XyChart {
    let processors = axis("Processors kept busy", Unit::Count, wish.scale.unwrap_or(Scale::Linear));
    let timeline = Timeline::new(data, wish);
    let of_server = timeline.points(|second| Some(second.server.as_ref()?.cpu_ms? / second.span_ms));
    let of_generator = timeline.points(|second| Some(second.generator_cpu_ms / second.span_ms));
    let lines = vec![
        series("the server".to_owned(), 0, of_server),
        series("pgassay, making the load".to_owned(), 1, of_generator),
    ];
    timeline.chart(processors, lines)
}

fn line(
    data: &BenchmarkData,
    wish: &ChartWish,
    label: &str,
    y: Numbers,
    value: impl Fn(&ServerSecond, &SecondRecord) -> Option<f64>,
) -> XyChart {
    let timeline = Timeline::new(data, wish);
    let points = timeline.points(|second| value(second.server.as_ref()?, second));
    let lines = vec![series(label.to_owned(), 0, points)];
    timeline.chart(y, lines)
}
