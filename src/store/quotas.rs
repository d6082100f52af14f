//! What an account has of what there are quotas of, whoever asks. Whoever takes more asks here within the transaction that
//! takes it, after [`lock`]: two uploads at once do not both find room for one.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::UserId;
use crate::model::quota::Bound;
use crate::model::quota::OwnQuotas;
use crate::model::quota::Quotas;
use crate::model::quota::Usage;
use crate::store::Result;
use crate::store::settings;
use crate::store::to_u64;

/// What is set under this name holds for all accounts.
const HOUSE: &str = "quotas";

/// An account of which nothing more is begun for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    pub account: UserId,
    pub n_running: u64,
    pub most: u64,
}

/// What holds for an account: what is said of it, or else of everybody, or else what holds anyway.
pub async fn of(conn: &mut PgConnection, account: UserId) -> Result<Quotas> {
    let row = sqlx::query!(
        r#"select quotas as "own: Json<OwnQuotas>",
                  (select value from settings where name = $2) as "house: Json<OwnQuotas>"
           from users where id = $1"#,
        account.0,
        HOUSE,
    )
    .fetch_optional(conn)
    .await?;
    let said = row.map(|row| (row.house.unwrap_or_default().0, row.own.0));
    let (house, own) = said.unwrap_or_default();
    Ok(Quotas::default().with(&house).with(&own))
}

/// Accounts that have as many jobs running as they may, or more, with how many they may. Only those that somebody signs in
/// as: the local user has no quotas.
pub async fn list_busy(conn: &mut PgConnection) -> Result<Vec<Busy>> {
    let rows = sqlx::query!(
        r#"select u.id as "id: UserId", u.quotas as "own: Json<OwnQuotas>",
                  (select value from settings where name = $1) as "house: Json<OwnQuotas>",
                  count(*) filter (where j.status = 'running') as "n_running!"
           from users u join jobs j on j.owner_id = u.id
           where j.status in ('queued', 'running') and u.password_hash is not null
           group by u.id"#,
        HOUSE,
    )
    .fetch_all(conn)
    .await?;
    let busy = rows.into_iter().filter_map(|row| {
        let quotas = Quotas::default()
            .with(&row.house.unwrap_or_default().0)
            .with(&row.own.0);
        let n_running = to_u64(row.n_running);
        match quotas.running_jobs {
            Bound::Most(most) if n_running >= most => Some(Busy {
                account: row.id,
                n_running,
                most,
            }),
            Bound::Most(_) | Bound::Unlimited => None,
        }
    });
    Ok(busy.collect())
}

/// Lets nobody else do so for this account until the transaction ends.
pub async fn lock(conn: &mut PgConnection, account: UserId) -> Result<()> {
    // The row is locked as an update of its name would not lock it, so that whatever refers to it may be stored meanwhile.
    sqlx::query!("select id from users where id = $1 for no key update", account.0)
        .fetch_optional(conn)
        .await?;
    Ok(())
}

/// All of it.
pub async fn usage(conn: &mut PgConnection, account: UserId) -> Result<Usage> {
    let (datasets, storage_bytes) = datasets(&mut *conn, account).await?;
    let (waiting_jobs, running_jobs) = jobs(&mut *conn, account).await?;
    Ok(Usage {
        storage_bytes,
        datasets,
        waiting_jobs,
        running_jobs,
    })
}

/// What an admin has said of all accounts.
pub async fn house(conn: &mut PgConnection) -> Result<OwnQuotas> {
    Ok(settings::get(conn, HOUSE).await?.unwrap_or_default())
}

/// Sets what holds for all accounts of which nothing else is said.
pub async fn set_house(conn: &mut PgConnection, quotas: &OwnQuotas) -> Result<()> {
    settings::set(conn, HOUSE, quotas).await
}

/// What an admin has said of one account; none when there is no such account.
pub async fn get_own(conn: &mut PgConnection, account: UserId) -> Result<Option<OwnQuotas>> {
    let said = sqlx::query_scalar!(
        r#"select quotas as "quotas: Json<OwnQuotas>" from users where id = $1"#,
        account.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(said.map(|said| said.0))
}

/// Sets what holds for one account. Returns false when there is no such account.
pub async fn set_own(conn: &mut PgConnection, account: UserId, quotas: &OwnQuotas) -> Result<bool> {
    let done = sqlx::query!(
        "update users set quotas = $2 where id = $1",
        account.0,
        Json(quotas) as Json<&OwnQuotas>,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Datasets, and the bytes of their dumps, databases and statistics files, and of the files that arrive part by part, which
/// have their room from the first part on. A restore that ended badly leaves no files, but what the depot has.
async fn datasets(conn: &mut PgConnection, account: UserId) -> Result<(u64, u64)> {
    let row = sqlx::query!(
        r#"select count(*) as "n!",
                  (coalesce(sum(case when j.status in ('failed', 'cancelled') and not d.is_in_depot then 0
                                     else d.size_bytes + coalesce(d.database_bytes, 0) end), 0)
                   + (select coalesce(sum(total_bytes), 0) from uploads
                      where owner_id = $1 and dataset_id is null)
                   + (select coalesce(sum(f.size_bytes), 0) from statistics_files f join datasets fd on fd.id = f.dataset_id
                      where fd.owner_id = $1))::bigint as "bytes!"
           from datasets d join jobs j on j.id = d.job_id where d.owner_id = $1"#,
        account.0,
    )
    .fetch_one(conn)
    .await?;
    Ok((to_u64(row.n), to_u64(row.bytes)))
}

/// Jobs that wait and that run.
async fn jobs(conn: &mut PgConnection, account: UserId) -> Result<(u64, u64)> {
    let row = sqlx::query!(
        r#"select count(*) filter (where status = 'queued') as "n_waiting!",
                  count(*) filter (where status = 'running') as "n_running!"
           from jobs where owner_id = $1 and status in ('queued', 'running')"#,
        account.0,
    )
    .fetch_one(conn)
    .await?;
    Ok((to_u64(row.n_waiting), to_u64(row.n_running)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::JobKind;
    use crate::model::quota::Quota;
    use crate::store::jobs;
    use crate::store::queue;
    use crate::testing::world::World;

    #[tokio::test]
    async fn an_account_has_what_is_its_own_and_not_over() {
        let world = World::new().await;
        let stranger = world.stranger().await;
        let (own, theirs) = (world.viewer.user_id, stranger.user_id);
        let mut conn = world.conn().await;
        assert_eq!(usage(&mut conn, own).await.unwrap(), Usage::default());
        let (first, first_job) = world.dataset("first").await;
        let (_, second_job) = world.dataset("second").await;
        let (_, third_job) = world.dataset("third").await;
        let others = jobs::insert(&mut conn, stranger, JobKind::Check, None).await.unwrap();
        let mut expected = Usage {
            storage_bytes: 3 * 12,
            datasets: 3,
            waiting_jobs: 3,
            running_jobs: 0,
        };
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);

        // The first is restored, the second runs, the third ended badly, and kept its dump in the depot at last.
        let set = async |sql: &'static str, id: i64| {
            let done = sqlx::query(sql).bind(id).execute(&world.pool).await.unwrap();
            assert_eq!(done.rows_affected(), 1, "{sql}");
        };
        set("update jobs set status = 'completed' where id = $1", first_job.0).await;
        set("update datasets set database_bytes = 1000 where id = $1", first.0).await;
        set("update jobs set status = 'running' where id = $1", second_job.0).await;
        set("update jobs set status = 'failed' where id = $1", third_job.0).await;
        expected.storage_bytes = 2 * 12 + 1000;
        (expected.waiting_jobs, expected.running_jobs) = (0, 1);
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);
        set("update datasets set is_in_depot = true where job_id = $1", third_job.0).await;
        expected.storage_bytes += 12;
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);

        // The fourth is on its way, and has its room until it is a dataset, or given up.
        let insert = "insert into uploads (owner_id, key, home, name, file_name, total_bytes, received_bytes)
                      values ($1, 'night', 'here', '', '', 500, 20)";
        set(insert, own.0).await;
        expected.storage_bytes += 500;
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);
        set("update uploads set dataset_id = $1", first.0).await;
        expected.storage_bytes -= 500;
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);

        let insert =
            "insert into statistics_files (dataset_id, request_id, name, format, size_bytes, sha256, n_relations,
                                                     n_columns, contents)
                      values ($1, 'r', 'production', 'json', 70, '', 1, 1, '{}')";
        set(insert, first.0).await;
        expected.storage_bytes += 70;
        assert_eq!(usage(&mut conn, own).await.unwrap(), expected);

        let found = usage(&mut conn, theirs).await.unwrap();
        assert_eq!(
            found,
            Usage {
                waiting_jobs: 1,
                ..Usage::default()
            }
        );
        set("update jobs set status = 'cancelled' where id = $1", others.0).await;
        assert_eq!(usage(&mut conn, theirs).await.unwrap(), Usage::default());
    }

    async fn say(world: &World, sql: &'static str) {
        let done = sqlx::query(sql).execute(&world.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
    }

    #[tokio::test]
    async fn what_is_said_of_an_account_goes_before_what_is_said_of_the_house() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let account = world.viewer.user_id;
        assert_eq!(of(&mut conn, account).await.unwrap(), Quotas::default());
        let house = r#"insert into settings values ('quotas', '{"datasets": {"most": 3}, "trials": {"most": 7}}')"#;
        say(&world, house).await;
        say(
            &world,
            r#"update users set quotas = '{"datasets": "unlimited", "of_a_later_version": {"most": 1}}' where name = 'local'"#,
        )
        .await;
        let expected = Quotas {
            datasets: Bound::Unlimited,
            trials: Bound::Most(7),
            ..Quotas::default()
        };
        assert_eq!(of(&mut conn, account).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn an_account_with_as_many_running_jobs_as_it_may_is_passed_over() {
        let world = World::new().await;
        let stranger = world.stranger().await;
        let house = r#"insert into settings values ('quotas', '{"running_jobs": {"most": 1}}')"#;
        say(&world, house).await;
        for _ in 0..3 {
            world.job(JobKind::Check).await;
        }
        let mut conn = world.conn().await;
        let theirs = jobs::insert(&mut conn, stranger, JobKind::Check, None).await.unwrap();
        // Whom nobody signs in as has no quota.
        let first = world.claim("host-a").await.unwrap();
        let second = world.claim("host-b").await.unwrap();
        assert_eq!(first.owner_id, second.owner_id);
        assert_eq!(list_busy(&mut conn).await.unwrap(), []);

        say(&world, "update users set password_hash = 'a hash' where name = 'local'").await;
        let busy = Busy {
            account: world.viewer.user_id,
            n_running: 2,
            most: 1,
        };
        assert_eq!(list_busy(&mut conn).await.unwrap(), [busy]);
        assert!(queue::has_too_many(&mut conn, &first).await.unwrap());
        let waiting = jobs::list_unsettled(&mut conn, world.viewer, None).await.unwrap();
        let held: Vec<_> = waiting.jobs.iter().map(|queued| queued.held_at).collect();
        assert_eq!(held, [None, None, Some(1), None]);
        let next = world.claim("host-c").await.unwrap();
        assert_eq!(next.lease.job_id, theirs, "somebody else is before it");
        assert!(!queue::has_too_many(&mut conn, &next).await.unwrap());
        assert!(world.claim("host-d").await.is_none());

        // An account that may run nothing does not even begin.
        say(
            &world,
            r#"update users set quotas = '{"running_jobs": {"most": 3}}' where name = 'local'"#,
        )
        .await;
        assert!(world.claim("host-d").await.is_some());
        say(&world, r#"update users set quotas = '{"running_jobs": {"most": 0}}', password_hash = 'a hash' where name = 'stranger'"#).await;
        say(
            &world,
            "update jobs set status = 'completed', host = null where status = 'running' and host = 'host-c'",
        )
        .await;
        jobs::insert(&mut conn, stranger, JobKind::Check, None).await.unwrap();
        assert!(world.claim("host-c").await.is_none());
    }

    #[tokio::test]
    async fn what_is_said_of_all_and_of_one_account_is_kept_apart() {
        let world = World::new().await;
        let (own, stranger) = (world.viewer.user_id, world.stranger().await.user_id);
        let mut conn = world.conn().await;
        assert_eq!(house(&mut conn).await.unwrap(), OwnQuotas::default());
        assert_eq!(get_own(&mut conn, own).await.unwrap(), Some(OwnQuotas::default()));
        let of_all = OwnQuotas::default().saying(Quota::Datasets, Some(Bound::Most(3)));
        let of_one = OwnQuotas::default().saying(Quota::Datasets, Some(Bound::Unlimited));
        set_house(&mut conn, &of_one).await.unwrap();
        set_house(&mut conn, &of_all).await.unwrap();
        assert!(set_own(&mut conn, own, &of_one).await.unwrap());
        assert!(!set_own(&mut conn, UserId(4_711), &of_one).await.unwrap());
        assert_eq!(house(&mut conn).await.unwrap(), of_all);
        assert_eq!(get_own(&mut conn, own).await.unwrap(), Some(of_one));
        assert_eq!(get_own(&mut conn, stranger).await.unwrap(), Some(OwnQuotas::default()));
        assert_eq!(get_own(&mut conn, UserId(4_711)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_asks_second_waits_until_the_first_has_taken() {
        let world = World::new().await;
        let account = world.viewer.user_id;
        let mut first = world.pool.begin().await.unwrap();
        lock(&mut first, account).await.unwrap();
        // What refers to the account is stored all the same.
        world.job(JobKind::Check).await;
        let mut second = world.pool.begin().await.unwrap();
        sqlx::query("set local lock_timeout = '10 ms'")
            .execute(&mut *second)
            .await
            .unwrap();
        let refused = lock(&mut second, account).await.unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .unwrap();
        assert_eq!(code, "55P03");
        second.rollback().await.unwrap();
        first.commit().await.unwrap();
        lock(&mut *world.conn().await, account).await.unwrap();
    }
}
