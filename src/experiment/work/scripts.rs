//! Scripts through whole experiments: what they change is there for them and not for their twins, also over a loss.

use super::interrupted::interrupt_after;
use super::tests::assert_all_finished;
use super::tests::assert_complete;
use super::tests::prepared;
use super::tests::segments;
use crate::analysis::family::Member;
use crate::experiment::form::ExperimentForm;
use crate::model::experiment::PlanRecord;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::SourceNote;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::snapshot::Snapshot;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::plan;
use crate::report::data::ReportData;
use crate::target::clone;
use crate::target::session::Admin;
use crate::testing::bench::Bench;

/// Few orders are disputed, every customer has 400, and the city decides the country.
const ORDERS: &str = "
create table customer (id integer primary key, name text);
insert into customer select g, 'customer ' || g from generate_series(1, 50) g;
create table orders (id integer primary key, customer_id integer, status text, city integer, country integer, note text);
insert into orders select g, g % 50 + 1, case when g % 1000 = 0 then 'disputed' else 'done' end, g % 200, g % 200 / 10,
    repeat('x', 100) from generate_series(1, 20000) g;
create index orders_customer on orders (customer_id);
create statistics orders_known (ndistinct) on customer_id, status from orders;
create table log (kind text);
insert into log values ('a'), ('b');
";

const QUERIES: &str = "
-- name: by_status
select count(*) from orders where status = 'disputed';
-- name: joined
select count(*) from orders o join customer c on c.id = o.customer_id;
-- name: of_customer
select sum(id) from orders where customer_id = 7;
-- name: of_city
select * from orders where city = 7 and country = 0;
";

const SCRIPTS: &str = "
-- name: index
create index orders_status on orders (status);
-- name: setting
set enable_hashjoin = off;
reset work_mem;
-- name: dropped
drop index orders_customer;
drop statistics orders_known;
-- name: object
create statistics orders_place (dependencies) on city, country from orders;
alter table orders alter column note set statistics 7;
";

fn with_script(script: &str) -> impl FnOnce(&mut ExperimentForm) + use<> {
    let script = script.to_owned();
    move |form| {
        form.params.insert("custom_sql.script".to_owned(), script);
    }
}

async fn data(bench: &Bench, id: ExperimentId, base_idx: i32) -> ReportData {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = ReportData::load_beside(&mut conn, bench.house.viewer, id, base_idx).await;
    data.unwrap().unwrap()
}

fn told(source: &PreparedSource) -> Vec<String> {
    let line = |note: &SourceNote| {
        let what = note.what.split(" (took").next().unwrap_or_default();
        match &note.change {
            Some((before, after)) => format!("{}: {what}: {before} -> {after}", note.about),
            None => format!("{}: {what}", note.about),
        }
    };
    source.notes.iter().map(line).collect()
}

/// Where things stand in the experiment of [`SCRIPTS`].
const INDEX: i32 = 1;
const SETTING: i32 = 3;
const DROPPED: i32 = 5;
const OBJECT: i32 = 7;

#[tokio::test]
async fn what_a_script_does_is_there_for_it_and_not_for_its_twin() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(ORDERS).await;
    let id = bench
        .launch(dataset_id, QUERIES, &["built_in", "custom_sql"], |form| {
            with_script(SCRIPTS)(form);
            form.iterations = "9".to_owned();
            form.settings = format!("{}\nwork_mem = 8MB", form.settings);
        })
        .await;
    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_complete(&experiment, &trials);
    assert_all_finished(&trials);
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);

    assert_plans(&bench.plans(id).await);
    assert_compared(&bench, id, &trials).await;
    assert!(experiment.headline.unwrap().contains("built_in"));
    let prepared = prepared(&bench, id).await;
    assert_statistics(&bench.snapshots(id).await, &prepared);
    assert_told(&prepared);
    bench.close().await;
}

fn assert_plans(plans: &[PlanRecord]) {
    let plan_of = |source_idx: i32, query_idx: i32| -> &PlanRecord {
        let is_meant = |plan: &&PlanRecord| (plan.source_idx, plan.query_idx) == (source_idx, query_idx);
        plans.iter().find(is_meant).unwrap()
    };
    let text = |source_idx: i32, query_idx: i32| {
        let text = plan::text(&plan::parse(plan_of(source_idx, query_idx).explain.as_deref().unwrap()).unwrap());
        // What a session has set is told as well.
        text.split("Settings:").next().unwrap().to_owned()
    };
    for (script, changed) in [
        (INDEX, &[0][..]),
        (SETTING, &[1]),
        // The join read nothing but that index.
        (DROPPED, &[1, 2]),
        (OBJECT, &[3]),
    ] {
        for query_idx in 0..4 {
            let (own, twins) = (text(script, query_idx), text(script + 1, query_idx));
            assert_eq!(
                twins,
                text(0, query_idx),
                "to the cost, the twin's plan is the baseline's"
            );
            assert_eq!(own != twins, changed.contains(&query_idx), "{script}: {own}\n{twins}");
        }
    }
    assert!(text(INDEX, 0).contains("orders_status"), "{}", text(INDEX, 0));
    assert!(!text(SETTING, 1).contains("Hash") && text(0, 1).contains("Hash Join"));
    assert!(text(DROPPED, 2).contains("Seq Scan") && text(0, 2).contains("orders_customer"));
    let factor = |source_idx: i32| plan_of(source_idx, 3).worst_q_error.unwrap();
    assert!(
        factor(OBJECT) < 1.5 && factor(OBJECT + 1) > 5.0,
        "{} {}",
        factor(OBJECT),
        factor(OBJECT + 1)
    );
}

/// A script is compared with its twin, round by round, and with nothing else.
async fn assert_compared(bench: &Bench, id: ExperimentId, trials: &[RecordedTrial]) {
    let beside_first = data(bench, id, 0).await;
    let compared: Vec<i32> = beside_first.family.iter().map(|member| member.source_idx).collect();
    assert_eq!(compared, [INDEX, SETTING, DROPPED, OBJECT].repeat(4));
    let member: &Member = beside_first.compared(0, INDEX).unwrap();
    let log_time = |source_idx: i32, round: i32| {
        let is_meant = |trial: &&RecordedTrial| {
            (trial.source_idx, trial.query_idx, trial.round, trial.kind) == (source_idx, 0, round, TrialKind::Measured)
        };
        trials.iter().find(is_meant).unwrap().execution_ms.unwrap().ln()
    };
    let mean = (1..=9)
        .map(|round| log_time(INDEX, round) - log_time(INDEX + 1, round))
        .sum::<f64>()
        / 9.0;
    assert!(
        (member.effect.ratio.ln() - mean).abs() < 1e-9 && member.effect.ratio < 0.5,
        "{member:?}"
    );
    assert_eq!(beside_first.overall.len(), 4);
    let beside_twin = data(bench, id, INDEX + 1).await;
    assert!(beside_twin.family.iter().all(|member| member.source_idx == INDEX));
    assert_eq!(beside_twin.family.len(), 4);
}

/// The statistics are the baseline's, but where the script asks for others.
fn assert_statistics(snapshots: &[Snapshot], prepared: &[PreparedSource]) {
    for script in [1_usize, 3, 5, 7] {
        assert_eq!(snapshots[script + 1], snapshots[0]);
        assert_eq!(prepared[script + 1].snapshot_sha256, prepared[0].snapshot_sha256);
    }
    assert_eq!(snapshots[1].columns, snapshots[0].columns);
    assert_eq!(snapshots[1].relations.len(), snapshots[0].relations.len() + 1);
    assert_eq!(snapshots[5].relations.len(), snapshots[0].relations.len() - 1);
    let objects = |idx: usize| -> Vec<&str> {
        snapshots[idx]
            .extended
            .iter()
            .map(|object| object.name.as_str())
            .collect()
    };
    assert_eq!((objects(0), objects(5)), (vec!["orders_known"], vec![]));
    assert_eq!(objects(7), ["orders_known", "orders_place"]);
}

fn assert_told(prepared: &[PreparedSource]) {
    let index = told(&prepared[1]);
    assert_eq!(index[0], "line 2: create index orders_status on orders (status)");
    assert!(
        index[1].starts_with("public.orders_status: index on public.orders, "),
        "{index:?}"
    );
    assert_eq!(
        told(&prepared[3]),
        [
            "line 2: set enable_hashjoin = off",
            "line 3: reset work_mem",
            "enable_hashjoin: setting: on -> off",
            "work_mem: setting: 8MB -> 4MB",
        ]
    );
    assert_eq!(
        told(&prepared[5]),
        [
            "public.orders_customer: index on public.orders, dropped",
            "line 2: drop index orders_customer",
            "public.orders_known: statistics object on public.orders, dropped",
            "line 3: drop statistics orders_known",
        ]
    );
    assert_eq!(
        told(&prepared[7]),
        [
            "line 2: create statistics orders_place (dependencies) on city, country from orders",
            "public.orders_place: statistics object on public.orders",
            "line 3: alter table orders alter column note set statistics 7",
            "public.orders.note: what ANALYZE gathers: as usual -> target 7",
            "behind the script: analyze public.orders: something else is gathered of it now",
        ]
    );
}

#[tokio::test]
async fn what_is_out_of_sight_is_not_there_for_writers_either() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(ORDERS).await;
    let queries = "-- name: again\ninsert into log values ('a');\n-- name: all\nselect count(*) from log;\n";
    let id = bench
        .launch(
            dataset_id,
            queries,
            &["none", "custom_sql"],
            with_script("create unique index once on log (kind);"),
        )
        .await;
    bench.finished(id).await;
    let failed: Vec<(i32, i32, String)> = bench
        .summaries(id)
        .await
        .into_iter()
        .filter(|summary| summary.n_failed > 0)
        .map(|summary| (summary.source_idx, summary.query_idx, summary.message.unwrap()))
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].0, failed[0].1), (1, 0));
    assert!(failed[0].2.contains("once"), "{failed:?}");
    bench.close().await;
}

#[tokio::test]
async fn a_script_goes_on_where_it_was_and_also_where_its_clone_is_lost() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(ORDERS).await;
    let id = bench
        .launch(dataset_id, QUERIES, &["extended", "custom_sql"], |form| {
            with_script(SCRIPTS)(form);
            form.iterations = "40".to_owned();
        })
        .await;
    Box::pin(interrupt_after(&bench, id, 8)).await;
    let before = prepared(&bench, id).await;
    Box::pin(interrupt_after(&bench, id, 60)).await;
    let sandbox = bench.sandbox(dataset_id).await;
    let mut server = Admin::connect(&sandbox.address, "postgres").await.unwrap();
    clone::drop(&mut server, &clone::annex_name(id, 3)).await.unwrap();
    server.close().await;
    sandbox.stop().await.unwrap();

    let experiment = bench.finished(id).await;
    let trials = bench.trials(id).await;
    assert_complete(&experiment, &trials);
    assert_all_finished(&trials);
    let reasons: Vec<String> = segments(&bench, id)
        .await
        .into_iter()
        .map(|segment| segment.reason)
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(
        !reasons[1].contains("new clone") && reasons[2].ends_with("in a new clone"),
        "{reasons:?}"
    );
    let after = prepared(&bench, id).await;
    let seen = |sources: &[PreparedSource]| -> Vec<_> {
        sources
            .iter()
            .map(|source| (source.snapshot_sha256.clone(), source.alteration.clone()))
            .collect()
    };
    assert_eq!(seen(&before), seen(&after));
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);
    bench.close().await;
}

#[tokio::test]
async fn a_statement_that_fails_ends_the_experiment_with_its_line_and_the_servers_words() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(ORDERS).await;
    for (script, said) in [
        (
            "set work_mem = '8MB';\n\ncreate index on nowhere (id);",
            "Line 3 of its script, create index on nowhere (id): the server says: relation \"nowhere\" does not exist.",
        ),
        (
            "drop index orders_pkey;",
            "Line 1 of its script, drop index orders_pkey: the server says: cannot drop index orders_pkey because constraint \
             orders_pkey on table orders requires it",
        ),
        (
            "drop index orders_customer;\ncreate index orders_customer on orders (customer_id, id);",
            "Line 2 of its script, create index orders_customer on orders (customer_id, id): the server says: relation \
             \"orders_customer\" already exists. What a script drops stays there out of sight, so its name is taken.",
        ),
    ] {
        let id = bench
            .launch(dataset_id, QUERIES, &["built_in", "custom_sql"], with_script(script))
            .await;
        bench.work().await;
        let experiment = bench.experiment(id).await;
        assert_eq!(experiment.job.status, JobStatus::Failed);
        let message = experiment.job.message.unwrap();
        assert!(
            message.starts_with("The source custom_sql could not be prepared. "),
            "{message}"
        );
        assert!(message.contains(said), "{message}");
    }
    bench.close().await;
}
