//! Experiments beside each other: what was different about them, and what each query took under one source of each.
//!
//! They ran at different times, so no trial of one belongs to a trial of another: samples are compared as wholes.

use crate::analysis::family::Judgement;
use crate::analysis::summary::Observed;
use crate::analysis::unpaired;
use crate::analysis::unpaired::Shift;
use crate::model::dataset::Setting;
use crate::model::experiment::ExperimentQuery;
use crate::model::ids::ExperimentId;
use crate::model::trial::RecordedTrial;
use crate::report::chart::Bar;
use crate::report::chart::BarChart;
use crate::report::chart::BarGroup;
use crate::report::chart::Scale;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::charts;
use crate::report::data::ReportData;
use crate::report::surroundings;

/// One source of one experiment, with all trials of that experiment.
pub struct Side {
    pub data: ReportData,
    pub source_idx: i32,
    pub trials: Vec<RecordedTrial>,
}

impl Side {
    /// `7: built_in`.
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
        let fact = |name: &str, value: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let mut facts = vec![
            fact("Dataset", &experiment.dataset_name),
            fact("Workload", &experiment.workload_name),
            fact("Queries (SHA-256)", &experiment.workload_sha256),
        ];
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
        (
            "Queries (SHA-256)",
            "They ran different workloads: only queries with the same name and text are compared.",
        ),
        ("server", "They ran on different versions of PostgreSQL."),
        ("processor", "They ran on different processors."),
        ("processors", "They ran on different numbers of processors."),
        ("shared_buffers", "Their servers had different shared_buffers."),
        ("Clock", "Their times are of different clocks."),
        (
            "Timeout",
            "Their timeouts differ: beyond the lower one, nothing can be told apart.",
        ),
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

/// One query on one side beside the baseline.
pub struct Line {
    /// Of the baseline.
    pub query_idx: i32,
    pub label: String,
    /// Its place among the sides; the baseline is the first.
    pub side: usize,
    pub shift: Shift,
    pub is_other_plan: Option<bool>,
}

/// A query that is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub label: String,
    /// The place among the sides of the one that it is not compared with the baseline for.
    pub side: usize,
    pub why: &'static str,
}

/// What the baseline and the other sides have in common, and what they have not.
#[derive(Default)]
pub struct Lines {
    /// Judged as one family.
    pub compared: Vec<(Line, Judgement)>,
    pub left_out: Vec<LeftOut>,
}

/// Compares every query that the baseline, the first of the sides, and another side both measured, with equal text under
/// equal labels.
pub fn lines(sides: &[Side]) -> Lines {
    let Some((base, others)) = sides.split_first() else {
        return Lines::default();
    };
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for query in &base.data.queries {
        for (place, side) in (1_usize..).zip(others) {
            match line(base, query, place, side) {
                Ok(line) => lines.push(line),
                Err(why) => left_out.push(LeftOut {
                    label: query.label.clone(),
                    side: place,
                    why,
                }),
            }
        }
    }
    for (place, side) in (1_usize..).zip(others) {
        let is_known = |label: &str| base.data.queries.iter().any(|query| query.label == label);
        let unknown = side.data.queries.iter().filter(|query| !is_known(&query.label));
        left_out.extend(unknown.map(|query| LeftOut {
            label: query.label.clone(),
            side: place,
            why: "the baseline has no query of this name",
        }));
    }
    let shifts: Vec<Shift> = lines.iter().map(|line| line.shift).collect();
    Lines {
        compared: lines.into_iter().zip(unpaired::judge(&shifts)).collect(),
        left_out,
    }
}

/// One query of the baseline beside the same of another side, or why there is none.
fn line(base: &Side, query: &ExperimentQuery, place: usize, side: &Side) -> Result<Line, &'static str> {
    let of_name = side.data.queries.iter().find(|other| other.label == query.label);
    let same = of_name.ok_or("only the baseline has a query of this name")?;
    if same.sql != query.sql {
        return Err("the query of this name has another text there");
    }
    let (before, after) = (Timed::of(base, query.query_idx), Timed::of(side, same.query_idx));
    if before == after {
        return Err("one draw stands for both, with the same plan");
    }
    let (before, after) = (before.sample(base), after.sample(side));
    if before.is_empty() || after.is_empty() {
        return Err("on one of both sides it was not timed");
    }
    let shift = Shift::of(&before, &after).ok_or("on one of both sides a trial failed")?;
    let fingerprint = |side: &Side, query_idx: i32| {
        let plan = side.data.plan(query_idx, side.source_idx)?;
        plan.fingerprint.clone()
    };
    let plans = fingerprint(base, query.query_idx).zip(fingerprint(side, same.query_idx));
    Ok(Line {
        query_idx: query.query_idx,
        label: query.label.clone(),
        side: place,
        shift,
        is_other_plan: plans.map(|(before, after)| before != after),
    })
}

/// Whose trials are those of a query on a side: its source's own, or those of the draw that was timed in its place.
#[derive(PartialEq)]
struct Timed {
    experiment_id: ExperimentId,
    query_idx: i32,
    source_idx: i32,
}

impl Timed {
    fn of(side: &Side, query_idx: i32) -> Self {
        let timed = side.data.timed(query_idx, side.source_idx);
        let source_idx = timed.map_or(side.source_idx, |summary| summary.source_idx);
        Self {
            experiment_id: side.data.experiment.id,
            query_idx,
            source_idx,
        }
    }

    fn sample(&self, side: &Side) -> Vec<Observed> {
        charts::sample(&side.trials, self.query_idx, self.source_idx)
    }
}

/// The medians of all sides over each other.
pub fn bars(sides: &[Side], scale: Scale) -> BarChart {
    // Queries of equal labels and different texts are not the same.
    let mut queries: Vec<(&str, &str)> = Vec::new();
    for query in sides.iter().flat_map(|side| &side.data.queries) {
        let query = (query.label.as_str(), query.sql.as_str());
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    let bar = |side: &Side, (label, sql): (&str, &str)| {
        let mut of_side = side.data.queries.iter();
        let query = of_side.find(|query| query.label == label && query.sql == sql)?;
        let summary = side.data.timed(query.query_idx, side.source_idx)?;
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
        groups: queries
            .iter()
            .map(|query| BarGroup {
                label: query.0.to_owned(),
                bars: sides.iter().map(|side| bar(side, *query)).collect(),
            })
            .collect(),
    }
}
