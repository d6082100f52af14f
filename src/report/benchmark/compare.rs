//! Benchmarks beside each other: level by level, with a baseline, and what was different about them.

use crate::analysis::change::Change;
use crate::analysis::change::Judgement;
use crate::analysis::change::Verdict;
use crate::analysis::change::judge;
use crate::model::dataset::Setting;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::facts;
use crate::report::benchmark::figures;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::readings::Measure;
use crate::report::benchmark::readings::readings;
use crate::report::chart::Scale;
use crate::report::chart::Shape;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;
use crate::report::compared;
use crate::report::table::Figure;

/// One measure of one level on one side beside the baseline.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: String,
    /// Its place among the benchmarks; the baseline is 0.
    pub side: usize,
    pub measure: Measure,
    pub change: Change,
    pub judgement: Judgement,
}

/// A level that is not compared, or a measure of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub level: String,
    /// The place of the benchmark that it is not compared with the baseline for.
    pub side: usize,
    pub why: &'static str,
}

/// What the baseline and others have in common, and what they have not.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Judged as one family.
    pub lines: Vec<Line>,
    pub left_out: Vec<LeftOut>,
}

/// Compares every level that the baseline, the first of them, and another have in common: of as many clients under the
/// source of the same label.
pub fn compare(sides: &[BenchmarkData], percentiles: &Percentiles) -> anyhow::Result<Lines> {
    let Some((base, others)) = sides.split_first() else {
        return Ok(Lines::default());
    };
    let (mut changes, mut left_out) = (Vec::new(), Vec::new());
    for level in &base.levels {
        let before = readings(level, percentiles)?;
        for (side, other) in (1_usize..).zip(others) {
            let mut leave_out = |why| {
                left_out.push(LeftOut {
                    level: level.label(),
                    side,
                    why,
                });
            };
            let Some(same) = other.levels.iter().find(|other| other.key() == level.key()) else {
                leave_out("only the baseline has this level");
                continue;
            };
            let after = readings(same, percentiles)?;
            for ((measure, before), (_, after)) in before.iter().zip(after) {
                let both = before.as_ref().zip(after);
                match both.and_then(|(before, after)| Change::of(before, &after)) {
                    Some(change) => changes.push((level, side, *measure, change)),
                    None => leave_out("on one of both sides no transaction came to its end"),
                }
            }
        }
    }
    for (side, other) in (1_usize..).zip(others) {
        let is_known = |level: &LevelData| base.levels.iter().any(|known| known.key() == level.key());
        let unknown = other.levels.iter().filter(|level| !is_known(level));
        left_out.extend(unknown.map(|level| LeftOut {
            level: level.label(),
            side,
            why: "the baseline has no such level",
        }));
    }
    left_out.dedup();
    Ok(Lines {
        lines: judged(changes),
        left_out,
    })
}

fn judged(changes: Vec<(&LevelData, usize, Measure, Change)>) -> Vec<Line> {
    let wanted: Vec<_> = changes
        .iter()
        .map(|(_, _, measure, change)| (*change, measure.wanted()))
        .collect();
    let judged = changes.into_iter().zip(judge(&wanted));
    judged
        .map(|((level, side, measure, change), judgement)| Line {
            level: level.label(),
            side,
            measure,
            change,
            judgement,
        })
        .collect()
}

/// A line as a page shows it.
#[derive(Clone, Debug)]
pub struct LineRow {
    pub level: String,
    pub side: usize,
    pub measure: String,
    pub verdict: Verdict,
    pub base: Figure,
    pub other: Figure,
    pub ratio: Figure,
    pub ratio_interval: Figure,
    /// With its sign.
    pub difference: Figure,
    pub difference_interval: Figure,
    pub p: Figure,
    /// The smallest ratio that would have shown.
    pub detectable: Figure,
}

impl From<&Line> for LineRow {
    fn from(line: &Line) -> Self {
        let in_words = match line.measure {
            Measure::Throughput => |rate: f64| format!("{}/s", rate_in_words(rate)),
            Measure::Percentile(_) => ms_in_words,
        };
        let (change, judgement) = (&line.change, &line.judgement);
        let sureness = change.sureness.as_ref();
        Self {
            level: line.level.clone(),
            side: line.side,
            measure: line.measure.title(),
            verdict: judgement.verdict,
            base: figures::figure(Some(change.base), in_words),
            other: figures::figure(Some(change.other), in_words),
            ratio: compared::ratio(change.ratio),
            ratio_interval: compared::interval(sureness.map(|sureness| sureness.ratio)),
            difference: figures::signed(change.difference, in_words),
            difference_interval: figures::between(sureness.map(|sureness| sureness.difference), |end| {
                figures::signed(end, in_words).shown
            }),
            p: judgement
                .adjusted_p
                .map_or_else(|| figures::figure(None, in_words), compared::p_value),
            detectable: compared::detectable(judgement.detectable),
        }
    }
}

/// A fact that is not the same of all; empty where one has no such fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub name: String,
    pub values: Vec<String>,
}

/// Facts that say when and how far it ran, which always differ and explain nothing.
const OWN: [&str; 3] = ["Launched (UTC)", "Took", "Seed"];

/// Everything that was different about these, and how many facts were the same.
pub fn differences(sides: &[BenchmarkData]) -> (Vec<Difference>, usize) {
    let facts: Vec<Vec<Setting>> = sides.iter().map(all_facts).collect();
    let mut names: Vec<&str> = Vec::new();
    for fact in facts.iter().flatten() {
        if !names.contains(&fact.name.as_str()) && !OWN.contains(&fact.name.as_str()) {
            names.push(&fact.name);
        }
    }
    let all = names.into_iter().map(|name| Difference {
        name: name.to_owned(),
        values: facts
            .iter()
            .map(|facts| {
                let fact = facts.iter().find(|fact| fact.name == name);
                fact.map(|fact| fact.value.clone()).unwrap_or_default()
            })
            .collect(),
    });
    let (same, different): (Vec<Difference>, Vec<Difference>) =
        all.partition(|fact| fact.values.iter().all(|value| *value == fact.values[0]));
    (different, same.len())
}

/// What may have made it faster or slower, as pairs of name and value.
fn all_facts(data: &BenchmarkData) -> Vec<Setting> {
    let benchmark = &data.benchmark;
    let mut facts = facts::facts(benchmark);
    let programs = benchmark.spec.mix.programs.iter();
    let texts = programs.map(|program| format!("{} × {}: {}", program.weight, program.name, program.text));
    facts.push(Setting {
        name: "Programs".to_owned(),
        value: texts.collect::<Vec<String>>().join("\n"),
    });
    facts.extend(benchmark.spec.settings.iter().cloned());
    facts.extend(benchmark.environment.iter().cloned());
    facts
}

/// What keeps numbers from being comparable, in words.
pub fn warnings(sides: &[BenchmarkData], different: &[Difference]) -> Vec<String> {
    let differs = |name: &str| different.iter().any(|fact| fact.name == name);
    let mut warnings: Vec<String> = [
        (
            "Target",
            "They ran on different targets: what is slower may only be larger.",
        ),
        ("Programs", "Their clients did different things."),
        ("Pace", "Their transactions followed each other in different ways."),
        ("Protocol", "They sent statements by different protocols."),
        ("Connections", "They used connections differently."),
        ("Duration of a level", "Their levels took different times."),
        ("Autovacuum", "Autovacuum ran beside one, and not beside another."),
        ("server", "They ran on different versions of PostgreSQL."),
        ("pgassay", "Their load was made by different versions of pgassay."),
        ("processor", "They ran on different processors."),
        ("processors", "They ran on different numbers of processors."),
        ("shared_buffers", "Their servers had different shared_buffers."),
    ]
    .into_iter()
    .filter(|(name, _)| differs(name))
    .map(|(_, words)| words.to_owned())
    .collect();
    let limited = sides.iter().flat_map(|data| {
        let limited = data
            .levels
            .iter()
            .filter(|level| level.record.notes.is_generator_limited);
        limited.map(|level| format!("benchmark {} with {}", data.benchmark.id, level.label()))
    });
    let limited: Vec<String> = limited.collect();
    if !limited.is_empty() {
        warnings.push(format!(
            "pgassay itself, and not the server, was the limit of {}.",
            limited.join(", ")
        ));
    }
    warnings.push(
        "They ran at different times, so whatever else changed on the machine in between is in the ratios. The intervals allow \
         for the noise within each level, and not for that."
            .to_owned(),
    );
    warnings
}

/// One measure over the number of clients, a line for each benchmark and source.
pub fn chart(sides: &[BenchmarkData], measure: Measure, scale: Scale) -> XyChart {
    let mut series: Vec<XySeries> = Vec::new();
    for data in sides {
        for level in &data.levels {
            let value = match measure {
                Measure::Throughput => level.record.throughput(),
                Measure::Percentile(percentile) => level.latencies.percentile_ms(percentile),
            };
            let Some(value) = value else { continue };
            let label = match &level.source {
                Some(source) => format!("{}: {source}", data.benchmark.id),
                None => data.benchmark.id.to_string(),
            };
            let point = (f64::from(level.record.level.n_clients), value);
            match series.iter_mut().find(|series| series.source.label == label) {
                Some(series) => series.points.push(point),
                None => series.push(XySeries {
                    source: SourceKey {
                        label,
                        colour: series.len(),
                    },
                    points: vec![point],
                }),
            }
        }
    }
    for series in &mut series {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    XyChart {
        x: axis("Clients", Unit::Whole, Scale::Linear),
        y: measure.axis(scale),
        shape: Shape::Lines,
        series,
        marks: Vec::new(),
    }
}
