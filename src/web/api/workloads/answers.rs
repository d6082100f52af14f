//! What programs are told of workloads and their checks.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::job::Job;
use crate::model::workload::CheckResult;
use crate::model::workload::CheckStatus;
use crate::model::workload::Query;
use crate::model::workload::Workload;
use crate::web::api::answers::status_word;
use crate::web::view::rfc3339;

/// A workload.
#[derive(Serialize, ToSchema)]
pub(super) struct WorkloadBody {
    id: WorkloadId,
    name: String,
    /// As the file was called that was uploaded.
    file_name: String,
    /// Of the script, in hexadecimal digits.
    sha256: String,
    #[schema(format = DateTime)]
    created_at: String,
    query_count: u64,
    /// How many of them cannot be measured.
    refused_count: u64,
    tags: Vec<String>,
    memo: String,
}

/// A workload with its queries.
#[derive(Serialize, ToSchema)]
pub(super) struct WorkloadDetailBody {
    #[serde(flatten)]
    workload: WorkloadBody,
    /// In the order of the script.
    queries: Vec<QueryBody>,
}

/// One statement of a workload.
#[derive(Serialize, ToSchema)]
struct QueryBody {
    /// Its place in the script, from 0.
    position: i32,
    label: String,
    /// Of the script, from 1.
    line: u64,
    sql: String,
    /// `reads`, `writes` or `refused`.
    class: &'static str,
    /// Why it cannot be measured.
    refusal: Option<String>,
}

/// The newest check of a workload against a dataset: each statement is prepared by the server, and none is run.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckBody {
    workload: WorkloadId,
    dataset: DatasetId,
    /// `pending`, `running`, `completed` or `failed`.
    status: &'static str,
    /// Why the check itself failed or was stopped.
    message: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// One for each statement that can be measured, when the check is completed.
    results: Vec<CheckResultBody>,
}

/// What the server says of one statement.
#[derive(Serialize, ToSchema)]
struct CheckResultBody {
    /// Of the query.
    position: i32,
    /// Whether it can run on the dataset.
    ready: bool,
    /// What is wrong with it.
    message: Option<String>,
    /// The line of the script at which the server stumbled.
    line: Option<u64>,
}

impl WorkloadBody {
    pub fn new(workload: Workload) -> Self {
        Self {
            id: workload.id,
            name: workload.name,
            file_name: workload.file_name,
            sha256: workload.sha256,
            created_at: rfc3339(workload.created_at),
            query_count: workload.n_queries,
            refused_count: workload.n_refused,
            tags: workload.filing.tags.as_slice().to_vec(),
            memo: workload.filing.memo.as_str().to_owned(),
        }
    }
}

impl WorkloadDetailBody {
    pub fn new(workload: Workload, queries: Vec<Query>) -> Self {
        Self {
            workload: WorkloadBody::new(workload),
            queries: queries.into_iter().map(QueryBody::from).collect(),
        }
    }
}

impl From<Query> for QueryBody {
    fn from(query: Query) -> Self {
        Self {
            position: query.position,
            label: query.label,
            line: query.line,
            sql: query.sql,
            class: query.class.word(),
            refusal: query.refusal,
        }
    }
}

impl CheckBody {
    pub fn new(workload: WorkloadId, dataset: DatasetId, job: Job, results: Vec<CheckResult>) -> Self {
        Self {
            workload,
            dataset,
            status: status_word(job.status),
            created_at: rfc3339(job.created_at),
            completed_at: job.finished_at.filter(|_| job.status.is_settled()).map(rfc3339),
            message: job.message,
            results: results.into_iter().map(CheckResultBody::from).collect(),
        }
    }
}

impl From<CheckResult> for CheckResultBody {
    fn from(result: CheckResult) -> Self {
        Self {
            position: result.position,
            ready: match result.status {
                CheckStatus::Ready => true,
                CheckStatus::Broken => false,
            },
            message: result.message,
            line: result.line,
        }
    }
}
