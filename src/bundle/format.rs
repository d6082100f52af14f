//! The shapes of a bundle's members, as they are written and read. A change here needs another number in `SCHEMA`.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::analysis::family;
use crate::model::dataset::Setting;
use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PlanRecord;
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
pub const PLANS: &str = "plans.jsonl";
pub const SOURCES: &str = "sources.jsonl";
pub const PUBLISHED_PLANS: &str = "published/plans.jsonl";
pub const PUBLISHED_SUMMARIES: &str = "published/summaries.jsonl";
pub const PUBLISHED_COMPARISONS: &str = "published/comparisons.jsonl";
pub const PUBLISHED_OVERALL: &str = "published/overall.jsonl";
pub const PUBLISHED_VERDICTS: &str = "published/verdicts.jsonl";
pub const PUBLISHED_EXPORT: &str = "published/export.csv";

/// What every bundle holds, beside the manifest and the snapshots.
pub const MEMBERS: &[&str] = &[
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
    PUBLISHED_EXPORT,
];

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

impl From<&PlanRecord> for PlanBody {
    fn from(record: &PlanRecord) -> Self {
        Self {
            query_idx: record.query_idx,
            source_idx: record.source_idx,
            explain: record.explain.clone(),
            analyzed: record.analyzed.clone(),
            message: record.message.clone(),
        }
    }
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
pub fn verdicts(n_sources: usize, comparisons: &[ComparisonRecord]) -> Vec<VerdictBody> {
    let beside = |base_idx: i32| {
        let members = family::beside(base_idx, comparisons);
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
    (0_i32..).take(n_sources).flat_map(beside).collect()
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
}

impl From<&PlanRecord> for PlanNumbers {
    fn from(record: &PlanRecord) -> Self {
        Self {
            query_idx: record.query_idx,
            source_idx: record.source_idx,
            fingerprint: record.fingerprint.clone(),
            cost: record.cost,
            buffers: record.buffers,
            worst_q_error: record.worst_q_error,
            mean_q_error: record.mean_q_error,
        }
    }
}
