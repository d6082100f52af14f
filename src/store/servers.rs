//! Registered servers, and the schemas of ours that are on them.

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::JobId;
use crate::model::ids::ServerId;
use crate::model::job::Lease;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::model::server::SecretName;
use crate::model::server::ServerTest;
use crate::model::server::ShownPlace;
use crate::model::user::Viewer;
use crate::store::Result;

/// A server as it is to be stored, its address sealed.
#[derive(Clone, Debug)]
pub struct NewServer {
    pub name: String,
    pub place: ShownPlace,
    pub password: PasswordSource,
    pub sealed: Vec<u8>,
}

/// A schema of ours on a server, with what is needed to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftSchema {
    pub server_id: ServerId,
    pub name: String,
    pub way: Way,
}

/// How a server is reached, for whoever has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The address.
    pub sealed: Vec<u8>,
    pub password: PasswordSource,
}

/// Selects servers; the tail says which.
macro_rules! select_servers {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query_as!(
            ServerRow,
            r#"select id as "id: ServerId", name, host, port, database_name, user_name, tls_mode, has_password, secret_name,
                      last_test as "last_test: Json<ServerTest>", created_at
               from servers "# + $tail,
            $($bind),*
        )
        .map(RegisteredServer::from)
    };
}

struct ServerRow {
    id: ServerId,
    name: String,
    host: String,
    port: i32,
    database_name: String,
    user_name: String,
    tls_mode: String,
    has_password: bool,
    secret_name: Option<String>,
    last_test: Option<Json<ServerTest>>,
    created_at: DateTime<Utc>,
}

impl From<ServerRow> for RegisteredServer {
    fn from(row: ServerRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            place: ShownPlace {
                host: row.host,
                port: u16::try_from(row.port).unwrap_or(0),
                database: row.database_name,
                user: row.user_name,
                tls_mode: row.tls_mode,
            },
            password: password_source(row.has_password, row.secret_name.as_deref()),
            last_test: row.last_test.map(|test| test.0),
            created_at: row.created_at,
        }
    }
}

fn password_source(has_password: bool, secret_name: Option<&str>) -> PasswordSource {
    match secret_name.and_then(|name| SecretName::parse(name).ok()) {
        Some(name) => PasswordSource::Secret(name),
        None if has_password => PasswordSource::Stored,
        None => PasswordSource::None,
    }
}

fn secret_name(password: &PasswordSource) -> Option<&str> {
    match password {
        PasswordSource::Secret(name) => Some(name.as_str()),
        PasswordSource::None | PasswordSource::Stored => None,
    }
}

/// The id of a server that is about to be stored: it is sealed with its address.
pub async fn next_id(conn: &mut PgConnection) -> Result<ServerId> {
    sqlx::query_scalar!(r#"select nextval(pg_get_serial_sequence('servers', 'id')) as "id!: ServerId""#)
        .fetch_one(conn)
        .await
}

/// Stores a new server. `Err` is a duplicate when its owner has one of this name.
pub async fn insert(conn: &mut PgConnection, viewer: Viewer, id: ServerId, new: &NewServer) -> Result<()> {
    sqlx::query!(
        "insert into servers (id, owner_id, name, host, port, database_name, user_name, tls_mode, has_password, secret_name,
                              sealed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id.0,
        viewer.user_id.0,
        new.name,
        new.place.host,
        i32::from(new.place.port),
        new.place.database,
        new.place.user,
        new.place.tls_mode,
        new.password == PasswordSource::Stored,
        secret_name(&new.password),
        new.sealed,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what a server is from now on; what a test of it said before is forgotten. Returns false when there is no such
/// server for this viewer, or when a job is at work on it.
pub async fn update(conn: &mut PgConnection, viewer: Viewer, id: ServerId, new: &NewServer) -> Result<bool> {
    let done = sqlx::query!(
        "update servers set name = $3, host = $4, port = $5, database_name = $6, user_name = $7, tls_mode = $8,
                has_password = $9, secret_name = $10, sealed = $11, last_test = null
         where id = $1 and may_change($2, servers)
           and not exists (select from jobs where server_id = $1 and status = 'running')",
        id.0,
        viewer as Viewer,
        new.name,
        new.place.host,
        i32::from(new.place.port),
        new.place.database,
        new.place.user,
        new.place.tls_mode,
        new.password == PasswordSource::Stored,
        secret_name(&new.password),
        new.sealed,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The viewer's servers, by name.
pub async fn list(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<RegisteredServer>> {
    select_servers!(
        "where may_see($1, servers) order by name, id limit 1000",
        viewer as Viewer
    )
    .fetch_all(conn)
    .await
}

/// One server; none when there is no such server for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, id: ServerId) -> Result<Option<RegisteredServer>> {
    select_servers!("where id = $1 and may_see($2, servers)", id.0, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// The viewer's server of that name.
pub async fn find_by_name(conn: &mut PgConnection, viewer: Viewer, name: &str) -> Result<Option<RegisteredServer>> {
    select_servers!("where name = $1 and may_see($2, servers)", name, viewer as Viewer)
        .fetch_optional(conn)
        .await
}

/// How a server is reached; none when there is no such server for this viewer.
pub async fn way(conn: &mut PgConnection, viewer: Viewer, id: ServerId) -> Result<Option<Way>> {
    let way = sqlx::query!(
        "select sealed, has_password, secret_name from servers where id = $1 and may_see($2, servers)",
        id.0,
        viewer as Viewer,
    )
    .map(|row| Way {
        sealed: row.sealed,
        password: password_source(row.has_password, row.secret_name.as_deref()),
    });
    way.fetch_optional(conn).await
}

/// Notes what a test came to, unless the server has become another since its address was read: `sealed` is that address.
pub async fn note_test(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ServerId,
    sealed: &[u8],
    test: &ServerTest,
) -> Result<()> {
    sqlx::query!(
        "update servers set last_test = $4 where id = $1 and may_change($2, servers) and sealed = $3",
        id.0,
        viewer as Viewer,
        sealed,
        Json(test) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a server. Returns false when there is none, or when a job that waits or runs needs it.
pub async fn delete(conn: &mut PgConnection, viewer: Viewer, id: ServerId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from servers s
         where s.id = $1 and may_change($2, s)
           and not exists (select from jobs j where j.server_id = s.id and j.status in ('queued', 'running'))",
        id.0,
        viewer as Viewer,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a schema that is about to be made. Returns false when the lease is lost: then it must not be made.
pub async fn note_schema(conn: &mut PgConnection, lease: &Lease, id: ServerId, name: &str) -> Result<bool> {
    let done = sqlx::query!(
        "insert into server_schemas (server_id, name, job_id, epoch)
         select $1, $2, id, epoch from jobs
         where id = $3 and epoch = $4 and lease_owner = $5 and status = 'running'
         on conflict (server_id, name) do nothing",
        id.0,
        name,
        lease.job_id.0,
        lease.epoch,
        lease.owner,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a schema is gone.
pub async fn forget_schema(conn: &mut PgConnection, id: ServerId, name: &str) -> Result<()> {
    sqlx::query!(
        "delete from server_schemas where server_id = $1 and name = $2",
        id.0,
        name,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Schemas whose job does not run any more, of all servers or of one; none of a server on which a job runs that is not `own`.
pub async fn list_left_schemas(
    conn: &mut PgConnection,
    id: Option<ServerId>,
    own: Option<JobId>,
) -> Result<Vec<LeftSchema>> {
    let left = sqlx::query!(
        r#"select s.id as "server_id: ServerId", n.name, s.has_password, s.secret_name, s.sealed
           from server_schemas n join servers s on s.id = n.server_id
           where ($1::bigint is null or s.id = $1)
             and not exists (select from jobs busy
                             where busy.server_id = s.id and busy.status = 'running' and busy.id is distinct from $2)
             and not exists (select from jobs j where j.id = n.job_id and j.epoch = n.epoch and j.status = 'running')
           order by s.id, n.name"#,
        id.map(|id| id.0),
        own.map(|id| id.0),
    )
    .map(|row| LeftSchema {
        server_id: row.server_id,
        name: row.name,
        way: Way {
            sealed: row.sealed,
            password: password_source(row.has_password, row.secret_name.as_deref()),
        },
    });
    left.fetch_all(conn).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::JobKind;
    use crate::model::job::JobStatus;
    use crate::store::is_duplicate;
    use crate::store::jobs;
    use crate::store::queue;
    use crate::testing::world::HOME;
    use crate::testing::world::World;

    fn new_server(name: &str) -> NewServer {
        NewServer {
            name: name.to_owned(),
            place: ShownPlace {
                host: "db.example.org".to_owned(),
                port: 5432,
                database: "load".to_owned(),
                user: "me".to_owned(),
                tls_mode: "require".to_owned(),
            },
            password: PasswordSource::Secret(SecretName::parse("token").unwrap()),
            sealed: vec![1, 2, 3],
        }
    }

    async fn server(world: &World, name: &str) -> ServerId {
        let mut conn = world.conn().await;
        let id = next_id(&mut conn).await.unwrap();
        insert(&mut conn, world.viewer, id, &new_server(name)).await.unwrap();
        id
    }

    async fn job_on(world: &World, server_id: ServerId) -> JobId {
        let job_id = world.job(JobKind::Benchmark).await;
        jobs::set_server(&mut *world.conn().await, job_id, server_id)
            .await
            .unwrap();
        job_id
    }

    #[tokio::test]
    async fn a_server_is_its_owner_s_and_has_a_name_of_its_own() {
        let world = World::new().await;
        let id = server(&world, "prod").await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        let stored = get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!((&*stored.name, stored.place), ("prod", new_server("").place));
        assert_eq!(stored.password, new_server("").password);
        let way_there = way(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!(
            (&*way_there.sealed, way_there.password),
            (&[1, 2, 3][..], stored.password)
        );
        assert!(get(&mut conn, stranger, id).await.unwrap().is_none());
        assert!(way(&mut conn, stranger, id).await.unwrap().is_none());
        assert!(list(&mut conn, stranger).await.unwrap().is_empty());
        assert!(find_by_name(&mut conn, stranger, "prod").await.unwrap().is_none());
        assert!(!update(&mut conn, stranger, id, &new_server("taken")).await.unwrap());
        assert!(!delete(&mut conn, stranger, id).await.unwrap());

        let other = next_id(&mut conn).await.unwrap();
        let error = insert(&mut conn, world.viewer, other, &new_server("prod"))
            .await
            .unwrap_err();
        assert!(is_duplicate(&error), "{error}");
        insert(&mut conn, stranger, other, &new_server("prod")).await.unwrap();
        assert_eq!(list(&mut conn, world.viewer).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn one_job_at_a_time_runs_on_a_server_and_others_go_by() {
        let world = World::new().await;
        let id = server(&world, "prod").await;
        let (first, second) = (job_on(&world, id).await, job_on(&world, id).await);
        let elsewhere = world.job(JobKind::Experiment).await;
        let held = world.claim("a").await.unwrap().lease;
        assert_eq!(held.job_id, first);
        assert_eq!(world.claim("b").await.unwrap().lease.job_id, elsewhere);
        assert!(world.claim("c").await.is_none());
        let mut conn = world.conn().await;
        let direct = sqlx::query("update jobs set status = 'running', host = 'z' where id = $1")
            .bind(second.0)
            .execute(&mut *conn)
            .await;
        assert!(is_duplicate(&direct.unwrap_err()));
        assert!(!update(&mut conn, world.viewer, id, &new_server("other")).await.unwrap());
        assert!(
            queue::settle(&mut conn, &held, JobStatus::Completed, None)
                .await
                .unwrap()
        );
        assert!(!delete(&mut conn, world.viewer, id).await.unwrap(), "one still waits");
        assert_eq!(world.claim("c").await.unwrap().lease.job_id, second);
    }

    #[tokio::test]
    async fn a_schema_is_left_behind_when_the_run_that_made_it_is_over() {
        let world = World::new().await;
        let id = server(&world, "prod").await;
        let job_id = job_on(&world, id).await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        assert!(note_schema(&mut conn, &lease, id, "ours_1").await.unwrap());
        assert!(list_left_schemas(&mut conn, None, None).await.unwrap().is_empty());

        world.lapse(job_id).await;
        queue::rescue(&mut conn).await.unwrap();
        assert!(!note_schema(&mut conn, &lease, id, "too late").await.unwrap());
        let again = queue::claim(&mut conn, HOME, queue::Reach::OwnDumps, "b", "another")
            .await
            .unwrap()
            .unwrap()
            .lease;
        assert!(note_schema(&mut conn, &again, id, "ours_2").await.unwrap());
        let left = list_left_schemas(&mut conn, Some(id), None).await.unwrap();
        assert!(left.is_empty(), "somebody measures there");
        let left = list_left_schemas(&mut conn, Some(id), Some(job_id)).await.unwrap();
        let names: Vec<&str> = left.iter().map(|left| &*left.name).collect();
        assert_eq!(names, ["ours_1"]);
        assert_eq!(left[0].way.sealed, [1, 2, 3]);
        forget_schema(&mut conn, id, "ours_1").await.unwrap();
        assert!(
            list_left_schemas(&mut conn, None, Some(job_id))
                .await
                .unwrap()
                .is_empty()
        );
    }
}
