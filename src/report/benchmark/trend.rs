//! Benchmarks that asked for the same, one after the other: what became of each level over time.

use sqlx::PgConnection;

use crate::analysis::change::Change;
use crate::analysis::change::Judgement;
use crate::analysis::change::Reading;
use crate::analysis::change::Wanted;
use crate::analysis::change::judge;
use crate::model::benchmark::Benchmark;
use crate::model::ids::BenchmarkId;
use crate::model::user::Viewer;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::Detail;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::data::label;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::readings::Measure;
use crate::report::benchmark::readings::readings;
use crate::report::chart::Scale;
use crate::report::chart::Shape;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;
use crate::store;
use crate::store::benchmarks::BestLevel;

/// The newest benchmarks of a configuration of which a level counts, oldest first, at most `limit`.
pub async fn load(
    conn: &mut PgConnection,
    viewer: Viewer,
    configuration: &str,
    limit: i64,
    detail: Detail,
) -> anyhow::Result<Vec<BenchmarkData>> {
    let benchmarks = store::benchmarks::list_by_configuration(&mut *conn, viewer, configuration, limit).await?;
    let mut history = Vec::with_capacity(benchmarks.len());
    for benchmark in benchmarks.into_iter().rev() {
        let data = BenchmarkData::load_with(&mut *conn, viewer, benchmark.id, detail).await?;
        history.extend(data.filter(|data| !data.levels.is_empty()));
    }
    Ok(history)
}

/// One benchmark of a history.
#[derive(Clone, Debug)]
pub struct TrendRow {
    pub benchmark: Benchmark,
    pub levels: Vec<TrendLevel>,
}

/// One level of it.
#[derive(Clone, Debug)]
pub struct TrendLevel {
    pub label: String,
    /// Throughput first, then percentiles as the reader chose them.
    pub values: Vec<TrendValue>,
}

/// One number of it.
#[derive(Clone, Debug)]
pub struct TrendValue {
    pub measure: Measure,
    pub value: Option<f64>,
    /// Beside the last benchmark before it that has this level; none for the first.
    pub change: Option<(Change, Judgement)>,
}

/// Throughput and percentiles of a level.
type Readings = Vec<(Measure, Option<Reading>)>;

/// Each benchmark of a history, oldest first, beside the one before it; what changed in one of them is judged together.
pub fn rows(history: &[BenchmarkData], percentiles: &Percentiles) -> anyhow::Result<Vec<TrendRow>> {
    let mut known: Vec<Vec<Readings>> = Vec::with_capacity(history.len());
    let mut rows = Vec::with_capacity(history.len());
    for (idx, data) in history.iter().enumerate() {
        let levels = data.levels.iter().map(|level| readings(level, percentiles));
        let levels = levels.collect::<anyhow::Result<Vec<Readings>>>()?;
        let changes = data.levels.iter().zip(&levels).map(|(level, after)| {
            let before = previous(&history[..idx], level).map(|(at, place)| &known[at][place]);
            changes(before, after)
        });
        rows.push(TrendRow {
            benchmark: data.benchmark.clone(),
            levels: judged(data, &levels, &changes.collect::<Vec<_>>()),
        });
        known.push(levels);
    }
    Ok(rows)
}

/// Where the same level is in the last benchmark that has it: its place in the history, and in the benchmark.
fn previous(before: &[BenchmarkData], level: &LevelData) -> Option<(usize, usize)> {
    let same = |data: &BenchmarkData| data.levels.iter().position(|other| other.key() == level.key());
    let mut places = before.iter().enumerate().rev();
    places.find_map(|(at, data)| Some((at, same(data)?)))
}

/// What each number of a level is beside the same of the level before it.
fn changes(before: Option<&Readings>, after: &Readings) -> Vec<Option<Change>> {
    let before = |place: usize| before.and_then(|before| before.get(place)?.1);
    let changes = after.iter().enumerate();
    changes
        .map(|(place, (_, after))| Change::of(&before(place)?, after.as_ref()?))
        .collect()
}

/// The numbers of all levels of a benchmark with what is said of their changes together.
fn judged(data: &BenchmarkData, levels: &[Readings], changes: &[Vec<Option<Change>>]) -> Vec<TrendLevel> {
    let each = levels.iter().flatten().zip(changes.iter().flatten());
    let wanted: Vec<(Change, Wanted)> = each
        .filter_map(|((measure, _), change)| Some(((*change)?, measure.wanted())))
        .collect();
    let mut judgements = judge(&wanted).into_iter();
    let mut value = |((measure, reading), change): (&(Measure, Option<Reading>), &Option<Change>)| TrendValue {
        measure: *measure,
        value: reading.map(|reading| reading.value),
        change: change.and_then(|change| Some((change, judgements.next()?))),
    };
    let levels = data.levels.iter().zip(levels).zip(changes);
    levels
        .map(|((level, readings), changes)| TrendLevel {
            label: level.label(),
            values: readings.iter().zip(changes).map(&mut value).collect(),
        })
        .collect()
}

/// One measure of every level over the benchmarks of a history, numbered from 1.
pub fn chart(history: &[BenchmarkData], measure: Measure, scale: Scale) -> XyChart {
    let mut keys: Vec<(u32, Option<&str>)> = history
        .iter()
        .flat_map(|data| data.levels.iter().map(LevelData::key))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |data: &BenchmarkData, key| {
        let level = data.levels.iter().find(|level| level.key() == key)?;
        match measure {
            Measure::Throughput => level.record.throughput(),
            Measure::Percentile(percentile) => level.latencies.percentile_ms(percentile),
        }
    };
    let series = keys.into_iter().enumerate().map(|(colour, key)| XySeries {
        source: SourceKey {
            label: label(key.0, key.1),
            colour,
        },
        points: (1_u32..)
            .zip(history)
            .map(|(number, data)| (f64::from(number), value(data, key).unwrap_or(f64::NAN)))
            .collect(),
    });
    XyChart {
        x: axis("Benchmark, from the oldest", Unit::Whole, Scale::Linear),
        y: measure.axis(scale),
        shape: Shape::Lines,
        series: series.collect(),
        marks: Vec::new(),
    }
}

/// The highest throughput of a benchmark beside those before it of the same configuration, for a line of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spark {
    /// The highest throughput of each, oldest first; the benchmark's own is the last.
    pub throughputs: Vec<f64>,
    /// The one before.
    pub before: Option<BenchmarkId>,
}

impl Spark {
    /// By how much its throughput is above that of the one before, as a share of that; none where there is none before.
    pub fn delta(&self) -> Option<f64> {
        match self.throughputs.as_slice() {
            [.., before, now] if *before > 0.0 => Some(now / before - 1.0),
            _ => None,
        }
    }
}

/// The sparks of these benchmarks, in their order, each over at most `limit` of its configuration.
pub async fn sparks(
    conn: &mut PgConnection,
    viewer: Viewer,
    benchmarks: &[Benchmark],
    limit: i64,
) -> store::Result<Vec<Spark>> {
    let mut configurations: Vec<String> = benchmarks.iter().map(|one| one.configuration.clone()).collect();
    configurations.sort_unstable();
    configurations.dedup();
    let best = store::benchmarks::list_best_levels(conn, viewer, &configurations, limit).await?;
    let spark = |benchmark: &Benchmark| {
        let same = best.iter().filter(|run| run.configuration == benchmark.configuration);
        let by_then: Vec<&BestLevel> = same.filter(|run| run.id.0 <= benchmark.id.0).collect();
        match by_then.split_last() {
            Some((own, others)) if own.id == benchmark.id => Spark {
                throughputs: by_then.iter().map(|run| run.throughput).collect(),
                before: others.last().map(|run| run.id),
            },
            _ => Spark::default(),
        }
    };
    Ok(benchmarks.iter().map(spark).collect())
}
