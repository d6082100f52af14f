//! One workload with its statements and their check against a dataset.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::model::dataset::Dataset;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::model::job::Job;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::model::workload::CheckResult;
use crate::model::workload::CheckStatus;
use crate::model::workload::Query;
use crate::model::workload::QueryClass;
use crate::store;
use crate::web::error::Error;
use crate::web::extract::address::Query as QueryString;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::datasets;
use crate::web::pages::filing::FilingView;
use crate::web::pages::queue;
use crate::web::pages::sharing::Standing;
use crate::web::urls;
use crate::web::view;
use crate::workload::service::Workloads;

/// A workload of more statements shows them folded.
const MOST_OPEN: usize = 20;

#[derive(Template)]
#[template(path = "workloads/show.html", blocks = ["check"])]
struct ShowPage {
    name: String,
    file_name: String,
    sha256: String,
    date: String,
    n_queries: String,
    refused: Option<String>,
    datasets: Vec<Choice>,
    check: CheckView,
    check_action: String,
    statements: Vec<Statement>,
    are_open: bool,
    experiment_href: String,
    delete_href: String,
    standing: Standing,
    filing: FilingView,
}

/// A dataset to check against.
struct Choice {
    id: String,
    name: String,
    is_chosen: bool,
}

/// How the check against the chosen dataset stands. `poll_href` is there as long as that can change.
#[derive(Debug, Default)]
struct CheckView {
    poll_href: Option<String>,
    word: &'static str,
    class: &'static str,
    label: String,
    percent: Option<u64>,
    /// The sentence beside the mark or the bar.
    text: String,
}

struct Statement {
    label: String,
    line: String,
    sql: String,
    class_word: &'static str,
    class_mark: &'static str,
    refusal: Option<String>,
    checked: Option<Checked>,
}

/// What the server said of a statement.
struct Checked {
    word: &'static str,
    class: &'static str,
    message: Option<String>,
}

/// Which dataset the check is about, as the address and the form say it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckParams {
    dataset: String,
}

impl CheckParams {
    fn dataset_id(&self) -> Option<DatasetId> {
        self.dataset.parse().ok()
    }
}

/// GET /workloads/{id}?dataset=
pub(super) async fn show(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<WorkloadId>,
    QueryString(params): QueryString<CheckParams>,
) -> Result<Response, Error> {
    fragment::page(&ShowPage::load(&workloads, viewer, id, params.dataset_id()).await?)
}

/// GET /workloads/{id}/check?dataset=
pub(super) async fn check(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<WorkloadId>,
    QueryString(params): QueryString<CheckParams>,
) -> Result<Response, Error> {
    let page = params.dataset_id().map(|dataset| urls::workload_on(id, dataset));
    hx.require_fragment_of(&page.unwrap_or_else(|| urls::workload(id)))?;
    let page = ShowPage::load(&workloads, viewer, id, params.dataset_id()).await?;
    if page.check.poll_href.is_some() {
        return fragment::page(&page.as_check());
    }
    let said = format!("{} is checked", page.name);
    fragment::last_poll(&page.as_check(), &said, "check-settled")
}

/// POST /workloads/{id}/check
pub(super) async fn request_check(
    State(workloads): State<Workloads>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<WorkloadId>,
    Form(params): Form<CheckParams>,
) -> Result<Response, Error> {
    let dataset = params
        .dataset_id()
        .ok_or_else(|| Error::refused("Choose a dataset to check against."))?;
    if !workloads.request_check(viewer, id, dataset).await? {
        return Err(Error::NotFound("workload or dataset"));
    }
    Ok(hx.redirect(&urls::workload_on(id, dataset)))
}

impl ShowPage {
    async fn load(
        workloads: &Workloads,
        viewer: Viewer,
        id: WorkloadId,
        dataset_id: Option<DatasetId>,
    ) -> Result<Self, Error> {
        let mut conn = workloads.pool.acquire().await?;
        let workload = store::workloads::get(&mut conn, viewer, id).await?;
        let workload = workload.ok_or(Error::NotFound("workload"))?;
        let queries = store::workloads::list_queries(&mut conn, viewer, id).await?;
        let datasets = store::datasets::list(&mut conn, viewer).await?;
        let standing = Standing::load(&mut conn, viewer, Filed::Workload(id)).await?;
        drop(conn);
        let chosen = chosen(&datasets, dataset_id);
        let found = match chosen {
            Some(dataset) => workloads.check(viewer, id, dataset.id).await?,
            None => None,
        };
        let (check, results) = match (chosen, found) {
            (Some(dataset), Some((job, results))) => {
                let waits_for = match job.status {
                    JobStatus::Queued => {
                        let mut conn = workloads.pool.acquire().await?;
                        let jobs = store::jobs::list_unsettled(&mut conn, viewer, Some(job.id)).await?;
                        queue::waits_for(&jobs, job.id)
                    }
                    _ => String::new(),
                };
                (CheckView::new(id, dataset, &job, &results, waits_for), results)
            }
            (Some(dataset), None) => (CheckView::never(dataset), Vec::new()),
            (None, _) => (CheckView::default(), Vec::new()),
        };
        Ok(Self {
            n_queries: counted(workload.n_queries, "statement", "statements"),
            refused: (workload.n_refused > 0).then(|| grouped(workload.n_refused)),
            name: workload.name,
            file_name: workload.file_name,
            sha256: workload.sha256,
            date: view::date(workload.created_at),
            check,
            check_action: urls::workload_check(id),
            are_open: queries.len() <= MOST_OPEN,
            statements: queries
                .into_iter()
                .map(|query| Statement::new(query, &results))
                .collect(),
            experiment_href: urls::experiment_on(chosen.map(|dataset| dataset.id), Some(id)),
            delete_href: urls::workload_delete(id),
            filing: FilingView::new(Filed::Workload(id), &workload.filing, &standing),
            standing,
            datasets: datasets
                .iter()
                .map(|dataset| Choice {
                    id: dataset.id.to_string(),
                    name: format!("{} ({})", dataset.name, datasets::state(dataset.job.status).0),
                    is_chosen: chosen.is_some_and(|chosen| chosen.id == dataset.id),
                })
                .collect(),
        })
    }
}

/// The dataset that the address names, else the newest that is ready, else the newest.
fn chosen(datasets: &[Dataset], named: Option<DatasetId>) -> Option<&Dataset> {
    let is_ready = |dataset: &&Dataset| dataset.job.status == JobStatus::Completed;
    datasets
        .iter()
        .find(|dataset| Some(dataset.id) == named)
        .or_else(|| datasets.iter().find(is_ready))
        .or_else(|| datasets.first())
}

impl CheckView {
    fn never(dataset: &Dataset) -> Self {
        Self {
            word: "not checked",
            class: "waiting",
            text: format!("Not checked against {} yet.", dataset.name),
            ..Self::default()
        }
    }

    fn new(id: WorkloadId, dataset: &Dataset, job: &Job, results: &[CheckResult], waits_for: String) -> Self {
        let n_ready = results
            .iter()
            .filter(|result| result.status == CheckStatus::Ready)
            .count() as u64;
        let n_broken = results.len() as u64 - n_ready;
        let (word, class, text) = match job.status {
            JobStatus::Queued => ("waiting", "waiting", waits_for),
            JobStatus::Running => ("running", "running", job.progress.detail.clone()),
            JobStatus::Completed if n_broken == 0 => (
                "ready",
                "good",
                format!(
                    "{} can run on {}.",
                    counted(n_ready, "statement", "statements"),
                    dataset.name
                ),
            ),
            JobStatus::Completed => (
                "broken in part",
                "warn",
                format!(
                    "{} can run on {}; {} cannot, and would fail in every trial.",
                    counted(n_ready, "statement", "statements"),
                    dataset.name,
                    grouped(n_broken),
                ),
            ),
            JobStatus::Failed | JobStatus::Cancelled => ("not checked", "bad", job.message.clone().unwrap_or_default()),
        };
        Self {
            poll_href: (!job.status.is_settled()).then(|| urls::workload_check_on(id, dataset.id)),
            word,
            class,
            label: format!("Check against {}", dataset.name),
            percent: view::percent(job.progress.done, job.progress.total),
            text,
        }
    }
}

impl Statement {
    fn new(query: Query, results: &[CheckResult]) -> Self {
        let result = results.iter().find(|result| result.position == query.position);
        Self {
            class_word: query.class.word(),
            class_mark: match query.class {
                QueryClass::Reads => "plain",
                QueryClass::Writes => "warn",
                QueryClass::Refused => "bad",
            },
            label: query.label,
            line: grouped(query.line),
            sql: query.sql,
            refusal: query.refusal,
            checked: result.map(Checked::new),
        }
    }
}

impl Checked {
    fn new(result: &CheckResult) -> Self {
        let (word, class) = match result.status {
            CheckStatus::Ready => ("ready", "good"),
            CheckStatus::Broken => ("broken", "bad"),
        };
        let message = result.message.as_ref().map(|message| match result.line {
            Some(line) => format!("line {}: {message}", grouped(line)),
            None => message.clone(),
        });
        Self { word, class, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(position: i32, class: QueryClass) -> Query {
        Query {
            position,
            label: format!("q{position}"),
            line: 7,
            sql: "select 1".to_owned(),
            class,
            refusal: None,
        }
    }

    #[test]
    fn a_statement_stands_with_what_the_server_said_of_it_and_where() {
        let results = [CheckResult {
            position: 1,
            status: CheckStatus::Broken,
            message: Some("relation \"x\" does not exist".to_owned()),
            line: Some(9),
        }];
        let broken = Statement::new(query(1, QueryClass::Reads), &results).checked.unwrap();
        assert_eq!(broken.message.as_deref(), Some("line 9: relation \"x\" does not exist"));
        assert!(Statement::new(query(0, QueryClass::Reads), &results).checked.is_none());
    }

    #[test]
    fn an_address_names_a_dataset_only_by_its_number() {
        let params = |dataset: &str| CheckParams {
            dataset: dataset.to_owned(),
        };
        assert_eq!(params("12").dataset_id(), Some(DatasetId(12)));
        assert_eq!(params("").dataset_id(), None);
        assert_eq!(params("1;drop").dataset_id(), None);
    }
}
