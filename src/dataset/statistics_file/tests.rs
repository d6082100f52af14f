//! Statistics files on a real store and real sandboxes.

use super::*;
use crate::model::job::JobStatus;
use crate::model::statistics_file::FileFormat;
use crate::testing::bench::Bench;

const DUMP: &str = "
create table orders (id integer primary key, status text);
insert into orders select g, 'open' from generate_series(1, 20000) g;
create index on orders (lower(status));
";

/// As `pg_dump --statistics` of 18 puts it behind the data; of a server with five times the pages.
const CALLS: &str = "
SELECT * FROM pg_catalog.pg_restore_relation_stats(
	'version', '180004'::integer,
	'schemaname', 'public',
	'relname', 'orders',
	'relpages', '500'::integer,
	'reltuples', '100000'::real,
	'relallvisible', '500'::integer,
	'relallfrozen', '0'::integer
);
SELECT * FROM pg_catalog.pg_restore_attribute_stats(
	'version', '180004'::integer,
	'schemaname', 'public',
	'relname', 'orders',
	'attname', 'status',
	'inherited', 'f'::boolean,
	'null_frac', '0'::real,
	'avg_width', '5'::integer,
	'n_distinct', '2'::real,
	'most_common_vals', '{lost,open}'::text,
	'most_common_freqs', '{0.9999,0.0001}'::real[]
);
";

fn arrived(request_id: &str, file_name: &str, bytes: &[u8]) -> Arrived {
    Arrived {
        request_id: request_id.to_owned(),
        file_name: file_name.to_owned(),
        bytes: bytes.to_vec(),
    }
}

impl Bench {
    async fn add_statistics(&self, id: DatasetId, arrived: Arrived) -> Result<StatisticsFileId, StatisticsFileError> {
        self.house.datasets.add_statistics(self.house.viewer, id, arrived).await
    }

    async fn shown(&self, id: StatisticsFileId) -> Shown {
        let shown = self.house.datasets.statistics_file(self.house.viewer, id).await;
        shown.unwrap().unwrap()
    }

    async fn statistics_files(&self, id: DatasetId) -> Vec<StatisticsFileInfo> {
        let mut conn = self.house.pool.acquire().await.unwrap();
        store::statistics_files::list(&mut conn, self.house.viewer, id)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_file_is_kept_under_its_name_and_compared_with_what_the_restore_found() {
    let bench = Bench::open().await;
    let id = bench.upload(DUMP.as_bytes()).await;
    let early = bench
        .add_statistics(id, arrived("a", "../prod, new.sql", CALLS.as_bytes()))
        .await
        .unwrap();
    let shown = bench.shown(early).await;
    assert_eq!(
        (shown.file.name.as_str(), shown.file.format),
        ("prod_ new.sql", FileFormat::PgDump)
    );
    assert_eq!(shown.comparison, None, "nobody knows yet what the dataset will hold");
    bench.work().await;

    let comparison = bench.shown(early).await.comparison.unwrap();
    assert_eq!(comparison.n_matching, 1);
    assert_eq!(comparison.without_statistics, ["public.orders.id"]);
    assert_eq!(comparison.unknown_relations, Vec::<String>::new());
    assert_eq!(comparison.sizes.len(), 1, "{:?}", comparison.sizes);
    // 20,000 rows of 40 bytes with a pointer of 4, of which 185 fill a page.
    assert_eq!(comparison.sizes[0].real_pages, 109);

    let again = bench
        .add_statistics(id, arrived("a", "prod.sql", CALLS.as_bytes()))
        .await
        .unwrap();
    assert_eq!(again, early, "the same form sent twice");
    let second = bench
        .add_statistics(id, arrived("b", "prod, new.sql", CALLS.as_bytes()))
        .await
        .unwrap();
    assert_eq!(bench.shown(second).await.file.name, "prod_ new.sql (2)");
    let refused = bench.add_statistics(id, arrived("c", "x", b"{}")).await.unwrap_err();
    assert!(matches!(refused, StatisticsFileError::Bad(_)), "{refused:?}");
    let refused = bench
        .add_statistics(DatasetId(99), arrived("d", "x", CALLS.as_bytes()))
        .await;
    assert!(matches!(refused.unwrap_err(), StatisticsFileError::NoDataset));
    assert_eq!(bench.statistics_files(id).await.len(), 2);
    bench.close().await;
}

#[tokio::test]
async fn statistics_in_a_dump_are_a_file_of_its_dataset_and_change_its_plans_when_they_are_imported() {
    let bench = Bench::open().await;
    let id = bench.restored(&format!("{DUMP}{CALLS}")).await;
    let files = bench.statistics_files(id).await;
    let file = files.first().unwrap();
    assert_eq!(
        (files.len(), file.name.as_str(), file.format),
        (1, "in the dump", FileFormat::InDump)
    );
    assert_eq!(
        (file.n_relations, file.n_columns, file.server_version_num),
        (1, 1, Some(180_004))
    );

    let query = "select * from orders where status = 'open'";
    let sources = ["built_in", "imported:file=in the dump"];
    let experiment = bench.launch(id, query, &sources, |_| {}).await;
    // While it waits, the file stays.
    let deleted = bench
        .house
        .datasets
        .delete_statistics(bench.house.viewer, file.id)
        .await
        .unwrap();
    assert_eq!(deleted, Deleted::InUse);
    bench.finished(experiment).await;
    let plans = bench.plans(experiment).await;
    let rows: Vec<bool> = plans
        .iter()
        .map(|plan| plan.explain.as_ref().unwrap().contains("\"Plan Rows\": 20000"))
        .collect();
    assert_eq!(rows, [true, false], "all are open here, and hardly any there");

    let deleted = bench
        .house
        .datasets
        .delete_statistics(bench.house.viewer, file.id)
        .await
        .unwrap();
    assert_eq!(deleted, Deleted::Done);
    assert_eq!(bench.plans(experiment).await.len(), 2, "what it led to stays");
    let rerun = bench
        .house
        .experiments
        .rerun(bench.house.viewer, experiment, "again")
        .await;
    assert!(format!("{:?}", rerun.unwrap_err()).contains("no statistics file called in the dump"));
    bench.close().await;
}

#[tokio::test]
async fn statistics_in_a_dump_that_cannot_be_read_are_said_to_be_gone_and_cost_no_data() {
    let bench = Bench::open().await;
    let calls = CALLS.replace("'{lost,open}'", "pg_sleep(9)");
    let dataset = bench.restore(format!("{DUMP}{calls}").as_bytes()).await;
    assert_eq!((dataset.job.status, dataset.n_rows), (JobStatus::Completed, 20_000));
    assert_eq!(bench.statistics_files(dataset.id).await.len(), 0);
    let notes = bench.notes(dataset.id).await;
    let said = notes
        .iter()
        .find(|note| note.reason.starts_with("the statistics in the dump are not kept"));
    assert!(
        said.unwrap().reason.contains("is not written as pg_dump writes it"),
        "{notes:?}"
    );
    bench.close().await;
}
