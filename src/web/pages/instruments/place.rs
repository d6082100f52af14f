//! The form of instruments that take a dataset and a workload, and a few numbers.

use askama::Template;
use sqlx::PgPool;

use crate::experiment::fields::FieldError;
use crate::instrument::form::InstrumentForm;
use crate::model::ids::InstrumentId;
use crate::model::instrument::InstrumentKind;
use crate::model::job::JobStatus;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::store;
use crate::web::error::Error;
use crate::web::view;
use crate::web::view::Choice;

#[derive(Template)]
#[template(path = "instruments/place.html")]
pub(super) struct PlacePage {
    kind: InstrumentKind,
    request_id: String,
    datasets: Vec<Choice>,
    workloads: Vec<Choice>,
    fields: Vec<Field>,
    /// What the button says.
    action: &'static str,
    errors: Vec<FieldError>,
    /// The run that it was filled in from.
    pub like: Option<InstrumentId>,
}

struct Field {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    value: String,
}

impl PlacePage {
    pub async fn load(
        pool: &PgPool,
        viewer: Viewer,
        kind: InstrumentKind,
        form: &InstrumentForm,
        errors: Vec<FieldError>,
    ) -> Result<Self, Error> {
        let mut conn = pool.acquire().await?;
        let datasets = store::datasets::list(&mut conn, viewer).await?.into_iter();
        let datasets = datasets.filter(|dataset| dataset.job.status == JobStatus::Completed);
        let datasets = datasets.map(|dataset| Choice {
            value: dataset.id.to_string(),
            text: format!("{} ({})", dataset.name, counted(dataset.n_tables, "table", "tables")),
            is_chosen: form.get("dataset") == dataset.id.to_string(),
        });
        let workloads = store::workloads::list(&mut conn, viewer).await?.into_iter();
        let workloads = workloads.map(|workload| Choice {
            value: workload.id.to_string(),
            text: format!(
                "{} ({})",
                workload.name,
                counted(workload.n_queries, "query", "queries")
            ),
            is_chosen: form.get("workload") == workload.id.to_string(),
        });
        let (mut datasets, mut workloads): (Vec<_>, Vec<_>) = (datasets.collect(), workloads.collect());
        // Where there is one thing only, it is meant; not in place of one that is gone.
        for (field, choices) in [("dataset", &mut datasets), ("workload", &mut workloads)] {
            let is_refused = errors.iter().any(|error| error.field == field);
            if let [only] = choices.as_mut_slice()
                && !is_refused
            {
                only.is_chosen = true;
            }
        }
        let (numbers, action) = numbers(kind);
        let fields = numbers.iter().map(|(name, label, help, default)| Field {
            name,
            label,
            help,
            value: match form.get(name) {
                "" if errors.is_empty() => (*default).to_owned(),
                given => given.to_owned(),
            },
        });
        Ok(Self {
            kind,
            request_id: match form.request_id.as_str() {
                "" => view::request_id()?,
                given => given.to_owned(),
            },
            datasets,
            workloads,
            fields: fields.collect(),
            action,
            errors,
            like: None,
        })
    }

    /// The message at a field.
    fn error(&self, field: &str) -> Option<&str> {
        let found = self.errors.iter().find(|error| error.field == field);
        found.map(|error| error.message.as_str())
    }
}

/// Name, label, help and default of a field.
type Number = (&'static str, &'static str, &'static str, &'static str);

const TIMEOUT: Number = (
    "timeout",
    "Limit of one statement",
    "Like 500ms, 30s or 2m. It holds for planning a query and for running a new plan once.",
    "60s",
);

/// What an instrument takes beside its place, and what its button says.
fn numbers(kind: InstrumentKind) -> (Vec<Number>, &'static str) {
    match kind {
        // They take an experiment.
        InstrumentKind::Bisect | InstrumentKind::Regret => (Vec::new(), ""),
        InstrumentKind::Lottery => (
            vec![
                (
                    "targets",
                    "Statistics targets",
                    "Values of default_statistics_target, apart by commas. PostgreSQL's own default is 100.",
                    "10, 100, 300",
                ),
                (
                    "draws",
                    "Draws at each target",
                    "How often everything is analyzed. With 50 draws a flip probability of 10 % is seen almost surely.",
                    "50",
                ),
                TIMEOUT,
            ],
            "Draw",
        ),
        InstrumentKind::Budget => (
            vec![
                (
                    "targets",
                    "Statistics targets",
                    "The ladder that each column goes down, apart by commas. The largest is what the others are compared with.",
                    "1, 3, 10, 30, 100, 300, 1000",
                ),
                (
                    "tolerance",
                    "Tolerance of estimates",
                    "A factor: with 2, the worst estimate of a plan may become twice as wrong, or half, before it counts.",
                    "2",
                ),
                TIMEOUT,
            ],
            "Find the targets",
        ),
    }
}
