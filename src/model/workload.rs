//! Workloads: labelled queries.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::filing::Filing;
use crate::model::ids::WorkloadId;

/// What a query does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "query_class", rename_all = "snake_case")]
pub enum QueryClass {
    Reads,
    Writes,
    /// Cannot be measured; the refusal says why.
    Refused,
}

impl QueryClass {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Refused => "refused",
        }
    }
}

/// One statement of a workload. `position` is its place in the file, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub position: i32,
    pub label: String,
    pub line: u64,
    pub sql: String,
    pub class: QueryClass,
    pub refusal: Option<String>,
}

/// A file of queries, read and labelled, not yet stored.
#[derive(Clone, Debug)]
pub struct NewWorkload {
    pub request_id: String,
    pub name: String,
    pub file_name: String,
    pub script: String,
    pub sha256: String,
    pub queries: Vec<Query>,
}

/// A workload as lists show it.
#[derive(Clone, Debug)]
pub struct Workload {
    pub id: WorkloadId,
    pub name: String,
    pub file_name: String,
    pub sha256: String,
    pub created_at: DateTime<Utc>,
    pub n_queries: u64,
    pub n_refused: u64,
    pub filing: Filing,
}

/// Whether a query can run on a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "check_status", rename_all = "snake_case")]
pub enum CheckStatus {
    Ready,
    Broken,
}

/// What the server said of one query; it was prepared, never executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    pub position: i32,
    pub status: CheckStatus,
    pub message: Option<String>,
    /// The line of the workload's file at which the server stumbled.
    pub line: Option<u64>,
}
