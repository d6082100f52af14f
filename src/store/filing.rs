//! How things are filed: tags and memos of experiments, instruments, benchmarks, datasets and workloads.

use sqlx::PgConnection;

use crate::model::filing::Filed;
use crate::model::filing::Filing;
use crate::model::filing::Memo;
use crate::model::filing::Tags;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_u64;

/// A tag with the number of things that carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTag {
    pub tag: String,
    pub n: u64,
}

/// As many as somebody looks through; of more, those that are used most.
const MOST_TAGS: i64 = 48;

struct FilingRow {
    tags: Vec<String>,
    memo: String,
}

/// The filing of one row of a table.
macro_rules! get_in {
    ($table:literal, $conn:expr, $viewer:expr, $id:expr) => {
        sqlx::query_as!(
            FilingRow,
            "select tags, memo from " + $table + " t where id = $1 and may_see($2, t)",
            $id.0,
            $viewer as Viewer,
        )
        .fetch_optional($conn)
        .await?
    };
}

macro_rules! set_in {
    ($table:literal, $conn:expr, $viewer:expr, $id:expr, $filing:expr) => {
        sqlx::query!(
            "update " + $table + " t set tags = $3, memo = $4 where id = $1 and may_change($2, t)",
            $id.0,
            $viewer as Viewer,
            $filing.tags.as_slice(),
            $filing.memo.as_str(),
        )
        .execute($conn)
        .await?
    };
}

macro_rules! used_in {
    ($table:literal, $conn:expr, $viewer:expr) => {
        sqlx::query!(
            "select tag as \"tag!\", n as \"n!\" from \
             (select tag, count(*) as n from "
                + $table
                + " t, unnest(tags) tag where may_see($1, t) \
             group by tag order by count(*) desc, tag limit $2) used order by tag",
            $viewer as Viewer,
            MOST_TAGS,
        )
        .fetch_all($conn)
        .await?
        .into_iter()
        .map(|row| UsedTag {
            tag: row.tag,
            n: to_u64(row.n),
        })
        .collect()
    };
}

/// How a thing is filed; none when there is no such thing for this viewer.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, filed: Filed) -> Result<Option<Filing>> {
    let row = match filed {
        Filed::Experiment(id) => get_in!("experiments", conn, viewer, id),
        Filed::Instrument(id) => get_in!("instruments", conn, viewer, id),
        Filed::Benchmark(id) => get_in!("benchmarks", conn, viewer, id),
        Filed::Dataset(id) => get_in!("datasets", conn, viewer, id),
        Filed::Workload(id) => get_in!("workloads", conn, viewer, id),
    };
    Ok(row.map(|row| filing(row.tags, row.memo)))
}

/// Files a thing anew. Returns false when there is no such thing for this viewer.
pub async fn set(conn: &mut PgConnection, viewer: Viewer, filed: Filed, filing: &Filing) -> Result<bool> {
    let done = match filed {
        Filed::Experiment(id) => set_in!("experiments", conn, viewer, id, filing),
        Filed::Instrument(id) => set_in!("instruments", conn, viewer, id, filing),
        Filed::Benchmark(id) => set_in!("benchmarks", conn, viewer, id, filing),
        Filed::Dataset(id) => set_in!("datasets", conn, viewer, id, filing),
        Filed::Workload(id) => set_in!("workloads", conn, viewer, id, filing),
    };
    Ok(done.rows_affected() == 1)
}

/// The tags that are used most on the viewer's experiments, in alphabetical order.
pub async fn tags_of_experiments(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<UsedTag>> {
    Ok(used_in!("experiments", conn, viewer))
}

/// The tags that are used most on the viewer's instruments, in alphabetical order.
pub async fn tags_of_instruments(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<UsedTag>> {
    Ok(used_in!("instruments", conn, viewer))
}

/// The tags that are used most on the viewer's benchmarks, in alphabetical order.
pub async fn tags_of_benchmarks(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<UsedTag>> {
    Ok(used_in!("benchmarks", conn, viewer))
}

/// The tags that are used most on the viewer's datasets, in alphabetical order.
pub async fn tags_of_datasets(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<UsedTag>> {
    Ok(used_in!("datasets", conn, viewer))
}

/// The tags that are used most on the viewer's workloads, in alphabetical order.
pub async fn tags_of_workloads(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<UsedTag>> {
    Ok(used_in!("workloads", conn, viewer))
}

/// What two columns hold.
pub(super) fn filing(tags: Vec<String>, memo: String) -> Filing {
    Filing {
        tags: Tags::stored(tags),
        memo: Memo::stored(memo),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    fn wish(tags: &str, memo: &str) -> Filing {
        Filing {
            tags: Tags::parse(tags).unwrap(),
            memo: Memo::parse(memo).unwrap(),
        }
    }

    #[tokio::test]
    async fn whatever_can_be_filed_is_found_as_it_was_filed_and_only_by_its_owner() {
        let world = World::new().await;
        let (experiment_id, _) = world.experiment("e", &["none"]).await;
        let instrument_id = world.instrument("i", None).await;
        let (dataset_id, _) = world.dataset("d").await;
        let workload_id = world.workload("w", "select 1").await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        for filed in [
            Filed::Experiment(experiment_id),
            Filed::Instrument(instrument_id),
            Filed::Dataset(dataset_id),
            Filed::Workload(workload_id),
        ] {
            assert_eq!(
                get(&mut conn, world.viewer, filed).await.unwrap(),
                Some(Filing::default())
            );
            let wish = wish("größe nightly", "before the index");
            assert!(!set(&mut conn, stranger, filed, &wish).await.unwrap());
            assert!(set(&mut conn, world.viewer, filed, &wish).await.unwrap());
            assert_eq!(get(&mut conn, world.viewer, filed).await.unwrap(), Some(wish));
            assert_eq!(get(&mut conn, stranger, filed).await.unwrap(), None);
        }
        let used = |n| UsedTag {
            tag: "nightly".to_owned(),
            n,
        };
        let viewer = world.viewer;
        assert_eq!(tags_of_experiments(&mut conn, viewer).await.unwrap()[1], used(1));
        assert_eq!(tags_of_instruments(&mut conn, viewer).await.unwrap()[1], used(1));
        assert_eq!(tags_of_datasets(&mut conn, viewer).await.unwrap()[1], used(1));
        assert_eq!(tags_of_workloads(&mut conn, viewer).await.unwrap()[1], used(1));
        assert!(tags_of_datasets(&mut conn, stranger).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn of_more_tags_than_anybody_looks_through_the_most_used_are_offered() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        for n in 0..8 {
            let id = world.workload(&format!("w{n}"), "select 1").await;
            let tags: String = (0..7).map(|m| format!("t{n}{m} ")).collect();
            let filing = wish(&format!("{tags} usual"), "");
            assert!(
                set(&mut conn, world.viewer, Filed::Workload(id), &filing)
                    .await
                    .unwrap()
            );
        }
        let used = tags_of_workloads(&mut conn, world.viewer).await.unwrap();
        let (last, others) = used.split_last().unwrap();
        assert_eq!((last.tag.as_str(), last.n), ("usual", 8));
        assert_eq!(others.len(), 47);
        assert!(others.is_sorted_by_key(|used| &used.tag));
    }

    #[tokio::test]
    async fn the_store_refuses_what_is_no_tag_whoever_writes_it() {
        let world = World::new().await;
        world.workload("w", "select 1").await;
        for wrong in ["{Big}", "{a,a}", "{\"\"}", "{\"a b\"}", "{null}", "{1,2,3,4,5,6,7,8,9}"] {
            let done = sqlx::query("update workloads set tags = $1::text::text[]")
                .bind(wrong)
                .execute(&world.pool)
                .await;
            assert!(done.is_err(), "{wrong}");
        }
        let long = format!("{{{}}}", "x".repeat(33));
        let set = |tags: String| {
            let pool = world.pool.clone();
            async move {
                let done = sqlx::query("update workloads set tags = $1::text::text[]").bind(tags);
                done.execute(&pool).await.is_ok()
            }
        };
        assert!(!set(long).await);
        assert!(set("{größe,順序}".to_owned()).await);
    }
}
