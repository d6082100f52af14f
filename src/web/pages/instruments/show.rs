//! The page of one run: how far it is, then its answer, as each instrument shows its own.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sqlx::PgPool;

use crate::model::filing::Filed;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::job::Interrupted;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::units::seconds_in_words;
use crate::report::instruments::InstrumentData;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::filing::FilingView;
use crate::web::pages::instruments::bisect;
use crate::web::pages::instruments::budget;
use crate::web::pages::instruments::lottery;
use crate::web::pages::instruments::regret;
use crate::web::pages::queue;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Standing;
use crate::web::urls;
use crate::web::view;

/// What the pages of all instruments begin with.
pub(super) struct Frame {
    pub id: InstrumentId,
    pub title: String,
    /// What was asked, in a sentence; the experiment follows as a link.
    pub asked: String,
    /// With its address, where the viewer sees it.
    pub experiment: Option<(ExperimentId, Option<String>)>,
    pub headline: String,
    /// It was stopped: the findings are those of the steps by then.
    pub is_part: bool,
    pub message: String,
    pub interruptions: Vec<String>,
    pub progress: ProgressView,
    pub standing: Standing,
    pub filing: FilingView,
}

/// How far a run is: on its page, and polled.
#[derive(Template)]
#[template(path = "instruments/progress.html")]
pub(super) struct ProgressView {
    id: InstrumentId,
    pub is_settled: bool,
    status: &'static str,
    class: &'static str,
    stage: String,
    detail: String,
    percent: Option<u64>,
    stored: String,
    elapsed: String,
    waiting: String,
    is_stopping: bool,
}

impl ProgressView {
    fn new(instrument: &Instrument, waiting: String) -> Self {
        let job = &instrument.job;
        Self {
            id: instrument.id,
            is_settled: job.status.is_settled(),
            status: job.status.word(),
            class: view::status_class(job.status),
            stage: job.stage.clone(),
            detail: job.progress.detail.clone(),
            percent: view::percent(job.progress.done, job.progress.total),
            stored: counted(instrument.n_steps, "step is stored", "steps are stored"),
            elapsed: job.elapsed_s().map(seconds_in_words).unwrap_or_default(),
            waiting,
            is_stopping: job.cancel_requested && job.status == JobStatus::Running,
        }
    }

    async fn load(
        conn: &mut sqlx::PgConnection,
        viewer: crate::model::user::Viewer,
        instrument: &Instrument,
    ) -> store::Result<Self> {
        let waiting = match instrument.job.status {
            JobStatus::Queued => {
                let jobs = store::jobs::list_unsettled(conn, viewer, Some(instrument.job.id)).await?;
                queue::waits_for(&jobs, instrument.job.id)
            }
            _ => String::new(),
        };
        Ok(Self::new(instrument, waiting))
    }
}

/// A run of which nothing is known yet.
#[derive(Template)]
#[template(path = "instruments/show.html")]
struct WaitingPage {
    frame: Frame,
}

/// GET /instruments/{id}
pub(super) async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<InstrumentId>,
) -> PageResult<Response> {
    let mut conn = pool.acquire().await?;
    let data = InstrumentData::load(&mut conn, viewer, id).await?;
    let data = data.ok_or(Error::NotFound("instrument"))?;
    let instrument = &data.instrument;
    let interruptions = store::jobs::list_interruptions(&mut conn, viewer, instrument.job.id).await?;
    let kind = instrument.spec.task.kind();
    let standing = Standing::load(&mut conn, viewer, Filed::Instrument(id)).await?;
    let beside = [instrument.experiment_id.map(Filed::Experiment)];
    let [address] = sharing::addresses(&mut conn, viewer, beside).await?;
    let frame = Frame {
        id,
        title: format!("{} {id}", kind.title()),
        asked: asked(instrument),
        experiment: instrument.experiment_id.map(|experiment| (experiment, address)),
        headline: instrument.headline.clone().unwrap_or_default(),
        is_part: matches!(instrument.job.status, JobStatus::Cancelled | JobStatus::Failed),
        message: instrument.job.message.clone().unwrap_or_default(),
        interruptions: interruptions.iter().map(Interrupted::in_words).collect(),
        progress: ProgressView::load(&mut conn, viewer, instrument).await?,
        filing: FilingView::new(Filed::Instrument(id), &instrument.filing, &standing),
        standing,
    };
    drop(conn);
    // Before the end a result is a draft.
    match &instrument.result {
        Some(findings) if instrument.job.status.is_settled() => match findings {
            Findings::Bisect(findings) => fragment::page(&bisect::BisectPage::new(frame, &data, findings)?),
            Findings::Lottery(findings) => fragment::page(&lottery::LotteryPage::new(frame, &data, findings)?),
            Findings::Regret(findings) => fragment::page(&regret::RegretPage::new(frame, &data, findings)?),
            Findings::Budget(findings) => fragment::page(&budget::BudgetPage::new(frame, &data, findings)?),
        },
        _ => fragment::page(&WaitingPage { frame }),
    }
}

fn asked(instrument: &Instrument) -> String {
    use crate::model::instrument::Task;
    match &instrument.spec.task {
        Task::Bisect(task) => format!(
            "{} on {}: which statistics of {} turn its plan under {} into the other?",
            task.query.label, instrument.dataset_name, task.to.label, task.from.label
        ),
        Task::Regret(task) => format!(
            "{} on {}: how much slower is the plan that each of {} chooses than the best of them?",
            counted(task.queries.len() as u64, "query", "queries"),
            instrument.dataset_name,
            counted(task.sources.len() as u64, "source", "sources"),
        ),
        Task::Budget(task) => {
            let targets: Vec<String> = task.targets.iter().map(u32::to_string).collect();
            format!(
                "{} on {}: how small may the target of each column be before anything moves? Targets {}.",
                counted(task.queries.len() as u64, "query", "queries"),
                instrument.dataset_name,
                targets.join(", ")
            )
        }
        Task::Lottery(task) => {
            let targets: Vec<String> = task.targets.iter().map(u32::to_string).collect();
            format!(
                "{} on {}: how often does another ANALYZE give another plan? {} at {} {}.",
                counted(task.queries.len() as u64, "query", "queries"),
                instrument.dataset_name,
                counted(u64::from(task.n_draws), "draw", "draws each"),
                if targets.len() == 1 { "target" } else { "targets" },
                targets.join(", ")
            )
        }
    }
}

/// GET /instruments/{id}/progress: the block that asks again and again, and stops when there is nothing more to tell.
pub(super) async fn progress(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<InstrumentId>,
) -> PageResult<Response> {
    hx.require_fragment_of(&urls::instrument(id))?;
    let mut conn = pool.acquire().await?;
    let instrument = store::instruments::get(&mut conn, viewer, id).await?;
    let instrument = instrument.ok_or(Error::NotFound("instrument"))?;
    let view = ProgressView::load(&mut conn, viewer, &instrument).await?;
    if !view.is_settled {
        return fragment::page(&view);
    }
    let said = format!("Instrument {id} has {}", instrument.job.status.word());
    let mut response = fragment::last_poll(&view, &said, "instrument-settled")?;
    // The page has more to show now.
    let refresh = axum::http::HeaderValue::from_static("true");
    response.headers_mut().insert("hx-refresh", refresh);
    Ok(response)
}
