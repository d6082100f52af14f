//! A budget over a column whose values are known to a target.

use crate::instrument::tests::die_behind;
use crate::instrument::tests::finished;
use crate::instrument::tests::form;
use crate::instrument::tests::launch;
use crate::instrument::tests::stored;
use crate::model::instrument::Findings;
use crate::report::instruments::budget::BudgetReport;
use crate::testing::bench::Bench;

/// Columns have targets of their own, which a budget looks beyond. Of 60 kinds each has its own share of the rows, so how many rows a kind has is known only for those that a target has
/// room for: `kind = 40` is one of the rarer ones. `other` is in the table, but in no query; `apart` in no plan.
const SKEWED: &str = "
create table things (id integer, kind integer, other integer);
insert into things select g, k, g % 7 from generate_series(1, 60) k cross join lateral generate_series(1, 4000 / k) g;
alter table things alter column kind set statistics 1000;
alter table things alter column other set statistics 50;
create table parted (k integer, part integer) partition by list (part);
create table parted_1 partition of parted for values in (1);
insert into parted select g % 50, 1 from generate_series(1, 3000) g;
create table apart (a integer);
insert into apart select generate_series(1, 500);
";

#[tokio::test]
async fn a_budget_finds_the_smallest_target_of_a_column_and_its_bill() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(SKEWED).await.to_string();
    let queries = "-- name: rare_kind\nselect count(*) from things where kind = 40;\n\
                   -- name: of_parts\nselect k, count(*) from parted group by k;\n";
    let workload_id = bench.workload(queries).await.to_string();
    let place = [
        ("dataset", &*dataset_id),
        ("workload", &*workload_id),
        ("timeout", "60s"),
    ];
    let fields = |targets, tolerance| {
        let numbers = [("targets", targets), ("tolerance", tolerance)];
        place.into_iter().chain(numbers).collect::<Vec<(&str, &str)>>()
    };
    let wish = form("budget", "budget", &fields("2, 100,20", "1.5"));
    let id = launch(&bench, &wish).await.unwrap();
    let instrument = finished(&bench, id).await;
    let Some(Findings::Budget(findings)) = instrument.result.clone() else {
        panic!("{:?}", instrument.result);
    };
    let data = stored(&bench, id).await;
    let report = BudgetReport::new(&data, &findings).unwrap();
    let targets: Vec<(&str, u32)> = report
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.target))
        .collect();
    // At 100 every kind is a common value, so its rows are known. At 20 the rows of kinds behind the 20th are shared out
    // evenly, and 40 stays near its share; at 2 it is taken for twice as common as it is. How many groups a partitioned
    // table has is estimated by its own statistics, not by those of its partitions, which alone stand in the plan.
    assert_eq!(
        targets,
        [
            ("public.parted.k", 2),
            ("public.parted.part", 0),
            ("public.parted_1.k", 0),
            ("public.parted_1.part", 0),
            ("public.things.id", 0),
            ("public.things.kind", 20),
            ("public.things.other", 0)
        ]
    );
    let kind = &report.columns[5];
    assert_eq!(kind.moves_at, Some(2));
    assert!(
        kind.moved[0].starts_with("rare_kind: worst estimate "),
        "{:?}",
        kind.moved
    );
    assert_eq!(
        report.script(),
        "ALTER TABLE ONLY \"public\".\"parted\" ALTER COLUMN \"k\" SET STATISTICS 2;\n\
         ALTER TABLE \"public\".\"things\" ALTER COLUMN \"kind\" SET STATISTICS 20;\n"
    );
    assert_eq!(report.n_untouched, 1);
    assert_eq!(report.moved_together.as_deref(), Some(&[][..]));
    let what: Vec<&str> = report.bills.iter().map(|row| row.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "target 2 for all",
            "target 20 for all",
            "target 100 for all",
            "the targets found"
        ]
    );
    let bytes: Vec<u64> = report.bills.iter().map(|row| row.bill.statistics_bytes).collect();
    assert!(
        bytes[0] < bytes[1] && bytes[1] < bytes[2] && bytes[3] < bytes[2],
        "{bytes:?}"
    );
    assert!(
        report
            .bills
            .iter()
            .all(|row| row.bill.analyze_ms > 0.0 && row.bill.planning_ms > 0.0)
    );

    // As if pgassay had died behind its fourth step: what was gathered is written back, not gathered anew.
    die_behind(&bench, 4).await;
    let again = finished(&bench, id).await;
    assert_eq!(again.result, instrument.result);
    let data_again = stored(&bench, id).await;
    assert_eq!(data_again.steps[..4], data.steps[..4]);
    assert_eq!(data_again.steps.len(), data.steps.len());
    for (targets, tolerance, said) in [
        ("100", "2", "It takes at least two targets"),
        ("10,100", "0.5", "The tolerance is a factor from 1 on"),
    ] {
        let message = launch(&bench, &form("budget", "r", &fields(targets, tolerance)))
            .await
            .unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
    bench.close().await;
}
