//! Experiments beside each other: what was different about them, and what each query took under one source of each.
//!
//! They ran at different times, so no trial of one belongs to a trial of another: samples are compared as wholes.

use crate::analysis::holm;
use crate::analysis::unpaired::Shift;
use crate::model::dataset::Setting;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::report::chart::Bar;
use crate::report::chart::BarChart;
use crate::report::chart::BarGroup;
use crate::report::chart::Scale;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::data::ReportData;
use crate::report::surroundings;

/// One source of one experiment, with all trials of that experiment.
pub struct Side {
    pub data: ReportData,
    pub source_idx: i32,
    pub trials: Vec<RecordedTrial>,
}

impl Side {
    /// `experiment 7, built_in`.
    pub fn label(&self) -> String {
        format!(
            "{}: {}",
            self.data.experiment.id,
            self.data.source_label(self.source_idx)
        )
    }

    fn is_in_annex(&self) -> bool {
        let source = usize::try_from(self.source_idx).ok();
        let source = source.and_then(|idx| self.data.experiment.spec.sources.get(idx));
        source.is_some_and(|source| source.annex.is_some())
    }

    /// What may have made it faster or slower, as pairs of name and value.
    fn facts(&self) -> Vec<Setting> {
        let experiment = &self.data.experiment;
        let mut facts = vec![Setting {
            name: "Queries (SHA-256)".to_owned(),
            value: experiment.workload_sha256.clone(),
        }];
        facts.extend(surroundings::facts(experiment));
        facts.extend(experiment.spec.settings.iter().cloned());
        facts.extend(experiment.environment.iter().cloned());
        facts
    }
}

/// A fact that is not the same of all; empty where one has no such fact.
pub struct Difference {
    pub name: String,
    pub values: Vec<String>,
}

/// Facts that say when and how far it ran, which always differ and explain nothing.
const OWN: [&str; 3] = ["Launched (UTC)", "Took", "Trials stored"];

/// Everything that was different about these, and how many facts were the same.
pub fn differences(sides: &[Side]) -> (Vec<Difference>, usize) {
    let facts: Vec<Vec<Setting>> = sides.iter().map(Side::facts).collect();
    let mut names: Vec<&str> = Vec::new();
    for fact in facts.iter().flatten() {
        if !names.contains(&fact.name.as_str()) && !OWN.contains(&fact.name.as_str()) {
            names.push(&fact.name);
        }
    }
    let of_name = |name: &str| {
        let value = |facts: &Vec<Setting>| {
            let fact = facts.iter().find(|fact| fact.name == name);
            fact.map(|fact| fact.value.clone()).unwrap_or_default()
        };
        facts.iter().map(value).collect::<Vec<String>>()
    };
    let all = names.iter().map(|name| Difference {
        name: (*name).to_owned(),
        values: of_name(name),
    });
    let (same, different): (Vec<Difference>, Vec<Difference>) =
        all.partition(|fact| fact.values.iter().all(|value| *value == fact.values[0]));
    (different, same.len())
}

/// What keeps times from being comparable, in words.
pub fn warnings(sides: &[Side], different: &[Difference]) -> Vec<String> {
    let mut warnings = Vec::new();
    let differs = |name: &str| different.iter().any(|fact| fact.name == name);
    for (name, words) in [
        (
            "Dump (SHA-256)",
            "They ran on different dumps: what is slower may only be larger.",
        ),
        ("server", "They ran on different versions of PostgreSQL."),
        ("processor", "They ran on different processors."),
        ("processors", "They ran on different numbers of processors."),
        ("shared_buffers", "Their servers had different shared_buffers."),
        ("Clock", "Their times are of different clocks."),
    ] {
        if differs(name) {
            warnings.push(words.to_owned());
        }
    }
    if sides.iter().any(Side::is_in_annex) {
        warnings.push(
            "One of them, at least, is a source with a script, or ran beside one, in a copy of the dataset of its own: there, \
             indexes and settings may differ, too. The page of its experiment compares it with what ran in the same copy."
                .to_owned(),
        );
    }
    let first = sides.first().map(|side| side.data.experiment.id);
    let words = if sides.iter().all(|side| Some(side.data.experiment.id) == first) {
        "These are sources of one experiment. Its own page compares them round by round: what slows down a whole round \
         falls out there, and here it does not."
    } else {
        "They ran at different times, so whatever else changed on the machine in between is in the ratios. Nothing pairs their \
         rounds: samples are compared as wholes."
    };
    warnings.push(words.to_owned());
    warnings
}

/// What is said of one query on one side beside the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Faster,
    Slower,
    NoDifference,
}

impl Word {
    pub fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifference => "no detectable difference",
        }
    }
}

/// One query on one side beside the baseline.
pub struct Line {
    /// Of the baseline.
    pub query_idx: i32,
    pub label: String,
    /// Its place among the sides; the baseline is the first.
    pub side: usize,
    pub shift: Shift,
    pub adjusted_p: f64,
    pub word: Word,
    pub is_other_plan: Option<bool>,
}

/// Below it, adjusted for all lines, a difference is called.
const LEVEL: f64 = 0.05;

/// Every query that the baseline, the first of the sides, and another side both measured, with equal text under equal labels.
pub fn lines(sides: &[Side]) -> Vec<Line> {
    let Some(base) = sides.first() else {
        return Vec::new();
    };
    let mut lines: Vec<Line> = Vec::new();
    for query in &base.data.queries {
        for (place, side) in sides.iter().enumerate().skip(1) {
            let same = side
                .data
                .queries
                .iter()
                .find(|other| other.label == query.label && other.sql == query.sql);
            let Some(same) = same else { continue };
            let (before, after) = (sample(base, query.query_idx), sample(side, same.query_idx));
            let Some(shift) = Shift::of(&before, &after) else {
                continue;
            };
            let fingerprint = |side: &Side, query_idx: i32| {
                let plan = side.data.plan(query_idx, side.source_idx)?;
                plan.fingerprint.clone()
            };
            lines.push(Line {
                query_idx: query.query_idx,
                label: query.label.clone(),
                side: place,
                shift,
                adjusted_p: 1.0,
                word: Word::NoDifference,
                is_other_plan: fingerprint(base, query.query_idx)
                    .zip(fingerprint(side, same.query_idx))
                    .map(|(before, after)| before != after),
            });
        }
    }
    let p_values: Vec<f64> = lines.iter().map(|line| line.shift.p_value).collect();
    for (line, adjusted_p) in lines.iter_mut().zip(holm::adjust(&p_values)) {
        line.adjusted_p = adjusted_p;
        line.word = match line.shift.ratio {
            _ if adjusted_p >= LEVEL => Word::NoDifference,
            ratio if ratio < 1.0 => Word::Faster,
            _ => Word::Slower,
        };
    }
    lines
}

fn sample(side: &Side, query_idx: i32) -> Vec<crate::analysis::summary::Observed> {
    side.trials
        .iter()
        .filter(|trial| {
            trial.kind == TrialKind::Measured && trial.query_idx == query_idx && trial.source_idx == side.source_idx
        })
        .map(crate::analysis::summary::Observed::from)
        .collect()
}

/// The medians of all sides over each other.
pub fn bars(sides: &[Side], scale: Scale) -> BarChart {
    let mut labels: Vec<&str> = Vec::new();
    for query in sides.iter().flat_map(|side| &side.data.queries) {
        if !labels.contains(&query.label.as_str()) {
            labels.push(&query.label);
        }
    }
    let bar = |side: &Side, label: &str| {
        let query = side.data.queries.iter().find(|query| query.label == label)?;
        let summary = side.data.summary(query.query_idx, side.source_idx)?;
        Some(Bar {
            height: summary.median_ms?,
            whisker: summary.stddev_ms.filter(|_| !summary.median_is_above),
            censored: summary.median_is_above,
        })
    };
    BarChart {
        y_title: "Median execution time".to_owned(),
        unit: Unit::Milliseconds,
        scale,
        sources: sides
            .iter()
            .enumerate()
            .map(|(colour, side)| SourceKey {
                label: side.label(),
                colour,
            })
            .collect(),
        groups: labels
            .iter()
            .map(|label| BarGroup {
                label: (*label).to_owned(),
                bars: sides.iter().map(|side| bar(side, label)).collect(),
            })
            .collect(),
    }
}
