//! An earlier run as a form to be changed and run again: filled in with everything that is still there, and a word at each
//! field whose thing is gone.

use sqlx::PgConnection;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::duration;
use crate::instrument::form::InstrumentForm;
use crate::instrument::subject::Subject;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Instrument;
use crate::model::instrument::Task;
use crate::model::instrument::TaskQuery;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::store;
use crate::store::Result;

/// The form of an earlier run.
#[derive(Clone, Debug, Default)]
pub struct Likeness {
    /// Its `request_id` is still to be given.
    pub form: InstrumentForm,
    /// What has to be chosen anew.
    pub missing: Vec<FieldError>,
}

/// The form that asks for what a run did; none when there is no such run for this viewer.
pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: InstrumentId) -> Result<Option<Likeness>> {
    let Some(instrument) = store::instruments::get(&mut *conn, viewer, id).await? else {
        return Ok(None);
    };
    let mut likeness = Likeness::default();
    instrument.spec.task.kind().word().clone_into(&mut likeness.form.kind);
    match &instrument.spec.task {
        Task::Bisect(task) => {
            likeness.set("from", &task.from.source_idx);
            likeness.set("to", &task.to.source_idx);
            if let Some(subject) = likeness.experiment(conn, viewer, &instrument).await? {
                let mut queries = subject.queries.iter();
                let query = queries.find(|query| query.label == task.query.label && query.sql == task.query.sql);
                if let Some(query) = query {
                    likeness.set("query", &query.query_idx);
                }
            }
        }
        Task::Regret(task) => {
            likeness.set("rounds", &task.rounds);
            likeness.experiment(conn, viewer, &instrument).await?;
        }
        Task::Lottery(task) => {
            likeness.set("targets", &numbers(&task.targets));
            likeness.set("draws", &task.n_draws);
            likeness.place(conn, viewer, &instrument, &task.queries).await?;
        }
        Task::Budget(task) => {
            likeness.set("targets", &numbers(&task.targets));
            likeness.set("tolerance", &task.tolerance);
            likeness.place(conn, viewer, &instrument, &task.queries).await?;
        }
    }
    Ok(Some(likeness))
}

fn numbers(targets: &[u32]) -> String {
    let targets: Vec<String> = targets.iter().map(u32::to_string).collect();
    targets.join(", ")
}

impl Likeness {
    fn set(&mut self, field: &str, value: &impl ToString) {
        self.form.fields.insert(field.to_owned(), value.to_string());
    }

    fn miss(&mut self, field: &str, message: impl Into<String>) {
        self.missing.push(FieldError::new(field, message));
    }

    /// The experiment that it looked at, where that can be looked at once more.
    async fn experiment(
        &mut self,
        conn: &mut PgConnection,
        viewer: Viewer,
        instrument: &Instrument,
    ) -> Result<Option<Subject>> {
        let subject = match instrument.experiment_id {
            Some(id) => Subject::load(conn, viewer, id).await?,
            None => None,
        };
        match &subject {
            None => self.miss("experiment", "Its experiment is gone. Choose another."),
            Some(subject) if subject.experiment.dataset_id.is_none() => self.miss(
                "experiment",
                format!(
                    "The dataset {} was deleted, and the instrument needs it. Choose another experiment.",
                    instrument.dataset_name
                ),
            ),
            Some(subject) => self.set("experiment", &subject.experiment.id),
        }
        Ok(subject)
    }

    /// The dataset, the limit, and a workload of the queries: which one it was is not kept.
    async fn place(
        &mut self,
        conn: &mut PgConnection,
        viewer: Viewer,
        instrument: &Instrument,
        queries: &[TaskQuery],
    ) -> Result<()> {
        self.set("timeout", &duration(instrument.spec.timeout_ms));
        let dataset = match instrument.dataset_id {
            Some(id) => store::datasets::get(&mut *conn, viewer, id).await?,
            None => None,
        };
        match dataset.filter(|dataset| dataset.job.status == JobStatus::Completed) {
            Some(dataset) => self.set("dataset", &dataset.id),
            None => self.miss(
                "dataset",
                format!(
                    "The dataset {} is not there any more. Choose another.",
                    instrument.dataset_name
                ),
            ),
        }
        let labels: Vec<String> = queries.iter().map(|query| query.label.clone()).collect();
        let sqls: Vec<String> = queries.iter().map(|query| query.sql.clone()).collect();
        match store::workloads::find_by_reading(conn, viewer, &labels, &sqls).await? {
            Some(id) => self.set("workload", &id),
            None => self.miss(
                "workload",
                format!(
                    "No workload holds its queries any more. Choose another; it had {}.",
                    labels.join(", ")
                ),
            ),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn a_form_is_filled_in_with_all_that_is_still_there_and_says_what_is_not() {
        let world = World::new().await;
        let id = world.instrument("lottery", Some("shop")).await;
        world.workload("too many", "select 1; select 2").await;
        let form = |likeness: &Likeness| {
            let fields = ["targets", "draws", "timeout", "dataset", "workload"];
            fields.map(|field| likeness.form.get(field).to_owned())
        };
        let mut conn = world.conn().await;
        let lost = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(lost.form.kind, "lottery");
        assert_eq!(form(&lost), ["10, 100", "3", "1500ms", "", ""]);
        let missing: Vec<String> = lost.missing.iter().map(ToString::to_string).collect();
        assert_eq!(
            missing,
            [
                "The dataset shop is not there any more. Choose another.",
                "No workload holds its queries any more. Choose another; it had q1."
            ]
        );
        let same = world.workload("the same", "select 1").await;
        sqlx::query("update jobs set status = 'completed' where kind = 'restore'")
            .execute(&world.pool)
            .await
            .unwrap();
        let whole = load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        let dataset = whole.form.get("dataset").to_owned();
        assert!(whole.missing.is_empty() && !dataset.is_empty());
        assert_eq!(form(&whole), ["10, 100", "3", "1500ms", &dataset, &same.to_string()]);
        let stranger = world.stranger().await;
        assert!(load(&mut conn, stranger, id).await.unwrap().is_none());
    }
}
