//! The shapes of a bundle's members, as they are written and read. A change here needs another number in `SCHEMA`.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::analysis::family;
use crate::experiment::form::MAX_SOURCES;
use crate::model::dataset::Setting;
use crate::model::estimate::NodeEstimate;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PlanOutline;
use crate::model::experiment::Segment;
use crate::model::ids::ExperimentId;
use crate::model::job::Interrupted;
use crate::model::job::JobStatus;

pub const MANIFEST: &str = "manifest.json";
pub const READ_ME: &str = "README.txt";
pub const EXPERIMENT: &str = "experiment.json";
pub const QUERIES: &str = "queries.jsonl";
pub const SCHEDULE: &str = "schedule.jsonl";
pub const TRIALS: &str = "trials.jsonl";
pub const LOOKS: &str = "looks.jsonl";
pub const PLANS: &str = "plans.jsonl";
pub const SOURCES: &str = "sources.jsonl";
pub const PUBLISHED_PLANS: &str = "published/plans.jsonl";
pub const PUBLISHED_SUMMARIES: &str = "published/summaries.jsonl";
pub const PUBLISHED_COMPARISONS: &str = "published/comparisons.jsonl";
pub const PUBLISHED_OVERALL: &str = "published/overall.jsonl";
pub const PUBLISHED_VERDICTS: &str = "published/verdicts.jsonl";
pub const PUBLISHED_TAXES: &str = "published/taxes.jsonl";

/// The exports whose numbers are published, by the member that holds each.
pub const PUBLISHED_EXPORTS: &[(&str, &str)] = &[
    ("published/export.csv", "export.csv"),
    ("published/comparisons.csv", "comparisons.csv"),
    ("published/sources.csv", "sources.csv"),
];

/// The same where it was asked what measuring costs.
pub const PUBLISHED_OBSERVER: (&str, &str) = ("published/observer.csv", "observer.csv");

/// What bundles hold that have something to say: what else went on, what measuring costs.
const OPTIONAL: &[&str] = &[LOOKS, PUBLISHED_TAXES, PUBLISHED_OBSERVER.0];

/// What every bundle holds, beside the manifest, the snapshots and the exports.
const MEMBERS: &[&str] = &[
    READ_ME,
    EXPERIMENT,
    QUERIES,
    SCHEDULE,
    SOURCES,
    TRIALS,
    PLANS,
    PUBLISHED_PLANS,
    PUBLISHED_SUMMARIES,
    PUBLISHED_COMPARISONS,
    PUBLISHED_OVERALL,
    PUBLISHED_VERDICTS,
];

/// Whether a member of this name belongs into a bundle.
pub fn is_member(name: &str) -> bool {
    let mut snapshots = (0_i32..).take(MAX_SOURCES).map(snapshot);
    name == MANIFEST
        || OPTIONAL.contains(&name)
        || every_member().any(|member| member == name)
        || snapshots.any(|snapshot| snapshot == name)
}

/// The members that no bundle is without, beside its manifest.
pub fn every_member() -> impl Iterator<Item = &'static str> {
    let exports = PUBLISHED_EXPORTS.iter().map(|(member, _)| *member);
    MEMBERS.iter().copied().chain(exports)
}

/// Where the snapshot of a source is.
pub fn snapshot(source_idx: i32) -> String {
    format!("snapshots/{source_idx}.json")
}

/// The list of members.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: String,
    /// The version of pgassay that wrote it.
    pub pgassay: String,
    pub members: Vec<MemberBody>,
}

/// One member as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBody {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// What was asked for, on what it ran, and how it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExperimentBody {
    pub id: ExperimentId,
    pub status: JobStatus,
    pub message: Option<String>,
    pub dataset: NamedFile,
    pub workload: NamedFile,
    pub spec: ExperimentSpec,
    pub n_trials: u64,
    pub n_recorded: u64,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub environment: Vec<Setting>,
    pub segments: Vec<Segment>,
    pub interruptions: Vec<Interrupted>,
    /// The sentence that lists show.
    pub headline: Option<String>,
}

/// A file by its name and the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    pub name: String,
    pub sha256: String,
}

/// What EXPLAIN showed of one (source, query), to the byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanBody {
    pub query_idx: i32,
    pub source_idx: i32,
    pub explain: Option<String>,
    pub analyzed: Option<String>,
    /// What went wrong, where something did.
    pub message: Option<String>,
}

/// What was said of one comparison, as one of all comparisons with its baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerdictBody {
    pub base_idx: i32,
    pub query_idx: i32,
    pub source_idx: i32,
    pub ratio: f64,
    pub adjusted_p: f64,
    pub detectable: Option<f64>,
    pub verdict: &'static str,
}

/// What is said of every comparison beside every baseline, by baseline, query, then source.
pub fn verdicts(spec: &ExperimentSpec, comparisons: &[ComparisonRecord]) -> Vec<VerdictBody> {
    let beside = |base_idx: i32| {
        let members = family::beside(spec, base_idx, comparisons);
        members.into_iter().map(move |member| VerdictBody {
            base_idx,
            query_idx: member.query_idx,
            source_idx: member.source_idx,
            ratio: member.effect.ratio,
            adjusted_p: member.judgement.adjusted_p,
            detectable: member.judgement.detectable,
            verdict: member.judgement.verdict.word(),
        })
    };
    (0_i32..).take(spec.sources.len()).flat_map(beside).collect()
}

/// What was published of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanNumbers {
    pub query_idx: i32,
    pub source_idx: i32,
    pub fingerprint: Option<String>,
    pub cost: Option<f64>,
    pub buffers: Option<i64>,
    pub worst_q_error: Option<f64>,
    pub mean_q_error: Option<f64>,
    pub estimates: Vec<NodeEstimate>,
}

impl From<&PlanOutline> for PlanNumbers {
    fn from(record: &PlanOutline) -> Self {
        Self {
            query_idx: record.query_idx,
            source_idx: record.source_idx,
            fingerprint: record.fingerprint.clone(),
            cost: record.cost,
            buffers: record.buffers,
            worst_q_error: record.worst_q_error,
            mean_q_error: record.mean_q_error,
            estimates: record.estimates.clone(),
        }
    }
}
