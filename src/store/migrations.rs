//! Whichever version made a store, this one brings it to the same tables as a new one, and keeps what is in them.

use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::PgConnection;
use sqlx::migrate::Migrator;

use crate::store::MIGRATIONS;
use crate::testing;

/// Everything that the catalogs say of the tables: columns in order, constraints, indexes, types, functions, views, triggers.
const SCHEMA: &str = "
select format('column %s.%s %s %s %s %s %s', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
              a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
from pg_attribute a join pg_class c on c.oid = a.attrelid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'S') and a.attnum > 0 and not a.attisdropped
union all
select format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
from pg_constraint where connamespace = 'public'::regnamespace
union all
select format('index %s', indexdef) from pg_indexes where schemaname = 'public'
union all
select format('label %s.%s %s', t.typname, e.enumlabel, row_number() over (partition by t.oid order by e.enumsortorder))
from pg_enum e join pg_type t on t.oid = e.enumtypid
union all
select format('function %s', pg_get_functiondef(oid)) from pg_proc
where pronamespace = 'public'::regnamespace and prokind = 'f'
union all
select format('view %s %s', viewname, definition) from pg_views where schemaname = 'public'
union all
select format('trigger %s', pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
order by 1";

/// An experiment with its dataset, as the fifth migration made tables for them.
const ROWS: &str = "
insert into jobs (owner_id, kind, status, home) values
    (1, 'restore', 'completed', 'a home'), (1, 'experiment', 'completed', 'a home');
insert into datasets (owner_id, request_id, job_id, name, file_name, size_bytes, sha256, format, compression)
    values (1, 'a dataset', 1, 'shop', 'shop.sql', 12, 'ab', 'plain SQL', 'none');
insert into workloads (owner_id, request_id, name, file_name, script, sha256)
    values (1, 'a workload', 'queries', 'queries.sql', 'select 1', 'cd');
insert into workload_queries (workload_id, position, label, line, sql, class) values (1, 0, 'q1', 1, 'select 1', 'reads');
insert into experiments (owner_id, request_id, job_id, dataset_id, workload_id, dataset_name, dataset_sha256, workload_name,
                         workload_sha256, spec, n_trials)
    values (1, 'an experiment', 2, 1, 1, 'shop', 'ab', 'queries', 'cd', '{}', 2);
insert into experiment_queries (experiment_id, query_idx, label, line, sql, class)
    values (1, 0, 'q1', 1, 'select 1', 'reads');
insert into experiment_sources (experiment_id, source_idx, name, label, params) values (1, 0, 'none', 'none', '{}');
insert into segments (experiment_id, segment_no, epoch, first_trial, reason) values (1, 1, 1, 0, 'it began');
insert into plans (experiment_id, source_idx, query_idx, explain) values (1, 0, 0, '[]');
insert into trials (experiment_id, trial_idx, kind, round, source_idx, query_idx, segment_no, epoch, outcome, execution_ms)
    values (1, 0, 'measured', 1, 0, 0, 1, 1, 'finished', 1.5), (1, 1, 'measured', 2, 0, 0, 1, 1, 'finished', 2.5);
insert into summaries (experiment_id, source_idx, query_idx, n, n_finished, n_timed_out, n_failed, mean_ms)
    values (1, 0, 0, 2, 2, 0, 0, 2.0);";

/// The first version in whose tables these rows can stand.
const ROWS_SINCE: i64 = 5;

/// What must be left of the rows, whichever version they come from.
const KEPT: &str = "
select concat_ws(' ', d.name, e.dataset_name, w.name, q.sql, s.reason, p.explain,
                 (select string_agg(execution_ms::text, ',' order by trial_idx) from trials where experiment_id = e.id),
                 d.is_in_depot, r.home, j.status, j.home is null, e.tags = '{}', e.memo = '')
from experiments e join datasets d on d.id = e.dataset_id join workloads w on w.id = e.workload_id
join experiment_queries q on q.experiment_id = e.id join segments s on s.experiment_id = e.id
join plans p on p.experiment_id = e.id join jobs j on j.id = e.job_id join jobs r on r.id = d.job_id";

async fn empty_database(name: &str) -> PgConnection {
    let mut admin = testing::store_options("postgres").connect().await.unwrap();
    // Safe: a constant and a number.
    let sql = AssertSqlSafe(format!("create database {name} template template0"));
    sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    testing::store_options(name).connect().await.unwrap()
}

async fn schema(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(SCHEMA).fetch_all(conn).await.unwrap()
}

#[tokio::test]
async fn every_released_schema_becomes_that_of_today_and_keeps_what_it_holds() {
    let mut fresh = empty_database("migrated_at_once").await;
    MIGRATIONS.run(&mut fresh).await.unwrap();
    let expected = schema(&mut fresh).await;
    assert!(expected.len() > 300, "the catalogs say something: {}", expected.len());
    fresh.close().await.unwrap();

    let all: Vec<_> = MIGRATIONS.iter().cloned().collect();
    for k in 1..all.len() {
        let version = all[k - 1].version;
        let mut conn = empty_database(&format!("migrated_by_{k}")).await;
        Migrator::with_migrations(all[..k].to_vec())
            .run(&mut conn)
            .await
            .unwrap();
        if version >= ROWS_SINCE {
            sqlx::raw_sql(ROWS).execute(&mut conn).await.unwrap();
        }
        MIGRATIONS.run(&mut conn).await.unwrap();
        assert_eq!(schema(&mut conn).await, expected, "from version {version}");
        if version >= ROWS_SINCE {
            let kept: Vec<String> = sqlx::query_scalar(KEPT).fetch_all(&mut conn).await.unwrap();
            let has_home = if version < 19 { "t" } else { "f" };
            let row = format!("shop shop queries select 1 it began [] 1.5,2.5 f a home completed {has_home} t t");
            assert_eq!(kept, [row], "from version {version}");
            let counted = "select concat_ws(' ', n_recorded, (select count(*) from summaries)) from jobs where id = 2";
            let counted: String = sqlx::query_scalar(counted).fetch_one(&mut conn).await.unwrap();
            // Trials were counted anew when that was begun, and summaries of old were to be computed anew.
            let n_recorded = if version < 7 { 2 } else { 0 };
            let n_summaries = u32::from(version >= 8);
            assert_eq!(counted, format!("{n_recorded} {n_summaries}"), "from version {version}");
        }
        conn.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_as_it_is() {
    let mut conn = empty_database("of_tomorrow").await;
    MIGRATIONS.run(&mut conn).await.unwrap();
    let tomorrow = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                    values (9999, 'of tomorrow', true, '', 0)";
    sqlx::raw_sql(tomorrow).execute(&mut conn).await.unwrap();
    let before = schema(&mut conn).await;
    let refused = MIGRATIONS.run(&mut conn).await.unwrap_err().to_string();
    assert!(refused.contains("9999"), "{refused}");
    assert_eq!(schema(&mut conn).await, before);
}
