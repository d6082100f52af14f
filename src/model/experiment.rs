//! Experiments: dataset x workload x sources x settings x seed.

mod numbers;
mod plans;
mod prepared;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::dataset::Setting;
use crate::model::filing::Filing;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::Job;
use crate::model::workload::QueryClass;

pub use self::numbers::ComparisonRecord;
pub use self::numbers::NoiseGrade;
pub use self::numbers::OverallRecord;
pub use self::numbers::SummaryRecord;
pub use self::numbers::TaxRecord;
pub use self::plans::PlanOutline;
pub use self::plans::PlanRecord;
pub use self::plans::PlanText;
pub use self::prepared::Alteration;
pub use self::prepared::IndexName;
pub use self::prepared::PreparedSource;
pub use self::prepared::SourceNote;

/// The parameters of a source, by name, as text in their normal form.
pub type Params = std::collections::BTreeMap<String, String>;

/// Which clock a trial is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    /// Execution Time of `EXPLAIN (ANALYZE, TIMING OFF)`: rows are not sent.
    Server,
    /// The plain statement, all rows read and dropped.
    Client,
}

impl ClockKind {
    pub const ALL: [Self; 2] = [Self::Server, Self::Client];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// In which order trials run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Randomised complete blocks: a round visits the sources in shuffled order, and under each every query once.
    Randomized,
    /// All rounds of one source, then of the next; exists to show the bias it causes.
    Sequential,
}

impl Order {
    pub const ALL: [Self; 2] = [Self::Randomized, Self::Sequential];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Randomized => "randomized",
            Self::Sequential => "sequential",
        }
    }
}

/// One chosen source with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceSpec {
    pub name: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub params: Params,
    /// Unique in its experiment, for pages and exports: `random_targets (seed 7)`.
    pub label: String,
    /// Which one it is, from 1, of a set of sources that differ in nothing but the sample that was drawn; none where it
    /// stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<u32>,
    /// In which annex it runs, from 1; none in the clone that all others share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annex: Option<u32>,
}

/// A validated wish: everything that decides what an experiment does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExperimentSpec {
    pub dataset_id: DatasetId,
    pub workload_id: WorkloadId,
    /// Positions in the workload, ascending.
    pub query_positions: Vec<i32>,
    pub sources: Vec<SourceSpec>,
    /// The last source is the first one again: an A/A control.
    #[serde(default)]
    pub has_control: bool,
    /// When all else is measured, every query that reads is run in three ways, to tell what measuring costs.
    #[serde(default)]
    pub has_observer: bool,
    pub iterations: u32,
    pub warm_up: u32,
    pub seed: u64,
    pub clock: ClockKind,
    pub timeout_ms: u64,
    pub order: Order,
    /// Session settings of every trial, in the order in which they are set.
    pub settings: Vec<Setting>,
    /// What it measures again: then its snapshots are those of another experiment, and nothing is gathered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeated>,
}

/// The experiment that another one repeats, out of its bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repeated {
    /// Its number in the store that it came from.
    pub experiment: ExperimentId,
    pub bundle_sha256: String,
}

/// Names, in the environment, the warning of an experiment whose server other datasets share.
pub const SHARED_SERVER: &str = "shared server";

/// What measuring costs does not change from round to round, so it takes no more of them.
const MAX_OBSERVED_ROUNDS: u32 = 10;

impl ExperimentSpec {
    /// In how many rounds it is asked what measuring costs.
    pub fn n_observed_rounds(&self) -> u32 {
        self.iterations.min(MAX_OBSERVED_ROUNDS)
    }

    /// For lists: every kind of source once, with how many there are of it. The control goes by its label, which says what
    /// it is.
    pub fn sources_in_words(&self) -> String {
        let (chosen, control) = self.sources.split_at(self.control_idx().unwrap_or(self.sources.len()));
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for (_, source) in (0_i32..).zip(chosen).filter(|(idx, _)| !self.is_twin(*idx)) {
            match counts.iter_mut().find(|(name, _)| *name == source.name) {
                Some((_, n)) => *n += 1,
                None => counts.push((&source.name, 1)),
            }
        }
        let counts = counts.into_iter().map(|(name, n)| match n {
            1 => name.to_owned(),
            n => format!("{n} × {name}"),
        });
        let control = control.iter().map(|source| source.label.clone());
        counts.chain(control).collect::<Vec<String>>().join(", ")
    }

    /// Where the control stands among the sources.
    pub fn control_idx(&self) -> Option<usize> {
        self.sources.len().checked_sub(1).filter(|_| self.has_control)
    }

    /// The annexes in order.
    pub fn annexes(&self) -> Vec<Annex> {
        (1..).map_while(|number| self.annex(number)).collect()
    }

    fn annex(&self, number: u32) -> Option<Annex> {
        let is_in_it = |source: &SourceSpec| source.annex == Some(number);
        Some(Annex {
            number,
            source_idx: self.sources.iter().position(is_in_it)?,
            twin_idx: self.sources.iter().rposition(is_in_it)?,
        })
    }

    fn source(&self, source_idx: i32) -> Option<&SourceSpec> {
        self.sources.get(usize::try_from(source_idx).ok()?)
    }

    /// The sources that share one clone, with their positions: they differ in statistics alone.
    pub fn sharing(&self) -> impl Iterator<Item = (i32, &SourceSpec)> {
        let sources = (0_i32..).zip(&self.sources);
        sources.filter(|(_, source)| source.annex.is_none())
    }

    /// Whether a source is the baseline once more, in an annex.
    pub fn is_twin(&self, source_idx: i32) -> bool {
        let number = self.source(source_idx).and_then(|source| source.annex);
        let annex = number.and_then(|number| self.annex(number));
        annex.is_some_and(|annex| annex.has_twin_at(source_idx))
    }

    /// What stands for `base_idx` beside a source: itself where both ran in one clone, and for the first source its twin in
    /// the source's annex. None where nothing does: a comparison must not cross clones.
    pub fn stand_in(&self, base_idx: i32, source_idx: i32) -> Option<i32> {
        let (base, number) = (self.source(base_idx)?.annex, self.source(source_idx)?.annex);
        if base == number {
            return Some(base_idx);
        }
        let annex = self.annex(number?)?;
        let is_of_twin = base_idx == 0 && !annex.has_twin_at(source_idx);
        is_of_twin.then(|| i32::try_from(annex.twin_idx).ok())?
    }
}

/// A clone beside the one that most sources share, for a source that changes more than statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annex {
    /// From 1.
    pub number: u32,
    /// The source that it is for.
    pub source_idx: usize,
    /// The experiment's first source once more, which that one is compared with.
    pub twin_idx: usize,
}

impl Annex {
    fn has_twin_at(&self, source_idx: i32) -> bool {
        usize::try_from(source_idx) == Ok(self.twin_idx)
    }
}

/// An experiment as pages and runners see it; its life is that of its job.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub id: ExperimentId,
    pub dataset_id: Option<DatasetId>,
    pub workload_id: Option<WorkloadId>,
    pub dataset_name: String,
    pub dataset_sha256: String,
    pub workload_name: String,
    pub workload_sha256: String,
    pub spec: ExperimentSpec,
    /// Trials planned, warm-ups included.
    pub n_trials: u64,
    /// Trials stored so far.
    pub n_recorded: u64,
    pub created_at: DateTime<Utc>,
    /// What it ran on, as pairs of name and value, in order.
    pub environment: Vec<Setting>,
    pub headline: Option<String>,
    pub filing: Filing,
    pub job: Job,
}

impl Experiment {
    /// What it came to, or why it came to nothing.
    pub fn said(&self) -> Option<&str> {
        self.headline.as_deref().or(self.job.message.as_deref())
    }
}

/// One query of an experiment. `query_idx` counts from 0 within the experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentQuery {
    pub query_idx: i32,
    pub label: String,
    pub line: u64,
    pub sql: String,
    pub class: QueryClass,
}
/// A stretch of measuring without interruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub segment_no: i32,
    pub first_trial: i32,
    pub reason: String,
    pub started_at: DateTime<Utc>,
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An experiment of the first query under such sources, each in this annex.
    pub fn spec(sources: &[(&str, Option<u32>)]) -> ExperimentSpec {
        let source = |(label, annex): &(&str, Option<u32>)| SourceSpec {
            name: (*label).to_owned(),
            params: Params::new(),
            label: (*label).to_owned(),
            draw: None,
            annex: *annex,
        };
        ExperimentSpec {
            dataset_id: DatasetId(1),
            workload_id: WorkloadId(1),
            query_positions: vec![0],
            sources: sources.iter().map(source).collect(),
            has_control: false,
            has_observer: false,
            iterations: 10,
            warm_up: 1,
            seed: 1,
            clock: ClockKind::Server,
            timeout_ms: 60_000,
            order: Order::Randomized,
            settings: Vec::new(),
            repeats: None,
        }
    }

    #[test]
    fn nothing_stands_for_a_source_beside_one_of_another_clone_but_the_twin_for_the_first() {
        let spec = spec(&[
            ("built_in", None),
            ("custom", Some(1)),
            ("twin", Some(1)),
            ("none", None),
            ("custom", Some(2)),
            ("twin", Some(2)),
        ]);
        for (base_idx, stand_ins) in [
            (0, [Some(0), Some(2), None, Some(0), Some(5), None]),
            (1, [None, Some(1), Some(1), None, None, None]),
            (2, [None, Some(2), Some(2), None, None, None]),
            (3, [Some(3), None, None, Some(3), None, None]),
            (5, [None, None, None, None, Some(5), Some(5)]),
            (6, [None; 6]),
        ] {
            let found: Vec<Option<i32>> = (0..6).map(|idx| spec.stand_in(base_idx, idx)).collect();
            assert_eq!(found, stand_ins, "beside {base_idx}");
        }
        let annexes: Vec<(u32, usize, usize)> = spec
            .annexes()
            .iter()
            .map(|annex| (annex.number, annex.source_idx, annex.twin_idx))
            .collect();
        assert_eq!(annexes, [(1, 1, 2), (2, 4, 5)]);
        assert!(spec.is_twin(2) && !spec.is_twin(1) && !spec.is_twin(0));
    }
}
