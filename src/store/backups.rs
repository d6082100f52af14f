//! What a backup needs to know of the store, and what is done in one that was just restored.

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::ids::DatasetId;
use crate::model::ids::JobId;
use crate::model::ids::UserId;
use crate::model::job::JobKind;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::jobs;
use crate::store::to_u64;

/// Begins a transaction whose view of the store others can share by [`share_view`].
pub const BEGIN: &str = "begin isolation level repeatable read read only";

/// Lets a transaction stand idle for as long as others read what it sees.
pub async fn stand_still(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '0', true)")
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// The name under which `pg_dump` sees what this transaction sees, for as long as it lasts.
pub async fn share_view(conn: &mut PgConnection) -> Result<String> {
    sqlx::query_scalar!(r#"select pg_export_snapshot() as "name!""#)
        .fetch_one(conn)
        .await
}

/// What a backup says of the store.
#[derive(Clone, Debug)]
pub struct StoreFacts {
    pub now: DateTime<Utc>,
    pub server_version_num: u32,
    pub database_bytes: u64,
    pub name: String,
}

/// Looks at the store.
pub async fn facts(conn: &mut PgConnection) -> Result<StoreFacts> {
    let row = sqlx::query!(
        r#"select clock_timestamp() as "now!", current_setting('server_version_num')::integer as "server_version_num!",
                  pg_database_size(current_database()) as "database_bytes!", name::text as "name!" from store_names"#
    )
    .fetch_one(conn)
    .await?;
    Ok(StoreFacts {
        now: row.now,
        server_version_num: row.server_version_num.unsigned_abs(),
        database_bytes: to_u64(row.database_bytes),
        name: row.name,
    })
}

/// The version of a server, as `server_version_num` counts.
pub async fn server_version_num(conn: &mut PgConnection) -> Result<u32> {
    let version_num =
        sqlx::query_scalar!(r#"select current_setting('server_version_num')::integer as "server_version_num!""#)
            .fetch_one(conn)
            .await?;
    Ok(version_num.unsigned_abs())
}

/// Where the dumps of datasets are, seen from one data directory. Restores that ended badly have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptDumps {
    pub here: Vec<DatasetId>,
    pub in_depot: Vec<DatasetId>,
    pub elsewhere: Vec<DatasetId>,
}

/// Every dataset, whoever owns it.
pub async fn list_dumps(conn: &mut PgConnection, home: &str) -> Result<KeptDumps> {
    let rows = sqlx::query!(
        r#"select d.id as "id: DatasetId", d.is_in_depot, coalesce(j.home = $1, false) as "is_here!"
           from datasets d join jobs j on j.id = d.job_id
           where j.status not in ('failed', 'cancelled') order by d.id"#,
        home,
    )
    .fetch_all(conn)
    .await?;
    let mut dumps = KeptDumps::default();
    for row in rows {
        match (row.is_in_depot, row.is_here) {
            (true, _) => dumps.in_depot.push(row.id),
            (false, true) => dumps.here.push(row.id),
            (false, false) => dumps.elsewhere.push(row.id),
        }
    }
    Ok(dumps)
}

/// Whether a database holds no table, view or type of anybody.
pub async fn is_empty(conn: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select not exists (
               select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as "is_empty!""#
    )
    .fetch_one(conn)
    .await
}

/// What becomes of the datasets that a data directory had, when nothing but their dumps is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Their restores wait in the queue.
    pub queued: Vec<DatasetId>,
    /// The same, for whoever has the depot.
    pub queued_from_depot: Vec<DatasetId>,
    /// There is no dump of them.
    pub lost: Vec<DatasetId>,
}

/// Has every dataset that was restored in the data directory `home` restored anew: from the dumps that are there, or from
/// the depot. Work on a dataset waits until that is done. Nobody is signed in, and no invitation is good: some may have been
/// ended since.
pub async fn renew(conn: &mut PgConnection, home: &str, dumps: &[DatasetId]) -> Result<Renewal> {
    sqlx::query!("delete from sessions").execute(&mut *conn).await?;
    sqlx::query!("delete from setup_tokens").execute(&mut *conn).await?;
    sqlx::query!("delete from invitations where used_at is null")
        .execute(&mut *conn)
        .await?;
    let rows = sqlx::query!(
        r#"select d.id as "id: DatasetId", d.owner_id as "owner_id: UserId", d.is_in_depot
           from datasets d join jobs j on j.id = d.job_id
           where j.home = $1 and j.status = 'completed' order by d.id"#,
        home,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut renewal = Renewal::default();
    for row in rows {
        let home = match (row.is_in_depot, dumps.contains(&row.id)) {
            (true, _) => {
                renewal.queued_from_depot.push(row.id);
                None
            }
            (false, true) => {
                renewal.queued.push(row.id);
                Some(home)
            }
            (false, false) => {
                renewal.lost.push(row.id);
                continue;
            }
        };
        let job_id = jobs::insert(&mut *conn, Viewer::owner(row.owner_id), JobKind::Restore, home).await?;
        set_job(&mut *conn, row.id, job_id).await?;
    }
    Ok(renewal)
}

async fn set_job(conn: &mut PgConnection, id: DatasetId, job_id: JobId) -> Result<()> {
    sqlx::query!("update datasets set job_id = $2 where id = $1", id.0, job_id.0)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::hashed::Hashed;
    use crate::model::job::JobStatus;
    use crate::model::user::Role;
    use crate::model::user::TokenScope;
    use crate::store::datasets;
    use crate::store::invitations;
    use crate::store::queue;
    use crate::store::sessions;
    use crate::store::tokens;
    use crate::testing::world::HOME;
    use crate::testing::world::World;

    async fn restored(world: &World, name: &str) -> DatasetId {
        let (id, _) = world.dataset(name).await;
        let claimed = world.claim("a").await.unwrap();
        let mut conn = world.conn().await;
        let settled = queue::settle(&mut conn, &claimed.lease, JobStatus::Completed, None);
        assert!(settled.await.unwrap());
        id
    }

    #[tokio::test]
    async fn what_was_restored_is_queued_again_where_its_dump_is() {
        let world = World::new().await;
        let (kept, in_depot, lost) = (
            restored(&world, "kept").await,
            restored(&world, "in the depot").await,
            restored(&world, "lost").await,
        );
        let (waiting, waiting_job) = world.dataset("waiting").await;
        let mut conn = world.conn().await;
        sqlx::query("update datasets set is_in_depot = true where id = $1")
            .bind(in_depot.0)
            .execute(&mut *conn)
            .await
            .unwrap();
        let dumps = list_dumps(&mut conn, HOME).await.unwrap();
        assert_eq!(
            (dumps.here, dumps.in_depot, dumps.elsewhere),
            (vec![kept, lost, waiting], vec![in_depot], Vec::new())
        );
        let dumps = list_dumps(&mut conn, "another home").await.unwrap();
        assert_eq!((dumps.here, dumps.elsewhere), (Vec::new(), vec![kept, lost, waiting]));

        let renewal = renew(&mut conn, HOME, &[kept, waiting]).await.unwrap();
        let expected = Renewal {
            queued: vec![kept],
            queued_from_depot: vec![in_depot],
            lost: vec![lost],
        };
        assert_eq!(renewal, expected);
        for (id, status) in [
            (kept, JobStatus::Queued),
            (in_depot, JobStatus::Queued),
            (lost, JobStatus::Completed),
            (waiting, JobStatus::Queued),
        ] {
            let dataset = datasets::get(&mut conn, world.viewer, id).await.unwrap().unwrap();
            assert_eq!(dataset.job.status, status, "{id}");
            assert!(
                id != waiting || dataset.job.id == waiting_job,
                "it was not queued twice"
            );
        }
    }

    #[tokio::test]
    async fn nobody_is_in_a_restored_store_and_nobody_comes_in_by_a_link_of_before() {
        const HOUR: Duration = Duration::from_hours(1);
        let [browser, open, used, setup, program] = [1, 2, 3, 4, 5].map(|byte| Hashed([byte; 32]));
        let world = World::new().await;
        let mut conn = world.conn().await;
        let owner = world.viewer.user_id;
        sessions::insert(&mut conn, browser, owner, "::1", "a browser")
            .await
            .unwrap();
        for token in [open, used] {
            let invitation = invitations::insert(&mut conn, token, owner, Role::Editor, None, HOUR);
            let id = invitation.await.unwrap();
            if token == used {
                assert!(invitations::use_up(&mut conn, id, owner).await.unwrap());
            }
        }
        invitations::insert_setup(&mut conn, setup, HOUR).await.unwrap();
        let token = tokens::NewToken {
            token: program,
            name: "nightly",
            prefix: "pgassay_abc",
            scope: TokenScope::Read,
            lifetime: HOUR,
            is_by_password: false,
        };
        tokens::insert(&mut conn, owner, &token).await.unwrap();
        let ways_in = async |conn: &mut PgConnection| {
            [
                sessions::find(&mut *conn, browser).await.unwrap().is_some(),
                invitations::find(&mut *conn, open).await.unwrap().is_some(),
                invitations::is_setup(&mut *conn, setup).await.unwrap(),
                tokens::find(&mut *conn, program).await.unwrap().is_some(),
            ]
        };
        assert_eq!(ways_in(&mut conn).await, [true; 4]);

        renew(&mut conn, HOME, &[]).await.unwrap();
        let expected = [false, false, false, true];
        assert_eq!(
            ways_in(&mut conn).await,
            expected,
            "programs go on, and nothing else does"
        );
        let n_used: i64 = sqlx::query_scalar("select count(*) from invitations where used_by is not null")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(n_used, 1, "who came by an invitation is still known");
    }

    #[tokio::test]
    async fn a_migrated_store_is_not_empty() {
        let world = World::new().await;
        assert!(!is_empty(&mut *world.conn().await).await.unwrap());
    }
}
