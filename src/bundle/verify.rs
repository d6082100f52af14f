//! Computes every published number of a bundle again, from its raw trials and plans and by the same functions that made
//! them, and says which ones differ. It asks no server and no store.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Serialize;

use crate::bundle::Bundle;
use crate::bundle::BundleError;
use crate::bundle::finding::Finding;
use crate::bundle::format;
use crate::bundle::format::PlanBody;
use crate::bundle::format::PlanNumbers;
use crate::bundle::tables::Row;
use crate::bundle::tables::Table;
use crate::experiment::explaining;
use crate::experiment::schedule;
use crate::experiment::summaries::Numbers;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanRecord;
use crate::model::look::Look;
use crate::model::trial::RecordedTrial;
use crate::model::trial::Trial;
use crate::snapshot;

/// What came of it.
#[derive(Debug, Default)]
pub struct Verification {
    /// Numbers computed again.
    pub n_numbers: u64,
    pub n_trials: usize,
    pub findings: Vec<Finding>,
}

/// Verifies a bundle. What cannot even be read is refused.
pub fn verify(bundle: &mut Bundle) -> Result<Verification, BundleError> {
    let mut verification = Verification::default();
    // No number is in it, but its checksum is looked at like the others'.
    bundle.bytes(format::READ_ME)?;
    verification.sources(bundle)?;
    let planned = schedule::schedule(&bundle.experiment.spec);
    verification.schedule(bundle, &planned)?;
    let trials = verification.trials(bundle, &planned)?;
    let n_planned = planned.len();
    drop(planned);
    let looks = looks(bundle, n_planned)?;
    let plans = verification.plans(bundle)?;
    let numbers = Numbers::compute(&bundle.experiment.spec, &bundle.queries, &trials, &plans);
    let plan_numbers: Vec<PlanNumbers> = plans.iter().map(PlanNumbers::from).collect();
    let of_plan = ["query_idx", "source_idx"];
    let of_pair = ["base_idx", "source_idx"];
    let of_comparison = ["query_idx", "base_idx", "source_idx"];
    verification.table(bundle, format::PUBLISHED_PLANS, &of_plan, &plan_numbers)?;
    verification.table(bundle, format::PUBLISHED_SUMMARIES, &of_plan, &numbers.summaries)?;
    let comparisons = &numbers.comparisons;
    verification.table(
        bundle,
        format::PUBLISHED_COMPARISONS,
        &of_comparison,
        &comparisons.of_queries,
    )?;
    verification.table(bundle, format::PUBLISHED_OVERALL, &of_pair, &comparisons.overall)?;
    let verdicts = format::verdicts(&bundle.experiment.spec, &comparisons.of_queries);
    verification.table(bundle, format::PUBLISHED_VERDICTS, &of_comparison, &verdicts)?;
    if bundle.experiment.spec.has_observer {
        verification.table(bundle, format::PUBLISHED_TAXES, &["query_idx"], &numbers.taxes)?;
    }
    verification.headline(bundle, &numbers);
    verification.n_trials = trials.len();
    verification.exports(bundle, numbers, plans, looks)?;
    for name in bundle.changed() {
        let sentence = format!("{name} was changed after the bundle was written: its checksum is not the manifest's.");
        verification.findings.insert(0, Finding::Sentence(sentence));
    }
    Ok(verification)
}

impl Verification {
    pub(super) fn sentence(&mut self, sentence: String) {
        self.findings.push(Finding::Sentence(sentence));
    }

    /// The snapshots are those whose checksums were published.
    fn sources(&mut self, bundle: &mut Bundle) -> Result<(), BundleError> {
        for source in bundle.sources.clone() {
            let snapshot = bundle.snapshot(source.source_idx)?;
            let number = |name: &str, published: String, recomputed: String| Finding::Number {
                table: format::SOURCES,
                query: None,
                source: Some(bundle.source_label(source.source_idx.into())),
                base: None,
                name: name.to_owned(),
                published,
                recomputed,
            };
            let checksum = snapshot::checksum(&snapshot);
            let n_statistics = snapshot.columns.len() as u64;
            let mut found = Vec::new();
            if checksum != source.snapshot_sha256 {
                found.push(number("snapshot_sha256", source.snapshot_sha256.clone(), checksum));
            }
            if n_statistics != source.n_statistics {
                let published = source.n_statistics.to_string();
                found.push(number("n_statistics", published, n_statistics.to_string()));
            }
            self.n_numbers += 2;
            self.findings.extend(found);
        }
        Ok(())
    }

    /// The schedule follows from the spec and its seed.
    fn schedule(&mut self, bundle: &mut Bundle, planned: &[Trial]) -> Result<(), BundleError> {
        let (mut n_rows, mut n_wrong) = (0, 0);
        bundle.rows(format::SCHEDULE, |row: Trial| {
            n_wrong += usize::from(planned.get(n_rows) != Some(&row));
            n_rows += 1;
            if n_rows > planned.len() {
                return Err("it has more trials than the experiment asks for".to_owned());
            }
            Ok(())
        })?;
        if n_wrong > 0 || n_rows != planned.len() {
            self.sentence(format!(
                "{} is not the schedule that follows from the seed: {n_wrong} of its {n_rows} trials differ.",
                format::SCHEDULE
            ));
        }
        Ok(())
    }

    /// The recorded trials, which are trials of the schedule.
    fn trials(&mut self, bundle: &mut Bundle, planned: &[Trial]) -> Result<Vec<RecordedTrial>, BundleError> {
        let mut trials: Vec<RecordedTrial> = Vec::new();
        let mut n_foreign = 0;
        bundle.rows(format::TRIALS, |trial: RecordedTrial| {
            if trials.last().is_some_and(|last| last.trial_idx >= trial.trial_idx) {
                return Err("the trials are not in order".to_owned());
            }
            n_foreign += usize::from(!is_planned(&trial, planned));
            trials.push(trial);
            if trials.len() > planned.len() {
                return Err("there are more trials than the experiment asks for".to_owned());
            }
            Ok(())
        })?;
        if n_foreign > 0 {
            self.sentence(format!(
                "{n_foreign} of the recorded trials are not what the schedule says."
            ));
        }
        if trials.len() as u64 != bundle.experiment.n_recorded {
            self.sentence(format!(
                "There are {} trials, and {} were recorded.",
                trials.len(),
                bundle.experiment.n_recorded
            ));
        }
        Ok(trials)
    }

    /// The plans with the numbers that follow from their texts, which are then let go.
    fn plans(&mut self, bundle: &mut Bundle) -> Result<Vec<PlanOutline>, BundleError> {
        let mut plans: Vec<PlanOutline> = Vec::new();
        let mut unreadable: Vec<(i32, i32, String)> = Vec::new();
        let mut seen = BTreeSet::new();
        bundle.rows(format::PLANS, |body: PlanBody| {
            if !seen.insert((body.query_idx, body.source_idx)) {
                return Err("a plan is there twice".to_owned());
            }
            let record = PlanRecord {
                query_idx: body.query_idx,
                source_idx: body.source_idx,
                explain: body.explain,
                analyzed: body.analyzed,
                message: body.message,
                ..PlanRecord::default()
            };
            let read = explaining::with_numbers(record).unwrap_or_else(|error| {
                unreadable.push((body.query_idx, body.source_idx, error.to_string()));
                PlanRecord {
                    query_idx: body.query_idx,
                    source_idx: body.source_idx,
                    ..PlanRecord::default()
                }
            });
            plans.push(PlanOutline::from(read));
            Ok(())
        })?;
        for (query_idx, source_idx, reason) in unreadable {
            self.sentence(format!(
                "The plan of {} under {} cannot be read: {reason}.",
                bundle.query_label(query_idx.into()),
                bundle.source_label(source_idx.into())
            ));
        }
        Ok(plans)
    }

    /// Every number of a published table.
    fn table<T: Serialize>(
        &mut self,
        bundle: &mut Bundle,
        name: &'static str,
        keys: &[&str],
        rows: &[T],
    ) -> Result<(), BundleError> {
        let mut table = Table::new(keys, rows).context("computing again")?;
        bundle.rows(name, |published: Row| {
            table.compare(&published).map_err(|error| error.to_string())
        })?;
        table.finish().context("computing again")?;
        self.n_numbers += table.n_numbers;
        for difference in table.differences {
            self.findings.push(Finding::of_table(bundle, name, difference));
        }
        Ok(())
    }

    fn headline(&mut self, bundle: &Bundle, numbers: &Numbers) {
        let (published, recomputed) = (bundle.experiment.headline.as_deref(), numbers.headline.as_deref());
        self.n_numbers += 1;
        // Earlier versions said nothing where nothing could be compared.
        let is_silent = published.is_none() && numbers.comparisons.of_queries.is_empty();
        if published != recomputed && !is_silent {
            self.sentence(format!(
                "The headline is {:?}, and {:?} when computed again.",
                published.unwrap_or_default(),
                recomputed.unwrap_or_default()
            ));
        }
    }
}

/// What else went on. No number follows from it; it has to be about the trials that there are, in their order.
fn looks(bundle: &mut Bundle, n_planned: usize) -> Result<Vec<Look>, BundleError> {
    let mut looks: Vec<Look> = Vec::new();
    if !bundle.has(format::LOOKS) {
        return Ok(looks);
    }
    bundle.rows(format::LOOKS, |look: Look| {
        let follows = looks.last().map_or(0, |last| last.last_trial + 1) <= look.first_trial;
        let is_about_trials = usize::try_from(look.last_trial).is_ok_and(|last| last < n_planned);
        if !follows || look.last_trial < look.first_trial || !is_about_trials {
            return Err("the visits are not in order".to_owned());
        }
        looks.push(look);
        Ok(())
    })?;
    Ok(looks)
}

fn is_planned(trial: &RecordedTrial, planned: &[Trial]) -> bool {
    let at = usize::try_from(trial.trial_idx).ok().and_then(|idx| planned.get(idx));
    at.is_some_and(|planned| {
        planned.kind == trial.kind
            && i64::from(planned.round) == i64::from(trial.round)
            && usize::try_from(trial.source_idx) == Ok(planned.source_idx)
            && usize::try_from(trial.query_idx) == Ok(planned.query_idx)
    })
}
