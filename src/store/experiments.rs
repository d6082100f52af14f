//! Experiments with their queries.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::JobId;
use crate::model::ids::WorkloadId;
use crate::model::job::JobKind;
use crate::model::job::JobStatus;
use crate::model::job::Lease;
use crate::model::job::Progress;
use crate::model::user::Viewer;
use crate::model::workload::QueryClass;
use crate::store::Result;
use crate::store::filing::filing;
use crate::store::jobs::job_of;
use crate::store::to_i64;
use crate::store::to_u64;

/// An experiment that is about to be stored, with the queries that it will run.
#[derive(Clone, Debug)]
pub struct NewExperiment {
    pub request_id: String,
    pub dataset_name: String,
    pub dataset_sha256: String,
    pub workload_name: String,
    pub workload_sha256: String,
    pub spec: ExperimentSpec,
    pub n_trials: u64,
    pub queries: Vec<ExperimentQuery>,
}

/// Selects experiments with their jobs and counts; the tail says which.
macro_rules! select_experiments {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select e.id as "id: ExperimentId", e.dataset_id as "dataset_id: DatasetId",
                      e.workload_id as "workload_id: WorkloadId",
                      e.dataset_name, e.dataset_sha256, e.workload_name, e.workload_sha256,
                      e.spec as "spec: Json<ExperimentSpec>", e.n_trials,
                      j.n_recorded,
                      e.created_at, e.environment as "environment: Json<Vec<Setting>>", e.headline,
                      e.tags, e.memo,
                      j.id as "job_id: JobId", j.kind as "kind: JobKind", j.status as "status: JobStatus", j.stage,
                      j.progress as "progress: Json<Progress>", j.message, j.cancel_requested,
                      j.created_at as job_created_at, j.started_at, j.finished_at, clock_timestamp() as "read_at!"
               from experiments e join jobs j on j.id = e.job_id "# + $tail,
            $($bind),*
        )
        .map(|row| Experiment {
            id: row.id,
            dataset_id: row.dataset_id,
            workload_id: row.workload_id,
            dataset_name: row.dataset_name,
            dataset_sha256: row.dataset_sha256,
            workload_name: row.workload_name,
            workload_sha256: row.workload_sha256,
            spec: row.spec.0,
            n_trials: to_u64(row.n_trials.into()),
            n_recorded: to_u64(row.n_recorded),
            created_at: row.created_at,
            environment: row.environment.0,
            headline: row.headline,
            filing: filing(row.tags, row.memo),
            job: job_of!(row, job_id, job_created_at),
        })
    };
}

/// Stores a new experiment with its queries; `job_id` is the job that will run it.
pub async fn insert(
    conn: &mut PgConnection,
    viewer: Viewer,
    new: &NewExperiment,
    job_id: JobId,
) -> Result<ExperimentId> {
    let id = sqlx::query_scalar!(
        r#"insert into experiments (owner_id, request_id, job_id, dataset_id, workload_id, dataset_name, dataset_sha256,
                                    workload_name, workload_sha256, spec, n_trials)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id as "id: ExperimentId""#,
        viewer.user_id.0,
        new.request_id,
        job_id.0,
        new.spec.dataset_id.0,
        new.spec.workload_id.0,
        new.dataset_name,
        new.dataset_sha256,
        new.workload_name,
        new.workload_sha256,
        Json(&new.spec) as _,
        i32::try_from(new.n_trials).unwrap_or(i32::MAX),
    )
    .fetch_one(&mut *conn)
    .await?;
    for query in &new.queries {
        sqlx::query!(
            "insert into experiment_queries (experiment_id, query_idx, label, line, sql, class)
             values ($1, $2, $3, $4, $5, $6)",
            id.0,
            query.query_idx,
            query.label,
            to_i64(query.line),
            query.sql,
            query.class as QueryClass,
        )
        .execute(&mut *conn)
        .await?;
    }
    crate::store::sources::insert_specs(conn, id, &new.spec.sources).await?;
    Ok(id)
}

/// The experiment that an earlier sending of the same form launched.
pub async fn find_by_request(
    conn: &mut PgConnection,
    viewer: Viewer,
    request_id: &str,
) -> Result<Option<ExperimentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: ExperimentId" from experiments where owner_id = $1 and request_id = $2"#,
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// One experiment; none when there is no such experiment for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Option<Experiment>> {
    select_experiments!("where e.id = $1 and may_see($2, e)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The experiment that a job runs.
pub async fn get_by_job(conn: &mut PgConnection, lease: &Lease) -> Result<Option<Experiment>> {
    select_experiments!("where e.job_id = $1", lease.job_id.0)
        .fetch_optional(conn)
        .await
}

/// The newest experiment that runs or waits, else none.
pub async fn newest_unsettled(conn: &mut PgConnection, viewer: Viewer) -> Result<Option<ExperimentId>> {
    sqlx::query_scalar!(
        r#"select e.id as "id: ExperimentId" from experiments e join jobs j on j.id = e.job_id
           where may_see($1, e) and j.status in ('queued', 'running')
           order by j.status desc, e.id desc limit 1"#,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await
}

/// The viewer's newest experiments.
pub async fn list_newest(conn: &mut PgConnection, viewer: Viewer, limit: u32) -> Result<Vec<Experiment>> {
    select_experiments!(
        "where may_see($1, e) order by e.id desc limit $2",
        viewer as Viewer,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
}

/// Experiments, newest first, at most `limit`, and only those older than `before` where that is given.
pub async fn list_before(
    conn: &mut PgConnection,
    viewer: Viewer,
    before: Option<ExperimentId>,
    limit: i64,
) -> Result<Vec<Experiment>> {
    select_experiments!(
        "where may_see($1, e) and ($2::bigint is null or e.id < $2) order by e.id desc limit $3",
        viewer as Viewer,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// These experiments, in this order; those that are not the viewer's are left out.
pub async fn list_by_ids(conn: &mut PgConnection, viewer: Viewer, ids: &[ExperimentId]) -> Result<Vec<Experiment>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    select_experiments!(
        "where e.id = any ($1) and may_see($2, e) order by array_position($1, e.id)",
        &ids,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// How many experiments the viewer has.
pub async fn count(conn: &mut PgConnection, viewer: Viewer) -> Result<u64> {
    let n = sqlx::query_scalar!(
        r#"select count(*) as "n!" from experiments where may_see($1, experiments)"#,
        viewer as Viewer
    )
    .fetch_one(conn)
    .await?;
    Ok(to_u64(n))
}

/// The queries of an experiment, in order.
pub async fn list_queries(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<ExperimentQuery>> {
    let rows = sqlx::query!(
        r#"select q.query_idx, q.label, q.line, q.sql, q.class as "class: QueryClass"
           from experiment_queries q join experiments e on e.id = q.experiment_id
           where q.experiment_id = $1 and may_see($2, e) order by q.query_idx"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let queries = rows.into_iter().map(|row| ExperimentQuery {
        query_idx: row.query_idx,
        label: row.label,
        line: to_u64(row.line),
        sql: row.sql,
        class: row.class,
    });
    Ok(queries.collect())
}

/// Notes that a query turned out to write.
pub async fn set_writes(conn: &mut PgConnection, lease: &Lease, id: ExperimentId, query_idx: i32) -> Result<()> {
    sqlx::query!(
        "update experiment_queries set class = 'writes' where experiment_id = $1 and query_idx = $2
           and exists (select from jobs where id = $3 and epoch = $4 and status = 'running')",
        id.0,
        query_idx,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Corrects the number of trials, once it is known which of them are run.
pub async fn set_n_trials(conn: &mut PgConnection, lease: &Lease, id: ExperimentId, n_trials: usize) -> Result<()> {
    sqlx::query!(
        "update experiments set n_trials = $2 where id = $1
           and exists (select from jobs where id = $3 and epoch = $4 and status = 'running')",
        id.0,
        i32::try_from(n_trials).unwrap_or(i32::MAX),
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records what an experiment runs on.
pub async fn set_environment(
    conn: &mut PgConnection,
    lease: &Lease,
    id: ExperimentId,
    environment: &[Setting],
) -> Result<()> {
    sqlx::query!(
        "update experiments set environment = $2 where id = $1
           and exists (select from jobs where id = $3 and epoch = $4 and status = 'running')",
        id.0,
        Json(environment) as _,
        lease.job_id.0,
        lease.epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The experiments of a dataset whose job still waits or runs: their clones are kept.
pub async fn list_unsettled_of_dataset(conn: &mut PgConnection, dataset_id: DatasetId) -> Result<Vec<ExperimentId>> {
    sqlx::query_scalar!(
        r#"select e.id as "id: ExperimentId" from experiments e join jobs j on j.id = e.job_id
           where e.dataset_id = $1 and j.status in ('queued', 'running')"#,
        dataset_id.0,
    )
    .fetch_all(conn)
    .await
}

/// Experiments that ended without their runner, which was dead by then: their trials are not summarised yet.
pub async fn list_unsummarised(conn: &mut PgConnection) -> Result<Vec<(ExperimentId, Viewer)>> {
    let rows = sqlx::query!(
        r#"select e.id as "id: ExperimentId", e.owner_id as "owner_id: crate::model::ids::UserId"
           from experiments e join jobs j on j.id = e.job_id
           where j.status in ('completed', 'failed', 'cancelled')
             and exists (select from trials t where t.experiment_id = e.id and t.kind = 'measured')
             and not exists (select from summaries s where s.experiment_id = e.id)"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, Viewer::owner(row.owner_id)))
        .collect())
}

/// Records the sentence that lists show for a settled experiment.
pub async fn set_headline(conn: &mut PgConnection, id: ExperimentId, headline: &str) -> Result<()> {
    sqlx::query!("update experiments set headline = $2 where id = $1", id.0, headline)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::segments;
    use crate::store::sources;
    use crate::testing::world::World;
    use crate::testing::world::new_experiment;

    #[tokio::test]
    async fn an_experiment_comes_back_with_its_spec_and_queries() {
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["built_in", "random_targets:seed=7"]).await;
        let mut conn = world.conn().await;
        let experiment = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!((experiment.n_trials, experiment.n_recorded), (4, 0));
        assert_eq!(experiment.job.id, job_id);
        assert_eq!(experiment.spec.sources[1].params["seed"], "7");
        assert_eq!(experiment.spec.seed, 7);
        let queries = list_queries(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(queries[0].class, QueryClass::Reads);
        let lease = world.claim("host").await.unwrap().lease;
        let stale = Lease {
            epoch: lease.epoch - 1,
            ..lease.clone()
        };
        set_writes(&mut conn, &stale, id, 0).await.unwrap();
        let untouched = list_queries(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(
            untouched[0].class,
            QueryClass::Reads,
            "a replaced runner changes nothing"
        );
        set_writes(&mut conn, &lease, id, 0).await.unwrap();
        set_headline(&mut conn, id, "q1 is slower.").await.unwrap();
        let queries = list_queries(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(queries[0].class, QueryClass::Writes);
        let snapshots = sources::list_snapshots(&mut conn, id).await.unwrap();
        assert_eq!(snapshots, [None, None], "nothing is prepared yet");
    }

    #[tokio::test]
    async fn the_newest_come_first_and_another_person_sees_none() {
        let world = World::new().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(world.experiment(name, &["none"]).await.0);
        }
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        let ids_of = |list: Vec<Experiment>| list.iter().map(|experiment| experiment.id).collect::<Vec<_>>();
        let newest = list_newest(&mut conn, world.viewer, 2).await.unwrap();
        assert_eq!(ids_of(newest), [ids[2], ids[1]]);
        let wanted = [ids[1], ids[2], ids[0]];
        let found = list_by_ids(&mut conn, world.viewer, &wanted).await.unwrap();
        assert_eq!(ids_of(found), wanted, "in the order asked for");
        assert_eq!(count(&mut conn, world.viewer).await.unwrap(), 3);
        assert_eq!(count(&mut conn, stranger).await.unwrap(), 0);
        assert!(list_newest(&mut conn, stranger, 9).await.unwrap().is_empty());
        assert!(list_by_ids(&mut conn, stranger, &wanted).await.unwrap().is_empty());
        assert!(get(&mut conn, stranger, ids[0]).await.unwrap().is_none());
        assert!(list_queries(&mut conn, stranger, ids[0]).await.unwrap().is_empty());
        assert!(segments::list(&mut conn, stranger, ids[0]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_same_form_sent_again_finds_the_experiment_that_it_launched() {
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["none"]).await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        assert_eq!(find_by_request(&mut conn, world.viewer, "e").await.unwrap(), Some(id));
        assert_eq!(find_by_request(&mut conn, stranger, "e").await.unwrap(), None);
        let experiment = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        let (dataset_id, workload_id) = (experiment.dataset_id.unwrap(), experiment.workload_id.unwrap());
        let again = new_experiment("e", dataset_id, workload_id, &["none"]);
        assert!(insert(&mut conn, world.viewer, &again, job_id).await.is_err());
    }

    #[tokio::test]
    async fn results_outlive_the_dataset_and_the_workload_that_they_came_from() {
        let world = World::new().await;
        let (id, job_id) = world.experiment("e", &["none"]).await;
        let mut conn = world.conn().await;
        crate::store::jobs::request_cancel(&mut conn, world.viewer, job_id)
            .await
            .unwrap();
        let experiment = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        let dataset_id = experiment.dataset_id.unwrap();
        assert!(
            crate::store::datasets::delete_unused(&mut conn, world.viewer, dataset_id)
                .await
                .unwrap()
        );
        let experiment = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(
            (experiment.dataset_id, experiment.dataset_name.as_str()),
            (None, "its dataset")
        );
    }
}
