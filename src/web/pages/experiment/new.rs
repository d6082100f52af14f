//! The form for a new experiment, what it would take, and its launch.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use sqlx::PgPool;

use crate::experiment::estimate::Estimate;
use crate::experiment::fields::FieldError;
use crate::experiment::form::ExperimentForm;
use crate::experiment::likeness;
use crate::experiment::likeness::Likeness;
use crate::experiment::service::Experiments;
use crate::experiment::service::LaunchError;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::form::Form;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::experiment::follow;
use crate::web::pages::experiment::sources;
use crate::web::pages::experiment::sources::SourcesView;
use crate::web::pages::notes::NotesView;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

#[derive(Template)]
#[template(path = "experiment/new.html", blocks = ["estimate", "queries"])]
struct NewPage {
    form: ExperimentForm,
    datasets: Vec<Choice>,
    workloads: Vec<Choice>,
    /// Of the chosen workload; none when it is not chosen yet.
    queries: Vec<QueryChoice>,
    sources: SourcesView,
    errors: Vec<FieldError>,
    estimate: Option<Estimate>,
    /// What it was filled in from.
    like: Option<LikeView>,
}

/// The experiment that a form was filled in from.
struct LikeView {
    id: ExperimentId,
    /// What is chosen instead of what is gone.
    instead: Vec<String>,
}

impl NewPage {
    /// What sources would change, with the experiment that each goes by.
    fn previews(&self) -> Vec<(NotesView, String)> {
        let previews = self.estimate.iter().flat_map(|estimate| &estimate.previews);
        let views = previews.map(|preview| {
            let by = urls::result(preview.by);
            (NotesView::new(&preview.source, &preview.notes), by)
        });
        views.collect()
    }
}

/// What is shown in place of the form while there is nothing to choose from.
#[derive(Template)]
#[template(path = "experiment/missing.html")]
struct MissingPage {
    no_dataset: bool,
    no_workload: bool,
}

struct Choice {
    id: String,
    text: String,
    is_chosen: bool,
}

struct QueryChoice {
    position: String,
    label: String,
    class: &'static str,
    refusal: Option<String>,
    is_chosen: bool,
}

impl NewPage {
    /// Everything that can be chosen, with what was chosen already.
    async fn load(pool: &PgPool, viewer: Viewer, form: ExperimentForm, errors: Vec<FieldError>) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let datasets = store::datasets::list(&mut conn, viewer).await?;
        let usable = datasets
            .into_iter()
            .filter(|dataset| !matches!(dataset.job.status, JobStatus::Failed | JobStatus::Cancelled));
        let datasets = usable.map(|dataset| Choice {
            is_chosen: form.dataset == dataset.id.to_string(),
            text: match dataset.job.status {
                JobStatus::Completed => {
                    format!("{} ({})", dataset.name, counted(dataset.n_tables, "table", "tables"))
                }
                status => format!("{} (restore {})", dataset.name, status.word()),
            },
            id: dataset.id.to_string(),
        });
        let workloads = store::workloads::list(&mut conn, viewer)
            .await?
            .into_iter()
            .map(|workload| Choice {
                is_chosen: form.workload == workload.id.to_string(),
                text: format!(
                    "{} ({})",
                    workload.name,
                    counted(workload.n_queries, "query", "queries")
                ),
                id: workload.id.to_string(),
            });
        let (mut datasets, mut workloads): (Vec<_>, Vec<_>) = (datasets.collect(), workloads.collect());
        // Not in place of one that is gone: that is for a person to decide.
        let is_refused = |field: &str| errors.iter().any(|error| error.field == field);
        if !is_refused("dataset") {
            choose_only(&mut datasets);
        }
        if !is_refused("workload") {
            choose_only(&mut workloads);
        }
        let chosen_workload = chosen(&workloads).and_then(|id| id.parse().ok());
        let queries = match chosen_workload {
            Some(id) => query_choices(&mut conn, viewer, id, &form).await?,
            None => Vec::new(),
        };
        let dataset_id = chosen(&datasets).and_then(|id| id.parse().ok());
        let sources = SourcesView::load(&mut conn, viewer, dataset_id, &form, &errors).await?;
        Ok(Self {
            sources,
            datasets,
            workloads,
            queries,
            form,
            errors,
            estimate: None,
            like: None,
        })
    }

    /// Whether all queries are meant, as usual.
    fn has_all_queries(&self) -> bool {
        self.queries
            .iter()
            .all(|query| query.is_chosen || query.refusal.is_some())
    }

    /// All messages at a field.
    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }
}

/// Where there is one thing only, it is meant.
fn choose_only(choices: &mut [Choice]) {
    if let [only] = choices {
        only.is_chosen = true;
    }
}

async fn query_choices(
    conn: &mut sqlx::PgConnection,
    viewer: Viewer,
    id: WorkloadId,
    form: &ExperimentForm,
) -> store::Result<Vec<QueryChoice>> {
    let queries = store::workloads::list_queries(conn, viewer, id).await?;
    let choices = queries.into_iter().map(|query| {
        let position = query.position.to_string();
        QueryChoice {
            is_chosen: query.class != QueryClass::Refused
                && (form.queries.contains(&position) || (form.queries.is_empty() && !form.queries_listed)),
            position,
            label: query.label,
            class: query.class.word(),
            refusal: query.refusal,
        }
    });
    Ok(choices.collect())
}

/// GET /experiment
pub(super) async fn new(
    State(pool): State<PgPool>,
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    if let Some(like) = given.get("like") {
        return new_like(&pool, &experiments, viewer, like).await;
    }
    let get = |name: &str| given.get(name).cloned().unwrap_or_default();
    let form = ExperimentForm {
        request_id: view::request_id()?,
        dataset: get("dataset"),
        workload: get("workload"),
        stats_source: vec!["built_in".to_owned(), "none".to_owned()],
        ..ExperimentForm::default()
    };
    let page = NewPage::load(&pool, viewer, form, Vec::new()).await?;
    show(page, &experiments, viewer).await
}

/// The form, filled in like an earlier experiment.
async fn new_like(pool: &PgPool, experiments: &Experiments, viewer: Viewer, like: &str) -> PageResult<Response> {
    let id = like.parse().map_err(|_| Error::NotFound("experiment"))?;
    let likeness = likeness::load(&mut *pool.acquire().await?, viewer, id).await?;
    let Likeness {
        id,
        form,
        instead,
        missing,
    } = likeness.ok_or(Error::NotFound("experiment"))?;
    let form = ExperimentForm {
        request_id: view::request_id()?,
        ..form
    };
    let page = NewPage {
        like: Some(LikeView { id, instead }),
        ..NewPage::load(pool, viewer, form, missing).await?
    };
    show(page, experiments, viewer).await
}

/// The experiment that a form which comes back was filled in from; none where it was not, or the experiment is gone.
async fn like_of(pool: &PgPool, viewer: Viewer, pairs: &[(String, String)]) -> Result<Option<LikeView>, Error> {
    let like = pairs.iter().find(|(name, _)| name == "like");
    let Some(id) = like.and_then(|(_, value)| value.parse().ok()) else {
        return Ok(None);
    };
    let likeness = likeness::load(&mut *pool.acquire().await?, viewer, id).await?;
    Ok(likeness.map(|Likeness { id, instead, .. }| LikeView { id, instead }))
}

/// The form with what it would take, or what is missing for any.
async fn show(mut page: NewPage, experiments: &Experiments, viewer: Viewer) -> PageResult<Response> {
    let missing = MissingPage {
        no_dataset: page.datasets.is_empty(),
        no_workload: page.workloads.is_empty(),
    };
    if missing.no_dataset || missing.no_workload {
        return fragment::page(&missing);
    }
    if page.errors.is_empty()
        && let (Some(dataset), Some(workload)) = (chosen(&page.datasets), chosen(&page.workloads))
    {
        let form = ExperimentForm {
            dataset,
            workload,
            ..page.form.clone()
        };
        page.estimate = experiments.check(viewer, &form).await.ok();
    }
    fragment::page(&page)
}

fn chosen(choices: &[Choice]) -> Option<String> {
    choices
        .iter()
        .find(|choice| choice.is_chosen)
        .map(|choice| choice.id.clone())
}

/// GET /experiment/queries: the tick boxes of the chosen workload.
pub(super) async fn queries(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let workload = given.get("workload").cloned().unwrap_or_default();
    hx.require_fragment_of(&urls::experiment_on(None, workload.parse().ok()))?;
    let form = ExperimentForm {
        workload,
        ..ExperimentForm::default()
    };
    let page = NewPage::load(&pool, viewer, form, Vec::new()).await?;
    fragment::with_status(StatusCode::OK, &page.as_queries())
}

/// POST /experiment/sources: the sources for the chosen dataset, with what was chosen already.
pub(super) async fn sources(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = ExperimentForm::from_pairs(pairs);
    hx.require_fragment_of(&urls::experiment_on(
        form.dataset.parse().ok(),
        form.workload.parse().ok(),
    ))?;
    let page = NewPage::load(&pool, viewer, form, Vec::new()).await?;
    fragment::with_status(StatusCode::OK, &page.sources)
}

/// POST /experiment/check: what the form, as it stands, would take and could show.
pub(super) async fn check(
    State(pool): State<PgPool>,
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let like = like_of(&pool, viewer, &pairs).await?;
    let form = ExperimentForm::from_pairs(pairs);
    let (estimate, errors) = match experiments.check(viewer, &form).await {
        Ok(estimate) => (Some(estimate), Vec::new()),
        Err(LaunchError::Refused(errors)) => (None, errors),
        Err(LaunchError::Fault(error)) => return Err(error.into()),
    };
    let page = NewPage {
        estimate,
        like,
        ..NewPage::load(&pool, viewer, form, errors).await?
    };
    if hx.is_fragment {
        fragment::with_status(StatusCode::OK, &page.as_estimate())
    } else {
        fragment::page(&page)
    }
}

/// POST /experiment
pub(super) async fn create(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let like = like_of(&state.pool, viewer, &pairs).await?;
    let form = ExperimentForm::from_pairs(pairs);
    match state.experiments.launch(viewer, &form).await {
        Ok(id) => {
            let wants_stream = headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.contains("text/event-stream"));
            if wants_stream {
                return Ok(follow::events(state.experiments, viewer, id, state.shutdown).into_response());
            }
            Ok(hx.redirect(&urls::result(id)))
        }
        Err(LaunchError::Refused(errors)) => {
            let page = NewPage {
                like,
                ..NewPage::load(&state.pool, viewer, form, errors).await?
            };
            if hx.is_fragment {
                // The rest of the form stays as it is in the browser.
                return fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page.as_estimate());
            }
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(LaunchError::Fault(error)) => Err(error.into()),
    }
}
