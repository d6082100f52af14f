//! Links that show one thing to whoever has them, and what is shown to all accounts.

use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::filing::Filed;
use crate::model::hashed::Hashed;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::LinkId;
use crate::model::ids::UserId;
use crate::model::ids::WorkloadId;
use crate::model::user::Viewer;
use crate::store::Result;

/// How a thing is shown to others, as its owner sees it.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Whose it is.
    pub owner: String,
    /// Whether the viewer may change this.
    pub is_own: bool,
    /// All accounts see it.
    pub is_shared: bool,
    /// None but for its owner.
    pub links: Vec<Link>,
}

/// A link as the owner of its thing sees it: the token is gone.
#[derive(Clone, Debug)]
pub struct Link {
    pub id: LinkId,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The ids of a thing in the columns of `links`.
#[derive(Clone, Copy, Default)]
struct Columns {
    dataset_id: Option<i64>,
    workload_id: Option<i64>,
    experiment_id: Option<i64>,
    instrument_id: Option<i64>,
    benchmark_id: Option<i64>,
}

impl Columns {
    fn of(thing: Filed) -> Self {
        let mut columns = Self::default();
        match thing {
            Filed::Dataset(id) => columns.dataset_id = Some(id.0),
            Filed::Workload(id) => columns.workload_id = Some(id.0),
            Filed::Experiment(id) => columns.experiment_id = Some(id.0),
            Filed::Instrument(id) => columns.instrument_id = Some(id.0),
            Filed::Benchmark(id) => columns.benchmark_id = Some(id.0),
        }
        columns
    }

    fn thing(self) -> Option<Filed> {
        let dataset = self.dataset_id.map(|id| Filed::Dataset(DatasetId(id)));
        let workload = self.workload_id.map(|id| Filed::Workload(WorkloadId(id)));
        let experiment = self.experiment_id.map(|id| Filed::Experiment(ExperimentId(id)));
        let instrument = self.instrument_id.map(|id| Filed::Instrument(InstrumentId(id)));
        let benchmark = self.benchmark_id.map(|id| Filed::Benchmark(BenchmarkId(id)));
        dataset.or(workload).or(experiment).or(instrument).or(benchmark)
    }
}

struct SharingRow {
    owner: String,
    is_own: bool,
    is_shared: bool,
}

macro_rules! sharing_in {
    ($table:literal, $conn:expr, $viewer:expr, $id:expr) => {
        sqlx::query_as!(
            SharingRow,
            r#"select u.name as owner, may_change($2, t) as "is_own!", t.is_shared from "#
                + $table
                + " t join users u on u.id = t.owner_id where t.id = $1 and may_see($2, t)",
            $id.0,
            $viewer as Viewer,
        )
        .fetch_optional($conn)
        .await?
    };
}

macro_rules! share_in {
    ($table:literal, $conn:expr, $viewer:expr, $id:expr, $is_shared:expr) => {
        sqlx::query!(
            "update " + $table + " t set is_shared = $3 where t.id = $1 and may_change($2, t)",
            $id.0,
            $viewer as Viewer,
            $is_shared,
        )
        .execute($conn)
        .await?
    };
}

/// How a thing is shown to others; none when there is no such thing for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, thing: Filed) -> Result<Option<Sharing>> {
    let row = match thing {
        Filed::Dataset(id) => sharing_in!("datasets", &mut *conn, viewer, id),
        Filed::Workload(id) => sharing_in!("workloads", &mut *conn, viewer, id),
        Filed::Experiment(id) => sharing_in!("experiments", &mut *conn, viewer, id),
        Filed::Instrument(id) => sharing_in!("instruments", &mut *conn, viewer, id),
        Filed::Benchmark(id) => sharing_in!("benchmarks", &mut *conn, viewer, id),
    };
    let Some(SharingRow {
        owner,
        is_own,
        is_shared,
    }) = row
    else {
        return Ok(None);
    };
    let links = if is_own { list(conn, thing).await? } else { Vec::new() };
    Ok(Some(Sharing {
        owner,
        is_own,
        is_shared,
        links,
    }))
}

/// Ids of things by their kind, for a query that asks all tables at once.
struct Ids<'a>(&'a [Filed]);

impl Ids<'_> {
    fn of(&self, id_of: fn(Columns) -> Option<i64>) -> Vec<i64> {
        self.0.iter().filter_map(|thing| id_of(Columns::of(*thing))).collect()
    }
}

/// Those of some things that are there for this viewer.
pub async fn seen(conn: &mut PgConnection, viewer: Viewer, things: &[Filed]) -> Result<HashSet<Filed>> {
    let rows = list_seen(conn, viewer, things).await?;
    Ok(rows.into_iter().filter_map(|row| row.thing()).collect())
}

/// Whose things are that are not the viewer's own, for lists.
pub async fn owners(conn: &mut PgConnection, viewer: Viewer, things: &[Filed]) -> Result<HashMap<Filed, String>> {
    let rows = list_seen(conn, viewer, things).await?;
    let others = rows.into_iter().filter(|row| row.owner_id != viewer.user_id);
    Ok(others.filter_map(|row| Some((row.thing()?, row.owner))).collect())
}

struct SeenRow {
    kind: String,
    id: i64,
    owner_id: UserId,
    owner: String,
}

impl SeenRow {
    fn thing(&self) -> Option<Filed> {
        match self.kind.as_str() {
            "dataset" => Some(Filed::Dataset(DatasetId(self.id))),
            "workload" => Some(Filed::Workload(WorkloadId(self.id))),
            "experiment" => Some(Filed::Experiment(ExperimentId(self.id))),
            "instrument" => Some(Filed::Instrument(InstrumentId(self.id))),
            "benchmark" => Some(Filed::Benchmark(BenchmarkId(self.id))),
            _ => None,
        }
    }
}

async fn list_seen(conn: &mut PgConnection, viewer: Viewer, things: &[Filed]) -> Result<Vec<SeenRow>> {
    if things.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Ids(things);
    sqlx::query_as!(
        SeenRow,
        r#"select thing.kind as "kind!", thing.id as "id!", u.id as "owner_id: UserId", u.name as owner from (
             select 'dataset' as kind, t.id, t.owner_id from datasets t where t.id = any($2) and may_see($1, t)
             union all
             select 'workload', t.id, t.owner_id from workloads t where t.id = any($3) and may_see($1, t)
             union all
             select 'experiment', t.id, t.owner_id from experiments t where t.id = any($4) and may_see($1, t)
             union all
             select 'instrument', t.id, t.owner_id from instruments t where t.id = any($5) and may_see($1, t)
             union all
             select 'benchmark', t.id, t.owner_id from benchmarks t where t.id = any($6) and may_see($1, t)
           ) thing join users u on u.id = thing.owner_id"#,
        viewer as Viewer,
        &ids.of(|of| of.dataset_id),
        &ids.of(|of| of.workload_id),
        &ids.of(|of| of.experiment_id),
        &ids.of(|of| of.instrument_id),
        &ids.of(|of| of.benchmark_id),
    )
    .fetch_all(conn)
    .await
}

/// Shows a thing to all accounts, or to its owner alone again. Returns false when it is not the viewer's.
pub async fn share(conn: &mut PgConnection, viewer: Viewer, thing: Filed, is_shared: bool) -> Result<bool> {
    let done = match thing {
        Filed::Dataset(id) => share_in!("datasets", conn, viewer, id, is_shared),
        Filed::Workload(id) => share_in!("workloads", conn, viewer, id, is_shared),
        Filed::Experiment(id) => share_in!("experiments", conn, viewer, id, is_shared),
        Filed::Instrument(id) => share_in!("instruments", conn, viewer, id, is_shared),
        Filed::Benchmark(id) => share_in!("benchmarks", conn, viewer, id, is_shared),
    };
    Ok(done.rows_affected() == 1)
}

async fn list(conn: &mut PgConnection, thing: Filed) -> Result<Vec<Link>> {
    let of = Columns::of(thing);
    sqlx::query_as!(
        Link,
        r#"select id as "id: LinkId", created_at, expires_at from links
           where (dataset_id = $1 or workload_id = $2 or experiment_id = $3 or instrument_id = $4 or benchmark_id = $5)
             and (expires_at is null or expires_at > clock_timestamp())
           order by id desc limit 100"#,
        of.dataset_id,
        of.workload_id,
        of.experiment_id,
        of.instrument_id,
        of.benchmark_id,
    )
    .fetch_all(conn)
    .await
}

/// Stores a link to a thing. The caller has made sure that it is the viewer's, in the same transaction, by [`get`].
pub async fn insert(
    conn: &mut PgConnection,
    viewer: Viewer,
    thing: Filed,
    token: Hashed,
    lifetime: Option<Duration>,
) -> Result<LinkId> {
    let of = Columns::of(thing);
    sqlx::query_scalar!(
        r#"insert into links (token_hash, made_by, expires_at, dataset_id, workload_id, experiment_id, instrument_id,
                              benchmark_id)
           values ($1, $2, clock_timestamp() + make_interval(secs => $3), $4, $5, $6, $7, $8) returning id as "id: LinkId""#,
        &token.0[..],
        viewer.user_id.0,
        lifetime.map(|lifetime| lifetime.as_secs_f64()),
        of.dataset_id,
        of.workload_id,
        of.experiment_id,
        of.instrument_id,
        of.benchmark_id,
    )
    .fetch_one(conn)
    .await
}

/// What a link shows; none when there is no such link any more.
pub async fn find(conn: &mut PgConnection, token: Hashed) -> Result<Option<Filed>> {
    let columns = sqlx::query_as!(
        Columns,
        "select dataset_id, workload_id, experiment_id, instrument_id, benchmark_id from links
         where token_hash = $1 and (expires_at is null or expires_at > clock_timestamp())",
        &token.0[..],
    )
    .fetch_optional(conn)
    .await?;
    Ok(columns.and_then(Columns::thing))
}

/// Takes a link to a thing back. The caller has made sure that the thing is the viewer's. Returns false when it has no such link.
pub async fn delete(conn: &mut PgConnection, thing: Filed, id: LinkId) -> Result<bool> {
    let of = Columns::of(thing);
    let done = sqlx::query!(
        "delete from links
         where id = $1
           and (dataset_id = $2 or workload_id = $3 or experiment_id = $4 or instrument_id = $5 or benchmark_id = $6)",
        id.0,
        of.dataset_id,
        of.workload_id,
        of.experiment_id,
        of.instrument_id,
        of.benchmark_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes links that are over. Returns how many there were.
pub async fn sweep(conn: &mut PgConnection) -> Result<u64> {
    let done = sqlx::query!("delete from links where expires_at <= clock_timestamp()")
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use crate::testing::world::World;

    const ONE: Hashed = Hashed([1; 32]);

    #[tokio::test]
    async fn what_is_shared_is_seen_by_every_account_and_by_nobody_else_and_changed_by_neither() {
        let world = World::new().await;
        let (experiment_id, _) = world.experiment("shop", &["none"]).await;
        let (id, stranger) = (Filed::Experiment(experiment_id), world.stranger().await);
        let mut conn = world.conn().await;
        let sees = async |conn: &mut PgConnection, viewer| {
            let experiment = store::experiments::get(conn, viewer, experiment_id).await.unwrap();
            experiment.is_some()
        };
        assert!(!sees(&mut conn, stranger).await);
        assert!(!share(&mut conn, stranger, id, true).await.unwrap());
        assert!(share(&mut conn, world.viewer, id, true).await.unwrap());
        assert!(sees(&mut conn, stranger).await);
        assert!(!sees(&mut conn, Viewer::nobody()).await);
        let seen = get(&mut conn, stranger, id).await.unwrap().unwrap();
        assert_eq!((&*seen.owner, seen.is_own, seen.is_shared), ("local", false, true));
        let of_stranger = owners(&mut conn, stranger, &[id]).await.unwrap();
        assert_eq!(of_stranger.get(&id).map(String::as_str), Some("local"));
        assert!(owners(&mut conn, world.viewer, &[id]).await.unwrap().is_empty());
        assert!(!share(&mut conn, stranger, id, false).await.unwrap());
        assert!(share(&mut conn, world.viewer, id, false).await.unwrap());
        assert!(owners(&mut conn, stranger, &[id]).await.unwrap().is_empty());
        assert!(get(&mut conn, stranger, id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn of_many_things_those_are_seen_that_are_there_for_the_viewer() {
        let world = World::new().await;
        let (shared, _) = world.dataset("shared").await;
        let (private, _) = world.dataset("private").await;
        let (experiment, _) = world.experiment("shop", &["none"]).await;
        let things = [
            Filed::Dataset(shared),
            Filed::Dataset(private),
            Filed::Experiment(experiment),
        ];
        // An id says nothing without its kind.
        let others = [
            Filed::Workload(WorkloadId(4711)),
            Filed::Benchmark(BenchmarkId(shared.0)),
        ];
        let all = [&things[..], &others].concat();
        let mut conn = world.conn().await;
        assert!(share(&mut conn, world.viewer, things[0], true).await.unwrap());
        let stranger = world.stranger().await;
        for (viewer, expected) in [
            (world.viewer, &things[..]),
            (stranger, &things[..1]),
            (Viewer::nobody().with_link(things[2]), &things[2..]),
            (Viewer::nobody(), &[]),
        ] {
            let seen = seen(&mut conn, viewer, &all).await.unwrap();
            assert_eq!(seen, expected.iter().copied().collect(), "{viewer:?}");
        }
        assert!(seen(&mut conn, world.viewer, &[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_link_shows_its_thing_and_no_other_until_it_is_taken_back_or_expires() {
        let world = World::new().await;
        let (shown, _) = world.dataset("shown").await;
        let (hidden, _) = world.dataset("hidden").await;
        let mut conn = world.conn().await;
        let thing = Filed::Dataset(shown);
        let link = insert(&mut conn, world.viewer, thing, ONE, None).await.unwrap();
        assert_eq!(find(&mut conn, ONE).await.unwrap(), Some(thing));
        let holder = Viewer::nobody().with_link(thing);
        let seen = store::datasets::list(&mut conn, holder).await.unwrap();
        assert_eq!(seen.iter().map(|dataset| dataset.id).collect::<Vec<_>>(), [shown]);
        let sharing = get(&mut conn, holder, thing).await.unwrap().unwrap();
        assert!(
            !sharing.is_own && sharing.links.is_empty(),
            "who came by a link sees no others"
        );
        assert!(!store::datasets::delete_unused(&mut conn, holder, shown).await.unwrap());
        assert!(!delete(&mut conn, Filed::Dataset(hidden), link).await.unwrap());
        assert!(delete(&mut conn, thing, link).await.unwrap());
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);

        let lifetime = Some(Duration::ZERO);
        insert(&mut conn, world.viewer, thing, ONE, lifetime).await.unwrap();
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);
        assert_eq!(sweep(&mut conn).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_role_that_only_looks_changes_nothing_even_of_its_own() {
        let world = World::new().await;
        let (id, _) = world.dataset("own").await;
        let mut conn = world.conn().await;
        let looker = Viewer::account(world.viewer.user_id, crate::model::user::Role::Viewer);
        assert!(store::datasets::get(&mut conn, looker, id).await.unwrap().is_some());
        assert!(!share(&mut conn, looker, Filed::Dataset(id), true).await.unwrap());
    }
}
