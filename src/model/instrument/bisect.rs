//! Bisect: what is asked, tried and found.

use serde::Deserialize;
use serde::Serialize;

use crate::model::ids::ExperimentId;
use crate::model::instrument::TaskQuery;
use crate::model::instrument::TaskSource;
use crate::model::snapshot::Piece;

/// Which statistics of `to`, put into those of `from`, turn the plan of the one into the plan of the other?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BisectTask {
    pub experiment_id: ExperimentId,
    pub query: TaskQuery,
    pub from: TaskSource,
    pub to: TaskSource,
}

/// One mixture that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BisectStep {
    /// Which pieces were taken from `to`, as places in [`BisectFindings::pieces`], ascending.
    pub taken: Vec<usize>,
    /// Why just these.
    pub why: String,
    /// None where the server gave no plan; the message says why.
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    pub message: Option<String>,
}

/// What a bisect has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BisectFindings {
    /// Everything in which the two snapshots differ and that could be written.
    pub pieces: Vec<Piece>,
    /// What could not be written, and why.
    pub left_out: Vec<String>,
    /// Fingerprints of the plans under all of `from` and all of `to`.
    pub plan_from: Option<String>,
    pub plan_to: Option<String>,
    /// Places in `pieces`; none before the end, and where there is no difference to explain.
    pub minimal: Option<Vec<usize>>,
    /// For each of `minimal` the plan that comes out when it alone is left out.
    pub without: Vec<Option<String>>,
    /// For each of `minimal` what the two snapshots say of it, where that can be said in words.
    pub said: Vec<Vec<Said>>,
}

/// One number of the statistics in both snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub name: String,
    pub from: String,
    pub to: String,
}
