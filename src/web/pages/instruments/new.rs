//! The short form of an instrument, and its launch. What can be chosen follows from the experiment, which is chosen first.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sqlx::PgPool;

use crate::analysis;
use crate::experiment::fields::FieldError;
use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::instrument::likeness;
use crate::instrument::service::Instruments;
use crate::instrument::subject::APART;
use crate::instrument::subject::Subject;
use crate::model::experiment::Experiment;
use crate::model::ids::InstrumentId;
use crate::model::instrument::InstrumentKind;
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
use crate::web::pages::instruments::place::PlacePage;
use crate::web::urls;
use crate::web::view;
use crate::web::view::Choice;

/// Experiments that the first select offers: the newest.
const OFFERED: u32 = 100;

#[derive(Template)]
#[template(path = "instruments/new.html")]
struct NewPage {
    kind: InstrumentKind,
    request_id: String,
    /// None where there is nothing to choose from.
    experiments: Vec<Choice>,
    /// Empty before an experiment is chosen.
    experiment: String,
    sources: Vec<Choice>,
    targets: Vec<Choice>,
    queries: Vec<QueryChoice>,
    /// Queries that cannot be chosen, with the reason.
    others: Vec<String>,
    /// Sources that are not offered, and why; empty where there are none.
    apart: String,
    /// How often a regret runs each plan.
    rounds: String,
    errors: Vec<FieldError>,
    /// The run that it was filled in from.
    like: Option<InstrumentId>,
}

/// A query that has several plans, with the letter under each source.
struct QueryChoice {
    value: String,
    label: String,
    letters: Vec<String>,
    is_chosen: bool,
}

impl NewPage {
    async fn load(
        pool: &PgPool,
        viewer: Viewer,
        kind: InstrumentKind,
        form: InstrumentForm,
        errors: Vec<FieldError>,
    ) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let all = store::experiments::list_newest(&mut conn, viewer, OFFERED).await?;
        let usable = all.iter().filter(|experiment| is_usable(experiment));
        let chosen = form.get("experiment").to_owned();
        let experiments = usable.map(|experiment| Choice {
            value: experiment.id.to_string(),
            text: in_words(experiment),
            is_chosen: experiment.id.to_string() == chosen,
        });
        let mut page = Self {
            kind,
            request_id: match form.request_id.as_str() {
                "" => view::request_id()?,
                given => given.to_owned(),
            },
            experiments: experiments.collect(),
            experiment: String::new(),
            sources: Vec::new(),
            targets: Vec::new(),
            queries: Vec::new(),
            others: Vec::new(),
            apart: String::new(),
            rounds: match form.get("rounds") {
                "" if errors.is_empty() => "5".to_owned(),
                given => given.to_owned(),
            },
            errors,
            like: None,
        };
        let Ok(id) = chosen.parse() else { return Ok(page) };
        if let Some(subject) = Subject::load(&mut conn, viewer, id).await? {
            page.offer(&subject, &form);
        }
        Ok(page)
    }

    /// Fills in what can be chosen of an experiment.
    fn offer(&mut self, subject: &Subject, form: &InstrumentForm) {
        self.experiment = subject.experiment.id.to_string();
        self.apart = apart(&subject.experiment);
        for query in &subject.queries {
            let letters = letters(subject, query.query_idx);
            let differ = letters.iter().any(|letter| !letter.is_empty() && *letter != letters[0]);
            match (query.class, differ) {
                (QueryClass::Writes, _) => self.others.push(format!("{} writes", query.label)),
                (_, false) => self.others.push(format!("{} has one plan only", query.label)),
                (_, true) => self.queries.push(QueryChoice {
                    value: query.query_idx.to_string(),
                    is_chosen: form.get("query") == query.query_idx.to_string(),
                    label: query.label.clone(),
                    letters,
                }),
            }
        }
        if !self.queries.iter().any(|query| query.is_chosen)
            && let Some(first) = self.queries.first_mut()
        {
            first.is_chosen = true;
        }
        // The first source whose plan of the chosen query is another than that of the first.
        let letters = self
            .queries
            .iter()
            .find(|query| query.is_chosen)
            .map(|query| &query.letters);
        let other = letters.and_then(|letters| letters.iter().position(|letter| *letter != letters[0]));
        self.sources = source_choices(subject, form.get("from"), 0);
        self.targets = source_choices(subject, form.get("to"), other.unwrap_or(1));
    }

    fn is_regret(&self) -> bool {
        self.kind == InstrumentKind::Regret
    }

    /// The message at a field.
    fn error(&self, field: &str) -> Option<&str> {
        let found = self.errors.iter().find(|error| error.field == field);
        found.map(|error| error.message.as_str())
    }
}

fn is_usable(experiment: &Experiment) -> bool {
    let is_there = experiment.dataset_id.is_some();
    is_there && experiment.job.status == JobStatus::Completed && experiment.spec.sharing().count() > 1
}

fn in_words(experiment: &Experiment) -> String {
    let n_sources = experiment.spec.sources.len() as u64;
    format!(
        "Experiment {}: {} on {}, {}",
        experiment.id,
        experiment.workload_name,
        experiment.dataset_name,
        counted(n_sources, "source", "sources")
    )
}

/// What is not offered of an experiment, in words; empty where all of it is.
fn apart(experiment: &Experiment) -> String {
    let sources = experiment.spec.sources.iter().filter(|source| source.annex.is_some());
    let labels: Vec<&str> = sources.map(|source| source.label.as_str()).collect();
    if labels.is_empty() {
        return String::new();
    }
    format!("Not offered: {}. Of each, {APART}.", labels.join("; "))
}

fn letters(subject: &Subject, query_idx: i32) -> Vec<String> {
    let sources = subject.experiment.spec.sharing();
    let fingerprints: Vec<Option<&str>> = sources
        .map(|(source_idx, _)| subject.fingerprint(query_idx, source_idx))
        .collect();
    let letters = analysis::letters(&fingerprints).into_iter();
    letters.map(Option::unwrap_or_default).collect()
}

fn source_choices(subject: &Subject, given: &str, default: usize) -> Vec<Choice> {
    let sources = subject.experiment.spec.sharing().enumerate();
    let choices = sources.map(|(place, (idx, source))| Choice {
        value: idx.to_string(),
        text: source.label.clone(),
        is_chosen: if given.is_empty() {
            place == default
        } else {
            given == idx.to_string()
        },
    });
    choices.collect()
}

/// GET /instruments/new
pub(super) async fn new(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let given = match given.get("like") {
        Some(like) => {
            let id = like.parse().map_err(|_| Error::NotFound("instrument"))?;
            let likeness = likeness::load(&mut *pool.acquire().await?, viewer, id).await?;
            let likeness = likeness.ok_or(Error::NotFound("instrument"))?;
            Given {
                form: likeness.form,
                errors: likeness.missing,
                like: Some(id),
            }
        }
        None => Given {
            form: InstrumentForm::from_pairs(given),
            errors: Vec::new(),
            like: None,
        },
    };
    let kind = given.form.instrument().map_err(|_| Error::NotFound("instrument"))?;
    show(&pool, viewer, kind, given, StatusCode::OK).await
}

/// What a form begins with.
struct Given {
    form: InstrumentForm,
    errors: Vec<FieldError>,
    /// The run that it was filled in from.
    like: Option<InstrumentId>,
}

/// The form that the instrument has, with what was given and what is wrong with it.
async fn show(
    pool: &PgPool,
    viewer: Viewer,
    kind: InstrumentKind,
    given: Given,
    status: StatusCode,
) -> PageResult<Response> {
    let Given { form, errors, like } = given;
    match kind {
        InstrumentKind::Bisect | InstrumentKind::Regret => {
            let page = NewPage {
                like,
                ..NewPage::load(pool, viewer, kind, form, errors).await?
            };
            fragment::with_status(status, &page)
        }
        InstrumentKind::Lottery | InstrumentKind::Budget => {
            let mut page = PlacePage::load(pool, viewer, kind, &form, errors).await?;
            page.like = like;
            fragment::with_status(status, &page)
        }
    }
}

/// POST /instruments
pub(super) async fn create(
    State(pool): State<PgPool>,
    State(instruments): State<Instruments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let mut form = InstrumentForm::from_pairs(pairs);
    form.request_id = view::request_id_or(form.request_id)?;
    match instruments.launch(viewer, &form).await {
        Ok(id) => Ok(hx.redirect(&urls::instrument(id))),
        Err(LaunchError::Refused(errors)) => {
            let kind = form.instrument().map_err(|error| Error::refused(error.message))?;
            let given = Given {
                form,
                errors,
                like: None,
            };
            show(&pool, viewer, kind, given, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(LaunchError::Fault(error)) => Err(error.into()),
    }
}
