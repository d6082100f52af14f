//! Where an experiment stands, for people. Progress shown equals trials stored.

use sqlx::PgConnection;

use crate::experiment::timed;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::trial::Trial;
use crate::model::trial::TrialKind;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::store;

/// One look at an experiment under way or settled.
#[derive(Clone, Debug)]
pub struct ExperimentProgress {
    pub experiment: Experiment,
    /// What happens now, in a few words.
    pub stage: String,
    /// The query and source in hand.
    pub detail: String,
    pub done: u64,
    pub total: u64,
    pub elapsed_s: Option<f64>,
    /// Guessed from the pace since measuring began.
    pub left_s: Option<f64>,
    /// Its place in the queue, from 1, while it waits, and what runs before it.
    pub place: Option<Place>,
}

/// Why something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub position: usize,
    /// What is running now.
    pub behind: Option<String>,
    /// The machine it waits for, as a sentence, where that is away.
    pub away: Option<String>,
}

/// Looks at an experiment; none when there is no such experiment for this viewer.
pub async fn look(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
) -> store::Result<Option<ExperimentProgress>> {
    match store::experiments::get(&mut *conn, viewer, id).await? {
        Some(experiment) => Ok(Some(look_at(conn, viewer, experiment).await?)),
        None => Ok(None),
    }
}

/// Looks at an experiment that was read just now.
pub async fn look_at(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: Experiment,
) -> store::Result<ExperimentProgress> {
    let id = experiment.id;
    let place = match experiment.job.status {
        JobStatus::Queued => Some(place(&mut *conn, viewer, &experiment).await?),
        _ => None,
    };
    let is_measuring = experiment.job.status == JobStatus::Running && experiment.job.stage == "measuring";
    let mut progress = ExperimentProgress {
        stage: experiment.job.stage.clone(),
        detail: experiment.job.progress.detail.clone(),
        done: experiment.n_recorded,
        total: experiment.n_trials,
        elapsed_s: experiment.job.elapsed_s(),
        left_s: None,
        place,
        experiment,
    };
    if is_measuring {
        let queries = store::experiments::list_queries(&mut *conn, viewer, id).await?;
        let trials = timed::trials(&mut *conn, id, &progress.experiment.spec).await?;
        describe_trial(&mut progress, &trials, &queries);
        progress.left_s = left_s(&mut *conn, viewer, &progress).await?;
    }
    Ok(progress)
}

/// The trial in hand is the first that is not recorded: they run in order.
fn describe_trial(progress: &mut ExperimentProgress, trials: &[Trial], queries: &[ExperimentQuery]) {
    let spec = &progress.experiment.spec;
    let next = usize::try_from(progress.done).unwrap_or(usize::MAX);
    let Some(trial) = trials.get(next).copied() else {
        return;
    };
    let kind = match trial.kind {
        TrialKind::WarmUp => "Warming up: trial",
        TrialKind::Measured => "Trial",
        TrialKind::Plain | TrialKind::TimingOff | TrialKind::TimingOn => "Asking what measuring costs: trial",
    };
    progress.stage = format!("{kind} {} of {}", grouped(progress.done + 1), grouped(progress.total));
    if let (Some(query), Some(source)) = (queries.get(trial.query_idx), spec.sources.get(trial.source_idx)) {
        progress.detail = format!("{} under {}", query.label, source.label);
    }
}

async fn left_s(conn: &mut PgConnection, viewer: Viewer, progress: &ExperimentProgress) -> store::Result<Option<f64>> {
    let pace = store::trials::pace(conn, viewer, progress.experiment.id).await?;
    Ok(pace.filter(|(_, n)| *n > 0).map(|(elapsed_s, n)| {
        #[expect(clippy::cast_precision_loss, reason = "a guess, shown in two digits")]
        let share_left = progress.total.saturating_sub(progress.done) as f64 / n as f64;
        elapsed_s * share_left
    }))
}

async fn place(conn: &mut PgConnection, viewer: Viewer, experiment: &Experiment) -> store::Result<Place> {
    let queue = store::jobs::list_unsettled(conn, viewer, Some(experiment.job.id)).await?;
    let own = queue.find(experiment.job.id);
    let n_before = own.map_or(0, |own| own.n_before);
    Ok(Place {
        position: usize::try_from(n_before + 1).unwrap_or(usize::MAX),
        behind: queue.running().next().map(store::jobs::QueuedJob::in_words),
        away: own.and_then(store::jobs::QueuedJob::away_in_words),
    })
}
