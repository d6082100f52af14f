//! What programs are told of experiments: the numbers of their pages and of `export.json`, under the same names and in the
//! same units.

use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::estimate::Estimate;
use crate::experiment::form::ExperimentForm;
use crate::experiment::progress::ExperimentProgress;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SourceNote;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::report::bodies;
use crate::report::bodies::ComparisonBody;
use crate::report::bodies::QueryBody;
use crate::report::bodies::SegmentBody;
use crate::report::bodies::SourceBody;
use crate::report::bodies::SummaryBody;
use crate::report::data::ReportData;
use crate::web::api::experiments::wish;
use crate::web::api::experiments::wish::ExperimentWish;
use crate::web::view::rfc3339;

/// An experiment: what was asked for, and how it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Experiment)]
pub(super) struct ExperimentBody {
    id: ExperimentId,
    status: JobStatus,
    /// Somebody has asked it to stop.
    cancel_requested: bool,
    /// Why it failed or was stopped.
    message: Option<String>,
    /// What it came to, in a sentence.
    headline: Option<String>,
    dataset: DatasetPart,
    workload: WorkloadPart,
    spec: ExperimentSpec,
    /// Trials planned, warm-ups included.
    n_trials: u64,
    /// Trials stored so far.
    n_recorded: u64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    tags: Vec<String>,
    memo: String,
}

/// The dataset of an experiment, as it was when that was launched.
#[derive(Serialize, ToSchema)]
struct DatasetPart {
    /// None when it is gone.
    id: Option<DatasetId>,
    name: String,
    sha256: String,
}

/// The workload of an experiment, as it was when that was launched.
#[derive(Serialize, ToSchema)]
struct WorkloadPart {
    /// None when it is gone.
    id: Option<WorkloadId>,
    name: String,
    sha256: String,
}

impl ExperimentBody {
    pub fn new(experiment: &Experiment) -> Self {
        let job = &experiment.job;
        Self {
            id: experiment.id,
            status: job.status,
            cancel_requested: job.cancel_requested,
            message: job.message.clone(),
            headline: experiment.headline.clone(),
            dataset: DatasetPart {
                id: experiment.dataset_id,
                name: experiment.dataset_name.clone(),
                sha256: experiment.dataset_sha256.clone(),
            },
            workload: WorkloadPart {
                id: experiment.workload_id,
                name: experiment.workload_name.clone(),
                sha256: experiment.workload_sha256.clone(),
            },
            spec: experiment.spec.clone(),
            n_trials: experiment.n_trials,
            n_recorded: experiment.n_recorded,
            created_at: rfc3339(experiment.created_at),
            started_at: job.started_at.map(rfc3339),
            finished_at: job.finished_at.map(rfc3339),
            tags: experiment.filing.tags.as_slice().to_vec(),
            memo: experiment.filing.memo.as_str().to_owned(),
        }
    }
}

/// An experiment with everything that is known of it but its trials and plans. Numbers are there once it has settled.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentInFull)]
pub(super) struct ShowBody<'a> {
    #[serde(flatten)]
    experiment: ExperimentBody,
    /// None once it has settled.
    progress: Option<ProgressBody>,
    /// What it ran on.
    environment: &'a [Setting],
    segments: Vec<SegmentBody<'a>>,
    queries: Vec<QueryBody<'a>>,
    sources: Vec<SourceBody<'a>>,
    summaries: Vec<SummaryBody<'a>>,
    /// The label of the source that the others are compared with.
    baseline: &'a str,
    comparisons: Vec<ComparisonBody<'a>>,
}

/// Where an experiment stands that has not settled.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentProgress)]
struct ProgressBody {
    /// What happens now, in a few words.
    stage: String,
    /// The query and the source in hand.
    detail: String,
    elapsed_s: Option<f64>,
    /// Guessed from the pace of the trials so far.
    left_s: Option<f64>,
    /// Its place in the queue, from 1, while it waits.
    queue_position: Option<usize>,
    /// What it waits for.
    waits_for: Option<String>,
}

impl<'a> ShowBody<'a> {
    pub fn new(data: &'a ReportData, look: &ExperimentProgress) -> Self {
        let is_settled = data.experiment.job.status.is_settled();
        Self {
            experiment: ExperimentBody::new(&data.experiment),
            progress: (!is_settled).then(|| ProgressBody::new(look)),
            environment: &data.experiment.environment,
            segments: bodies::segments(data),
            queries: bodies::queries(data),
            sources: bodies::sources(data),
            summaries: bodies::summaries(data),
            baseline: data.source_label(data.base_idx),
            comparisons: bodies::comparisons(data),
        }
    }
}

impl ProgressBody {
    fn new(look: &ExperimentProgress) -> Self {
        let place = look.place.as_ref();
        Self {
            stage: look.stage.clone(),
            detail: look.detail.clone(),
            elapsed_s: look.elapsed_s,
            left_s: look.left_s,
            queue_position: place.map(|place| place.position),
            waits_for: place.and_then(|place| place.away.clone().or_else(|| place.behind.clone())),
        }
    }
}

/// What an experiment would take and could show.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentCheck)]
pub(super) struct CheckBody {
    valid: bool,
    /// How the trials come about: `2 sources × 3 queries × (10 rounds + 1 warm-up)`.
    combinations: String,
    n_sources: usize,
    n_queries: usize,
    /// Trials, warm-ups included.
    n_trials: u64,
    /// How long it will take, in words, as far as that can be known.
    estimated_time: String,
    /// The same as a number; none before these queries have run once.
    estimated_time_s: Option<f64>,
    /// If every trial ran into the timeout.
    longest_time_s: f64,
    /// What should be known before it is launched.
    warnings: Vec<String>,
    /// What sources would change, as far as that is known.
    previews: Vec<PreviewBody>,
    /// The body that asks for the same in full.
    configuration: ExperimentWish,
}

/// What one source would change.
#[derive(Serialize, ToSchema)]
struct PreviewBody {
    source: String,
    /// The experiment whose `built_in` statistics it goes by.
    by: ExperimentId,
    notes: Vec<SourceNote>,
}

impl CheckBody {
    pub fn new(form: &ExperimentForm, estimate: Estimate) -> Self {
        let previews = estimate.previews.into_iter().map(|preview| PreviewBody {
            source: preview.source,
            by: preview.by,
            notes: preview.notes,
        });
        Self {
            valid: true,
            combinations: estimate.sum,
            n_sources: estimate.spec.sources.len(),
            n_queries: estimate.spec.query_positions.len(),
            n_trials: estimate.n_trials,
            estimated_time: estimate.time,
            estimated_time_s: estimate.expected_s,
            longest_time_s: estimate.most_s,
            warnings: estimate.warnings,
            previews: previews.collect(),
            configuration: wish::configuration(form, &estimate.spec),
        }
    }
}
