//! Which experiments, instruments, benchmarks, datasets and workloads fit a filter. Only ids come out: rows are wide.
//!
//! Texts are compared letter by letter and not by pattern, so `%` and `_` mean themselves; large and small letters are the
//! same.

use sqlx::PgConnection;

use crate::model::filing::Tags;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::WorkloadId;
use crate::model::instrument::InstrumentKind;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_u64;

/// What a list is narrowed to; none means all. A list passes over what its things do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Each of them.
    pub tags: Tags,
    pub status: Option<JobStatus>,
    /// By name, which outlives the dataset.
    pub dataset: Option<String>,
    /// By name, which outlives the workload.
    pub workload: Option<String>,
    pub kind: Option<InstrumentKind>,
    /// Somewhere in a name, in what came out, or in the memo.
    pub text: Option<String>,
}

/// How a list is ordered. A list that has no such column comes newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    #[default]
    Newest,
    Oldest,
    Name,
    Dataset,
    Workload,
    Status,
}

impl ListOrder {
    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Name => "name",
            Self::Dataset => "dataset",
            Self::Workload => "workload",
            Self::Status => "status",
        }
    }
}

/// A stretch of a list.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub limit: u32,
    pub offset: u32,
}

/// What fits a filter.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Of the stretch, in order.
    pub ids: Vec<T>,
    pub n_matching: u64,
    /// Whether they fit or not.
    pub n_all: u64,
}

struct FoundRow {
    ids: Vec<i64>,
    n_matching: i64,
    n_all: i64,
}

impl FoundRow {
    fn into_found<T>(self, id: fn(i64) -> T) -> Found<T> {
        Found {
            ids: self.ids.into_iter().map(id).collect(),
            n_matching: to_u64(self.n_matching),
            n_all: to_u64(self.n_all),
        }
    }
}

/// The experiments that fit.
pub async fn experiments(
    conn: &mut PgConnection,
    viewer: Viewer,
    filter: &Filter,
    order: ListOrder,
    stretch: Stretch,
) -> Result<Found<ExperimentId>> {
    let row = sqlx::query_as!(
        FoundRow,
        r#"with matching as materialized (
               select e.id, e.dataset_name, e.workload_name, j.status
               from experiments e join jobs j on j.id = e.job_id
               where may_see($1, e) and e.tags @> $2
                 and ($3::job_status is null or j.status = $3)
                 and ($4::text is null or e.dataset_name = $4)
                 and ($5::text is null or e.workload_name = $5)
                 and ($6::text is null or strpos(lower(concat_ws(E'\n', e.dataset_name, e.workload_name, e.headline,
                                                                 j.message, e.memo)), lower($6)) > 0))
           select (select count(*) from matching) as "n_matching!",
                  (select count(*) from experiments where may_see($1, experiments)) as "n_all!",
                  array(select id from matching
                        order by case $7 when 'dataset' then dataset_name when 'workload' then workload_name
                                         when 'status' then status::text end,
                                 case $7 when 'oldest' then id end, id desc
                        limit $8 offset $9) as "ids!""#,
        viewer as Viewer,
        filter.tags.as_slice(),
        filter.status as Option<JobStatus>,
        filter.dataset,
        filter.workload,
        filter.text,
        order.word(),
        i64::from(stretch.limit),
        i64::from(stretch.offset),
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_found(ExperimentId))
}

/// The runs of instruments that fit, newest first.
pub async fn instruments(
    conn: &mut PgConnection,
    viewer: Viewer,
    filter: &Filter,
    stretch: Stretch,
) -> Result<Found<InstrumentId>> {
    let row = sqlx::query_as!(
        FoundRow,
        r#"with matching as materialized (
               select i.id
               from instruments i join jobs j on j.id = i.job_id
               where may_see($1, i) and i.tags @> $2
                 and ($3::job_status is null or j.status = $3)
                 and ($4::text is null or i.dataset_name = $4)
                 and ($5::text is null or i.spec -> 'task' ->> 'kind' = $5)
                 and ($6::text is null or strpos(lower(concat_ws(E'\n', i.dataset_name, i.headline, j.message, i.memo)),
                                                 lower($6)) > 0))
           select (select count(*) from matching) as "n_matching!",
                  (select count(*) from instruments where may_see($1, instruments)) as "n_all!",
                  array(select id from matching order by id desc limit $7 offset $8) as "ids!""#,
        viewer as Viewer,
        filter.tags.as_slice(),
        filter.status as Option<JobStatus>,
        filter.dataset,
        filter.kind.map(InstrumentKind::word),
        filter.text,
        i64::from(stretch.limit),
        i64::from(stretch.offset),
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_found(InstrumentId))
}

/// The benchmarks that fit, newest first.
pub async fn benchmarks(
    conn: &mut PgConnection,
    viewer: Viewer,
    filter: &Filter,
    stretch: Stretch,
) -> Result<Found<BenchmarkId>> {
    let row = sqlx::query_as!(
        FoundRow,
        r#"with matching as materialized (
               select b.id
               from benchmarks b join jobs j on j.id = b.job_id
               where may_see($1, b) and b.tags @> $2
                 and ($3::job_status is null or j.status = $3)
                 and ($4::text is null or b.target_name = $4)
                 and ($5::text is null or strpos(lower(concat_ws(E'\n', b.target_name, b.headline, j.message, b.memo)),
                                                 lower($5)) > 0))
           select (select count(*) from matching) as "n_matching!",
                  (select count(*) from benchmarks where may_see($1, benchmarks)) as "n_all!",
                  array(select id from matching order by id desc limit $6 offset $7) as "ids!""#,
        viewer as Viewer,
        filter.tags.as_slice(),
        filter.status as Option<JobStatus>,
        filter.dataset,
        filter.text,
        i64::from(stretch.limit),
        i64::from(stretch.offset),
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_found(BenchmarkId))
}

/// The datasets that fit.
pub async fn datasets(
    conn: &mut PgConnection,
    viewer: Viewer,
    filter: &Filter,
    order: ListOrder,
    stretch: Stretch,
) -> Result<Found<DatasetId>> {
    let row = sqlx::query_as!(
        FoundRow,
        r#"with matching as materialized (
               select d.id, d.name
               from datasets d join jobs j on j.id = d.job_id
               where may_see($1, d) and d.tags @> $2
                 and ($3::job_status is null or j.status = $3)
                 and ($4::text is null or strpos(lower(concat_ws(E'\n', d.name, d.file_name, j.message, d.memo)),
                                                 lower($4)) > 0))
           select (select count(*) from matching) as "n_matching!",
                  (select count(*) from datasets where may_see($1, datasets)) as "n_all!",
                  array(select id from matching
                        order by case $5 when 'name' then name end, case $5 when 'oldest' then id end, id desc
                        limit $6 offset $7) as "ids!""#,
        viewer as Viewer,
        filter.tags.as_slice(),
        filter.status as Option<JobStatus>,
        filter.text,
        order.word(),
        i64::from(stretch.limit),
        i64::from(stretch.offset),
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_found(DatasetId))
}

/// The workloads that fit.
pub async fn workloads(
    conn: &mut PgConnection,
    viewer: Viewer,
    filter: &Filter,
    order: ListOrder,
    stretch: Stretch,
) -> Result<Found<WorkloadId>> {
    let row = sqlx::query_as!(
        FoundRow,
        r#"with matching as materialized (
               select w.id, w.name from workloads w
               where may_see($1, w) and w.tags @> $2
                 and ($3::text is null or strpos(lower(concat_ws(E'\n', w.name, w.file_name, w.memo)), lower($3)) > 0))
           select (select count(*) from matching) as "n_matching!",
                  (select count(*) from workloads where may_see($1, workloads)) as "n_all!",
                  array(select id from matching
                        order by case $4 when 'name' then name end, case $4 when 'oldest' then id end, id desc
                        limit $5 offset $6) as "ids!""#,
        viewer as Viewer,
        filter.tags.as_slice(),
        filter.text,
        order.word(),
        i64::from(stretch.limit),
        i64::from(stretch.offset),
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_found(WorkloadId))
}

/// The datasets and the workloads that the viewer's experiments ran on, by name.
pub async fn places_of_experiments(conn: &mut PgConnection, viewer: Viewer) -> Result<(Vec<String>, Vec<String>)> {
    let row = sqlx::query!(
        r#"select array(select distinct dataset_name from experiments where may_see($1, experiments) order by 1) as "datasets!",
                  array(select distinct workload_name from experiments where may_see($1, experiments) order by 1) as "workloads!""#,
        viewer as Viewer,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.datasets, row.workloads))
}

/// The datasets that the viewer's instruments ran on, by name.
pub async fn places_of_instruments(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct dataset_name from instruments where may_see($1, instruments) order by 1",
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The datasets and tables that the viewer's benchmarks ran on, by name.
pub async fn places_of_benchmarks(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct target_name from benchmarks where may_see($1, benchmarks) order by 1",
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filing::Filed;
    use crate::model::filing::Filing;
    use crate::model::filing::Memo;
    use crate::store;
    use crate::testing::world::World;

    const ALL: Stretch = Stretch { limit: 99, offset: 0 };

    async fn file(world: &World, filed: Filed, tags: &str, memo: &str) {
        let filing = Filing {
            tags: Tags::parse(tags).unwrap(),
            memo: Memo::parse(memo).unwrap(),
        };
        let mut conn = world.conn().await;
        assert!(
            store::filing::set(&mut conn, world.viewer, filed, &filing)
                .await
                .unwrap()
        );
    }

    fn tagged(tags: &str) -> Filter {
        Filter {
            tags: Tags::parse(tags).unwrap(),
            ..Filter::default()
        }
    }

    fn saying(text: &str) -> Filter {
        Filter {
            text: Some(text.to_owned()),
            ..Filter::default()
        }
    }

    #[tokio::test]
    async fn experiments_are_found_by_everything_that_a_filter_names_together() {
        let world = World::new().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(world.experiment(name, &["none"]).await.0);
        }
        file(&world, Filed::Experiment(ids[0]), "nightly pg15", "100 % of the rows").await;
        file(&world, Filed::Experiment(ids[2]), "nightly", "").await;
        let mut conn = world.conn().await;
        store::experiments::set_headline(&mut conn, ids[1], "q1 is SLOWER with under_score.")
            .await
            .unwrap();
        sqlx::query("update experiments set dataset_name = 'shop' where id = $1")
            .bind(ids[1].0)
            .execute(&world.pool)
            .await
            .unwrap();
        let job_id = store::experiments::get(&mut conn, world.viewer, ids[2])
            .await
            .unwrap()
            .unwrap()
            .job
            .id;
        store::jobs::request_cancel(&mut conn, world.viewer, job_id)
            .await
            .unwrap();
        let of_status = |status| Filter {
            status: Some(status),
            ..Filter::default()
        };
        let on = |dataset: &str, workload: &str| Filter {
            dataset: Some(dataset.to_owned()),
            workload: Some(workload.to_owned()),
            ..Filter::default()
        };
        for (filter, expected) in [
            (Filter::default(), vec![2, 1, 0]),
            (tagged("nightly"), vec![2, 0]),
            (tagged("nightly pg15"), vec![0]),
            (tagged("night"), vec![]),
            (of_status(JobStatus::Queued), vec![1, 0]),
            (of_status(JobStatus::Cancelled), vec![2]),
            (on("shop", "its workload"), vec![1]),
            (on("shop", "another"), vec![]),
            (saying("slower"), vec![1]),
            (saying("ITS DATASET"), vec![2, 0]),
            (saying("100 % of"), vec![0]),
            (saying("%"), vec![0]),
            (saying("_"), vec![1]),
            (saying("under%score"), vec![]),
            (saying("\\"), vec![]),
            (saying("'; drop table experiments; --"), vec![]),
            (
                Filter {
                    status: Some(JobStatus::Queued),
                    ..tagged("nightly")
                },
                vec![0],
            ),
        ] {
            let found = experiments(&mut conn, world.viewer, &filter, ListOrder::Newest, ALL)
                .await
                .unwrap();
            let places: Vec<usize> = found
                .ids
                .iter()
                .map(|id| ids.iter().position(|known| known == id).unwrap())
                .collect();
            assert_eq!(places, expected, "{filter:?}");
            assert_eq!(
                (found.n_matching, found.n_all),
                (expected.len() as u64, 3),
                "{filter:?}"
            );
        }
        assert_eq!(
            places_of_experiments(&mut conn, world.viewer).await.unwrap(),
            (
                vec!["its dataset".to_owned(), "shop".to_owned()],
                vec!["its workload".to_owned()]
            )
        );
        let stranger = world.stranger().await;
        let found = experiments(&mut conn, stranger, &tagged("nightly"), ListOrder::Newest, ALL)
            .await
            .unwrap();
        assert_eq!((found.n_matching, found.n_all), (0, 0), "another person sees none");
    }

    #[tokio::test]
    async fn a_filtered_list_is_ordered_and_cut_into_stretches() {
        let world = World::new().await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(world.experiment(name, &["none"]).await.0);
        }
        sqlx::query("update experiments set dataset_name = 'first' where id = $1")
            .bind(ids[1].0)
            .execute(&world.pool)
            .await
            .unwrap();
        let mut conn = world.conn().await;
        for (order, limit, offset, expected) in [
            (ListOrder::Newest, 2, 0, vec![2, 1]),
            (ListOrder::Newest, 2, 2, vec![0]),
            (ListOrder::Newest, 2, 4, vec![]),
            (ListOrder::Oldest, 9, 0, vec![0, 1, 2]),
            (ListOrder::Dataset, 9, 0, vec![1, 2, 0]),
            (ListOrder::Workload, 9, 0, vec![2, 1, 0]),
        ] {
            let stretch = Stretch { limit, offset };
            let found = experiments(&mut conn, world.viewer, &Filter::default(), order, stretch)
                .await
                .unwrap();
            let expected: Vec<ExperimentId> = expected.into_iter().map(|idx: usize| ids[idx]).collect();
            assert_eq!(found.ids, expected, "{order:?} {limit} {offset}");
            assert_eq!(found.n_matching, 3, "whatever stretch is shown");
        }
    }

    #[tokio::test]
    async fn instruments_datasets_and_workloads_are_found_the_same_way() {
        let world = World::new().await;
        let (shop, _) = world.dataset("shop 50%").await;
        let (bank, _) = world.dataset("bank").await;
        let workload = world.workload("reads", "select 1").await;
        file(&world, Filed::Dataset(shop), "prod", "").await;
        file(&world, Filed::Workload(workload), "prod", "the slow ones").await;
        let mut conn = world.conn().await;
        let (viewer, newest) = (world.viewer, ListOrder::Newest);
        for (filter, order, expected) in [
            (tagged("prod"), newest, vec![shop]),
            (saying("50%"), newest, vec![shop]),
            (saying("5_%"), newest, vec![]),
            (saying("BANK.SQL"), newest, vec![bank]),
            (Filter::default(), newest, vec![bank, shop]),
            (Filter::default(), ListOrder::Oldest, vec![shop, bank]),
            (Filter::default(), ListOrder::Name, vec![bank, shop]),
        ] {
            let found = datasets(&mut conn, viewer, &filter, order, ALL).await.unwrap();
            assert_eq!(found.ids, expected, "{filter:?}");
        }
        for (filter, expected) in [(saying("slow one"), vec![workload]), (tagged("test"), vec![])] {
            let found = workloads(&mut conn, viewer, &filter, newest, ALL).await.unwrap();
            assert_eq!((found.ids, found.n_all), (expected, 1));
        }
        let first = world.instrument("first", None).await;
        let second = world.instrument("second", Some("things")).await;
        file(&world, Filed::Instrument(first), "prod", "").await;
        let of_kind = |kind| Filter {
            kind: Some(kind),
            ..Filter::default()
        };
        for (filter, expected) in [
            (Filter::default(), vec![second, first]),
            (tagged("prod"), vec![first]),
            (of_kind(InstrumentKind::Lottery), vec![second, first]),
            (of_kind(InstrumentKind::Budget), vec![]),
            (saying("thing"), vec![second]),
        ] {
            let found = instruments(&mut conn, viewer, &filter, ALL).await.unwrap();
            assert_eq!(found.ids, expected, "{filter:?}");
        }
        let places = places_of_instruments(&mut conn, viewer).await.unwrap();
        assert_eq!(places, ["its dataset", "things"]);
    }

    #[tokio::test]
    async fn of_many_datasets_and_workloads_the_store_gives_one_stretch() {
        let world = World::new().await;
        let (mut dataset_ids, mut workload_ids) = (Vec::new(), Vec::new());
        for name in ["b", "a", "c"] {
            dataset_ids.push(world.dataset(name).await.0);
            workload_ids.push(world.workload(name, "select 1").await);
        }
        let mut conn = world.conn().await;
        for (order, limit, offset, expected) in [
            (ListOrder::Newest, 2, 0, vec![2, 1]),
            (ListOrder::Newest, 2, 2, vec![0]),
            (ListOrder::Newest, 2, 4, vec![]),
            (ListOrder::Newest, 0, 0, vec![]),
            (ListOrder::Oldest, 2, 1, vec![1, 2]),
            (ListOrder::Name, 1, 1, vec![0]),
        ] {
            let (stretch, all) = (Stretch { limit, offset }, Filter::default());
            let found = datasets(&mut conn, world.viewer, &all, order, stretch).await.unwrap();
            let places: Vec<DatasetId> = expected.iter().map(|idx: &usize| dataset_ids[*idx]).collect();
            assert_eq!((found.ids, found.n_matching), (places, 3), "{order:?} {stretch:?}");
            let found = workloads(&mut conn, world.viewer, &all, order, stretch).await.unwrap();
            let places: Vec<WorkloadId> = expected.iter().map(|idx| workload_ids[*idx]).collect();
            assert_eq!((found.ids, found.n_matching), (places, 3), "{order:?} {stretch:?}");
        }
    }
}
