//! Computes every published number of a bundle again, from its raw trials and plans and by the same functions that made
//! them, and says which ones differ. It asks no server and no store.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::analysis::effect;
use crate::analysis::family;
use crate::bundle::Bundle;
use crate::bundle::BundleError;
use crate::bundle::format;
use crate::bundle::format::PlanBody;
use crate::bundle::format::PlanNumbers;
use crate::bundle::tables::Difference;
use crate::bundle::tables::Row;
use crate::bundle::tables::Table;
use crate::bundle::tables::is_near;
use crate::bundle::write::exported;
use crate::experiment::explaining;
use crate::experiment::schedule;
use crate::experiment::summaries::Numbers;
use crate::model::experiment::Experiment;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::PlanRecord;
use crate::model::ids::JobId;
use crate::model::job::Job;
use crate::model::job::JobKind;
use crate::model::job::Progress;
use crate::model::trial::RecordedTrial;
use crate::model::trial::Trial;
use crate::report::data::ReportData;
use crate::snapshot;

/// What came of it.
#[derive(Debug, Default)]
pub struct Verification {
    /// Numbers computed again.
    pub n_numbers: u64,
    pub n_trials: usize,
    pub findings: Vec<Finding>,
}

/// Something that is not as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A number with where it stands. `base` is the source that it compares with.
    Number {
        table: &'static str,
        query: Option<String>,
        source: Option<String>,
        base: Option<String>,
        name: String,
        published: String,
        recomputed: String,
    },
    Sentence(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sentence(sentence) => f.write_str(sentence),
            Self::Number {
                table,
                query,
                source,
                base,
                name,
                published,
                recomputed,
            } => {
                f.write_str(query.as_deref().unwrap_or("all queries"))?;
                if let Some(source) = source {
                    write!(f, " under {source}")?;
                }
                if let Some(base) = base {
                    write!(f, " beside {base}")?;
                }
                write!(
                    f,
                    ": {name} is {published} in {table}, and {recomputed} when computed again"
                )
            }
        }
    }
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
    drop(planned);
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
    verification.headline(bundle, numbers.headline.as_deref());
    verification.n_trials = trials.len();
    verification.exports(bundle, numbers, plans)?;
    for name in bundle.changed() {
        let sentence = format!("{name} was changed after the bundle was written: its checksum is not the manifest's.");
        verification.findings.insert(0, Finding::Sentence(sentence));
    }
    Ok(verification)
}

impl Verification {
    fn sentence(&mut self, sentence: String) {
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
            self.findings.push(in_words(bundle, name, difference));
        }
        Ok(())
    }

    fn headline(&mut self, bundle: &Bundle, recomputed: Option<&str>) {
        let published = bundle.experiment.headline.as_deref();
        self.n_numbers += 1;
        if published != recomputed {
            self.sentence(format!(
                "The headline is {:?}, and {:?} when computed again.",
                published.unwrap_or_default(),
                recomputed.unwrap_or_default()
            ));
        }
    }

    /// The exports that people took away.
    fn exports(&mut self, bundle: &mut Bundle, numbers: Numbers, plans: Vec<PlanOutline>) -> Result<(), BundleError> {
        let data = ReportData {
            queries: bundle.queries.clone(),
            prepared: bundle.sources.clone(),
            summaries: numbers.summaries,
            plans,
            plan_texts: Vec::new(),
            segments: bundle.experiment.segments.clone(),
            interruptions: bundle.experiment.interruptions.clone(),
            base_idx: 0,
            family: family::beside(&bundle.experiment.spec, 0, &numbers.comparisons.of_queries),
            overall: effect::overall_beside(&bundle.experiment.spec, 0, &numbers.comparisons.overall),
            experiment: experiment(bundle),
        };
        for (name, exporter) in format::PUBLISHED_EXPORTS {
            let published = bundle.bytes(name)?;
            let recomputed = exported(exporter, &data)?;
            self.export(name, &published, &recomputed)
                .map_err(|error| BundleError::Unreadable {
                    name: (*name).to_owned(),
                    reason: error.to_string(),
                })?;
        }
        Ok(())
    }

    fn export(&mut self, member: &'static str, published: &[u8], recomputed: &[u8]) -> csv::Result<()> {
        let (mut before, mut now) = (
            csv::Reader::from_reader(published),
            csv::Reader::from_reader(recomputed),
        );
        let heads = now.headers()?.clone();
        if *before.headers()? != heads {
            self.sentence(format!("{member} has other columns."));
            return Ok(());
        }
        let before: Vec<csv::StringRecord> = before.records().collect::<Result<_, _>>()?;
        let now: Vec<csv::StringRecord> = now.records().collect::<Result<_, _>>()?;
        if before.len() != now.len() {
            self.sentence(format!(
                "{member} has {} rows, and {} when computed again.",
                before.len(),
                now.len()
            ));
        }
        for (before, now) in before.iter().zip(&now) {
            let of_column = |name: &str| {
                let place = heads.iter().position(|head| head == name)?;
                now.get(place).map(str::to_owned)
            };
            for ((name, before_cell), now_cell) in heads.iter().zip(before).zip(now) {
                self.n_numbers += u64::from(!now_cell.is_empty());
                if is_same_cell(before_cell, now_cell) {
                    continue;
                }
                self.findings.push(Finding::Number {
                    table: member,
                    query: of_column("query"),
                    source: of_column("source"),
                    base: of_column("baseline"),
                    name: name.to_owned(),
                    published: before_cell.to_owned(),
                    recomputed: now_cell.to_owned(),
                });
            }
        }
        Ok(())
    }
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

fn is_same_cell(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if is_near(a, b))
}

fn in_words(bundle: &Bundle, table: &'static str, difference: Difference) -> Finding {
    let place = |key: &Row| {
        let query = key.get("query_idx").and_then(Value::as_i64);
        let source = key.get("source_idx").and_then(Value::as_i64);
        let base = key.get("base_idx").and_then(Value::as_i64);
        (
            query.map(|idx| bundle.query_label(idx)),
            source.map(|idx| bundle.source_label(idx)),
            base.map(|idx| bundle.source_label(idx)),
        )
    };
    let whole_row = |key: &Row, published: &str, recomputed: &str| {
        let (query, source, base) = place(key);
        Finding::Number {
            table,
            query,
            source,
            base,
            name: "the whole row".to_owned(),
            published: published.to_owned(),
            recomputed: recomputed.to_owned(),
        }
    };
    match difference {
        Difference::NotRecomputed { key } => whole_row(&key, "there", "not"),
        Difference::NotPublished { key } => whole_row(&key, "missing", "there"),
        Difference::Number {
            key,
            name,
            published,
            recomputed,
        } => {
            let (query, source, base) = place(&key);
            Finding::Number {
                table,
                query,
                source,
                base,
                name,
                published: published.to_string(),
                recomputed: recomputed.to_string(),
            }
        }
    }
}

/// The experiment of a bundle as an export sees it. It is in no store, so its ids name nothing.
fn experiment(bundle: &Bundle) -> Experiment {
    let body = &bundle.experiment;
    let read_at = body.finished_at.unwrap_or(body.created_at);
    Experiment {
        id: body.id,
        dataset_id: None,
        workload_id: None,
        dataset_name: body.dataset.name.clone(),
        dataset_sha256: body.dataset.sha256.clone(),
        workload_name: body.workload.name.clone(),
        workload_sha256: body.workload.sha256.clone(),
        spec: body.spec.clone(),
        n_trials: body.n_trials,
        n_recorded: body.n_recorded,
        created_at: body.created_at,
        environment: body.environment.clone(),
        headline: body.headline.clone(),
        job: Job {
            id: JobId(0),
            kind: JobKind::Experiment,
            status: body.status,
            stage: String::new(),
            progress: Progress::default(),
            message: body.message.clone(),
            cancel_requested: false,
            created_at: body.created_at,
            started_at: body.started_at,
            finished_at: body.finished_at,
            read_at,
        },
    }
}
