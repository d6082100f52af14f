//! What stands around the numbers of an experiment: what was asked for, on what it ran, what preparing its sources gave.

use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::SHARED_SERVER;
use crate::model::snapshot::ColumnTarget;
use crate::model::units::date;
use crate::model::units::ms_in_words;
use crate::model::units::seconds_in_words;
use crate::report::data::ReportData;

/// What preparing one source gave.
pub struct PreparedRow {
    pub label: String,
    pub colour: usize,
    pub n_statistics: String,
    pub apply: String,
    pub checksum: String,
    pub targets: Vec<String>,
}

/// What was asked for and how far it came, as pairs of name and value.
pub fn facts(experiment: &Experiment) -> Vec<Setting> {
    let spec = &experiment.spec;
    let pair = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    let mut facts = vec![
        pair("Rounds", spec.iterations.to_string()),
        pair("Warm-up rounds", spec.warm_up.to_string()),
        pair(
            "Trials stored",
            format!("{} of {}", experiment.n_recorded, experiment.n_trials),
        ),
        pair("Order", spec.order.word().to_owned()),
        pair("Seed", spec.seed.to_string()),
        pair("Clock", spec.clock.word().to_owned()),
        #[expect(clippy::cast_precision_loss, reason = "a timeout is at most an hour")]
        pair("Timeout", ms_in_words(spec.timeout_ms as f64)),
        pair("Launched (UTC)", date(experiment.created_at)),
    ];
    if spec.has_observer {
        facts.push(pair("What measuring costs", "asked behind all trials".to_owned()));
    }
    if let Some(elapsed_s) = experiment.job.elapsed_s() {
        facts.push(pair("Took", seconds_in_words(elapsed_s)));
    }
    facts.push(pair("Dump (SHA-256)", experiment.dataset_sha256.clone()));
    if let Some(repeats) = &spec.repeats {
        facts.push(pair(
            "Repeats",
            format!("experiment {} of a bundle", repeats.experiment),
        ));
        facts.push(pair("Bundle (SHA-256)", repeats.bundle_sha256.clone()));
    }
    facts
}

/// What anybody who reads the numbers has to know first.
pub fn warnings(experiment: &Experiment) -> Vec<String> {
    let environment = experiment.environment.iter();
    let mut warnings: Vec<String> = environment
        .filter(|fact| fact.name == SHARED_SERVER)
        .map(|fact| fact.value.clone())
        .collect();
    if let Some(repeats) = &experiment.spec.repeats {
        warnings.push(format!(
            "It measures experiment {} of a bundle again: its planner statistics were written from there, not gathered, and \
             the times of preparing are those of that experiment.",
            repeats.experiment
        ));
    }
    warnings
}

/// What preparing each source gave, in order.
pub fn prepared(data: &ReportData) -> Vec<PreparedRow> {
    let shown =
        |target: &ColumnTarget| format!("{}.{}.{} {}", target.schema, target.table, target.column, target.target);
    data.sources()
        .zip(0_usize..)
        .map(|((source_idx, source), colour)| {
            let prepared = data.prepared.iter().find(|prepared| prepared.source_idx == source_idx);
            PreparedRow {
                label: source.label.clone(),
                colour,
                n_statistics: prepared
                    .map(|prepared| prepared.n_statistics.to_string())
                    .unwrap_or_default(),
                apply: prepared
                    .map(|prepared| ms_in_words(prepared.apply_ms))
                    .unwrap_or_default(),
                checksum: prepared
                    .map(|prepared| prepared.snapshot_sha256.clone())
                    .unwrap_or_default(),
                targets: prepared
                    .map(|prepared| prepared.targets.iter().map(shown).collect())
                    .unwrap_or_default(),
            }
        })
        .collect()
}

/// When it was measured, stretch by stretch.
pub fn segments(data: &ReportData) -> Vec<String> {
    let in_words = |segment: &crate::model::experiment::Segment| {
        format!(
            "{}: {} (trial {})",
            date(segment.started_at),
            segment.reason,
            segment.first_trial + 1
        )
    };
    data.segments.iter().map(in_words).collect()
}
