//! An earlier experiment as a form to be changed and run again: filled in with everything that is still there, and a word at
//! each field whose thing is gone.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::experiment::fields::FieldError;
use crate::experiment::form::ExperimentForm;
use crate::model::dataset::Dataset;
use crate::model::experiment::Experiment;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobStatus;
use crate::model::text::shorten;
use crate::model::user::Viewer;
use crate::source;
use crate::store;
use crate::store::Result;

/// The form of an earlier experiment.
#[derive(Clone, Debug)]
pub struct Likeness {
    pub id: ExperimentId,
    pub form: ExperimentForm,
    /// What stands in the form in place of what is gone, in sentences.
    pub instead: Vec<String>,
    /// What has to be chosen anew.
    pub missing: Vec<FieldError>,
}

/// The form that asks for what an experiment did; none when there is no such experiment for this viewer.
pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Option<Likeness>> {
    let Some(experiment) = store::experiments::get(&mut *conn, viewer, id).await? else {
        return Ok(None);
    };
    let mut likeness = Likeness {
        id,
        form: ExperimentForm::like(&experiment.spec),
        instead: Vec::new(),
        missing: Vec::new(),
    };
    if experiment.spec.repeats.is_some() {
        likeness.instead.push(
            "It had its statistics from a bundle. This time every source gathers its own, as it is set below."
                .to_owned(),
        );
    }
    let dataset_id = dataset(conn, viewer, &experiment, &mut likeness).await?;
    let workload_id = workload(conn, viewer, &experiment, &mut likeness).await?;
    if let Some(workload_id) = workload_id {
        queries(conn, viewer, &experiment, workload_id, &mut likeness).await?;
    }
    statistics_files(conn, viewer, &experiment, dataset_id, &mut likeness).await?;
    // Sources and limits may have changed since.
    let refused = likeness.form.parse(0).err().unwrap_or_default();
    for error in refused {
        if likeness.missing.iter().all(|known| known.field != error.field) {
            likeness.missing.push(error);
        }
    }
    Ok(Some(likeness))
}

fn is_usable(dataset: &Dataset) -> bool {
    !matches!(dataset.job.status, JobStatus::Failed | JobStatus::Cancelled)
}

/// The dataset, or else the newest that was restored from the same dump.
async fn dataset(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: &Experiment,
    likeness: &mut Likeness,
) -> Result<Option<DatasetId>> {
    let datasets = store::datasets::list(conn, viewer).await?;
    let usable = || datasets.iter().filter(|dataset| is_usable(dataset));
    let gone = match experiment.dataset_id {
        Some(id) if usable().any(|dataset| dataset.id == id) => return Ok(Some(id)),
        Some(_) => "could not be restored",
        None => "was deleted",
    };
    let name = &experiment.dataset_name;
    let Some(same) = usable().find(|dataset| dataset.sha256 == experiment.dataset_sha256) else {
        likeness.form.dataset = String::new();
        let message = format!("The dataset {name} {gone}, and none comes from the same dump. Choose another.");
        likeness.missing.push(FieldError::new("dataset", message));
        return Ok(None);
    };
    likeness.form.dataset = same.id.to_string();
    likeness.instead.push(format!(
        "Its dataset {name} {gone}. {} comes from the same dump and is chosen instead.",
        same.name
    ));
    Ok(Some(same.id))
}

/// The workload, or else the newest of the same script.
async fn workload(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: &Experiment,
    likeness: &mut Likeness,
) -> Result<Option<WorkloadId>> {
    if let Some(id) = experiment.workload_id {
        return Ok(Some(id));
    }
    let name = &experiment.workload_name;
    let workloads = store::workloads::list(conn, viewer).await?;
    let mut workloads = workloads.iter();
    let Some(same) = workloads.find(|workload| workload.sha256 == experiment.workload_sha256) else {
        let ran = store::experiments::list_queries(conn, viewer, experiment.id).await?;
        let labels: Vec<&str> = ran.iter().map(|query| query.label.as_str()).collect();
        let message = format!(
            "The workload {name} was deleted, and none holds the same queries. Choose another; it ran {}.",
            shorten(&labels.join(", "), 200)
        );
        likeness.form.workload = String::new();
        likeness.missing.push(FieldError::new("workload", message));
        return Ok(None);
    };
    likeness.form.workload = same.id.to_string();
    likeness.instead.push(format!(
        "Its workload {name} was deleted. {} holds the same queries and is chosen instead.",
        same.name
    ));
    Ok(Some(same.id))
}

/// Keeps the queries that the workload still has, word for word.
async fn queries(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: &Experiment,
    workload_id: WorkloadId,
    likeness: &mut Likeness,
) -> Result<()> {
    let ran = store::experiments::list_queries(&mut *conn, viewer, experiment.id).await?;
    let there = store::workloads::list_queries(conn, viewer, workload_id).await?;
    let there: HashSet<(i32, &str)> = there.iter().map(|query| (query.position, query.sql.as_str())).collect();
    let mut gone = Vec::new();
    let mut kept = Vec::new();
    for (position, query) in experiment.spec.query_positions.iter().zip(&ran) {
        if there.contains(&(*position, query.sql.as_str())) {
            kept.push(position.to_string());
        } else {
            gone.push(query.label.as_str());
        }
    }
    likeness.form.queries = kept;
    if !gone.is_empty() {
        let message = format!(
            "The workload does not hold {} any more as it was measured; the others are chosen.",
            gone.join(", ")
        );
        likeness.missing.push(FieldError::new("query", message));
    }
    Ok(())
}

async fn statistics_files(
    conn: &mut PgConnection,
    viewer: Viewer,
    experiment: &Experiment,
    dataset_id: Option<DatasetId>,
    likeness: &mut Likeness,
) -> Result<()> {
    let files = match dataset_id {
        Some(id) => store::statistics_files::list(conn, viewer, id).await?,
        None => Vec::new(),
    };
    for source in &experiment.spec.sources {
        let Some((parameter, name)) = source::statistics_file(source) else {
            continue;
        };
        let field = format!("{}.{parameter}", source.name);
        let is_known = likeness.missing.iter().any(|error| error.field == field);
        if is_known || files.iter().any(|file| file.name == name) {
            continue;
        }
        let message = match dataset_id {
            Some(_) => {
                format!("The dataset has no statistics file called {name} any more. Choose another, or leave it out.")
            }
            None => format!("It measured the statistics file {name}. Choose a dataset first, then the file."),
        };
        likeness.missing.push(FieldError::new(&field, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::JobId;
    use crate::testing::world::World;

    async fn like(world: &World, id: ExperimentId) -> Likeness {
        load(&mut *world.conn().await, world.viewer, id).await.unwrap().unwrap()
    }

    fn messages(likeness: &Likeness) -> Vec<(&str, &str)> {
        let missing = likeness.missing.iter();
        missing
            .map(|error| (error.field.as_str(), error.message.as_str()))
            .collect()
    }

    async fn cancel(world: &World, job_id: JobId) {
        let done = store::jobs::request_cancel(&mut *world.conn().await, world.viewer, job_id).await;
        assert!(done.unwrap());
    }

    #[tokio::test]
    async fn what_is_gone_is_said_at_its_field_or_replaced_by_the_same() {
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["built_in", "imported:file=prod.json"]).await;
        let lost = like(&world, id).await;
        assert_eq!(
            messages(&lost),
            [
                (
                    "dataset",
                    "The dataset its dataset could not be restored, and none comes from the same dump. Choose another."
                ),
                (
                    "imported.file",
                    "It measured the statistics file prod.json. Choose a dataset first, then the file."
                ),
            ]
        );
        assert_eq!((lost.form.dataset.as_str(), lost.form.iterations.as_str()), ("", "2"));
        assert_eq!(lost.form.queries, ["0"], "what is there is filled in all the same");

        let (same, _) = world.dataset("same dump").await;
        cancel(&world, job_id).await;
        let mut conn = world.conn().await;
        let experiment = store::experiments::get(&mut conn, world.viewer, id)
            .await
            .unwrap()
            .unwrap();
        let workload_id = experiment.workload_id.unwrap();
        assert!(
            store::workloads::delete_unused(&mut conn, world.viewer, workload_id)
                .await
                .unwrap()
        );
        let replaced = like(&world, id).await;
        assert_eq!(replaced.form.dataset, same.to_string());
        assert!(replaced.instead[0].contains("same dump comes from the same dump and is chosen instead"));
        assert_eq!(
            messages(&replaced),
            [
                (
                    "workload",
                    "The workload its workload was deleted, and none holds the same queries. Choose another; it ran q1."
                ),
                (
                    "imported.file",
                    "The dataset has no statistics file called prod.json any more. Choose another, or leave it out."
                ),
            ]
        );

        // The same checksum, as far as the store knows, but other queries.
        let other = world.workload("other", "select 2; select 3").await;
        let changed = like(&world, id).await;
        assert_eq!(changed.form.workload, other.to_string());
        assert!(changed.form.queries.is_empty());
        assert_eq!(
            messages(&changed)[0],
            (
                "query",
                "The workload does not hold q1 any more as it was measured; the others are chosen."
            )
        );
        let stranger = world.stranger().await;
        assert!(load(&mut conn, stranger, id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_experiment_whose_things_are_there_misses_nothing_and_a_source_that_is_no_more_is_said() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["draws:k=2", "none"]).await;
        world.dataset("same dump").await;
        assert_eq!(messages(&like(&world, id).await), []);
        sqlx::query(
            "update experiments set spec = jsonb_set(spec, '{sources,2,name}', '\"oracle\"')
             where spec #>> '{sources,2,name}' = 'none'",
        )
        .execute(&world.pool)
        .await
        .unwrap();
        assert_eq!(
            messages(&like(&world, id).await),
            [("stats_source", "There is no source called oracle.")]
        );
    }
}
