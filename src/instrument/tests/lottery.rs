//! Lotteries over a planted rare value.

use crate::dataset::service::Deleted;
use crate::instrument::tests::die_behind;
use crate::instrument::tests::finished;
use crate::instrument::tests::form;
use crate::instrument::tests::launch;
use crate::instrument::tests::stored;
use crate::model::instrument::Findings;
use crate::model::job::JobStatus;
use crate::report::instruments::lottery::LotteryReport;
use crate::testing::bench::Bench;

/// Two of 200,000 rows have a value in `rare`. A sample that misses both takes the column for empty; then the planner
/// expects one row of `things` and loops over `others`, which it otherwise hashes.
const RARE: &str = "
create table things (id integer, rare integer);
insert into things select g, case when g in (77777, 155555) then 1 end from generate_series(1, 200000) g;
create table others (id integer, word text);
insert into others select g, 'word ' || g from generate_series(1, 3000) g;
";

const RARE_QUERIES: &str = "-- name: flipping\nselect count(*) from things t join others o on o.id = t.id where t.rare is not null;\n\
                            -- name: steady\nselect count(*) from others;\n\
                            -- name: writing\nupdate others set word = 'x' where id = 1;\n";

/// The probability of `n_hits` hits in `n_tries`, or of something as far from what is expected, on one side.
fn binomial_tail(n_hits: u32, n_tries: u32, p: f64) -> f64 {
    let ln_choose = |n: u32, k: u32| {
        (1..=k)
            .map(|i| f64::from(n - k + i).ln() - f64::from(i).ln())
            .sum::<f64>()
    };
    let exactly =
        |k: u32| (ln_choose(n_tries, k) + f64::from(k) * p.ln() + f64::from(n_tries - k) * (1.0 - p).ln()).exp();
    let below: f64 = (0..=n_hits).map(exactly).sum();
    let above: f64 = (n_hits..=n_tries).map(exactly).sum();
    below.min(above)
}

#[tokio::test]
async fn a_lottery_flips_as_often_as_the_hypergeometric_distribution_says_and_names_the_column() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(RARE).await.to_string();
    let workload_id = bench.workload(RARE_QUERIES).await.to_string();
    let fields = [
        ("dataset", &*dataset_id),
        ("workload", &*workload_id),
        ("timeout", "60s"),
        ("targets", "300, 10,100"),
        ("draws", "30"),
    ];
    let id = launch(&bench, &form("lottery", "lottery", &fields)).await.unwrap();
    let instrument = finished(&bench, id).await;
    let data = stored(&bench, id).await;
    let Some(Findings::Lottery(findings)) = &instrument.result else {
        panic!("{:?}", instrument.result);
    };
    let report = LotteryReport::new(&data, findings).unwrap();
    assert_eq!(
        (report.targets.as_slice(), report.left_out.as_slice()),
        (&[10, 100, 300][..], &["writing".to_owned()][..])
    );

    // By SciPy: hypergeom.pmf(0, 200000, 2, n) for n in 3000, 30000, 90000.
    let expected = [
        0.970_224_926_168_853_4,
        0.722_499_362_491_191_2,
        0.302_498_762_494_765_8,
    ];
    assert_eq!(report.rare.len(), 3);
    for (row, expected) in report.rare.iter().zip(expected) {
        assert_eq!(
            (row.name.as_str(), row.n_rows, row.n_values),
            ("public.things.rare", 200_000, 2)
        );
        assert_eq!(row.n_sampled, u64::from(row.target) * 300);
        assert!((row.exact - expected).abs() < 1e-9, "{} {expected}", row.exact);
        assert!(row.limit >= row.exact && row.limit - row.exact < 0.11);
        assert_eq!(row.n_draws, 30);
        // ANALYZE cannot be given a seed. A true draw fails one of three of these in one of 200,000 runs.
        let tail = binomial_tail(row.n_seen, row.n_draws, row.exact);
        assert!(
            tail > 1e-6,
            "{} of {} where {} is expected",
            row.n_seen,
            row.n_draws,
            row.exact
        );
    }

    let flipping = &report.queries[0];
    assert_eq!(flipping.label, "flipping");
    for (idx, row) in report.rare.iter().enumerate() {
        let tally = &flipping.tallies[idx];
        // The plan follows from whether the sample held a value: the flips are those draws, or all others.
        let flips = row.n_seen.min(row.n_draws - row.n_seen);
        assert_eq!((tally.n_flips, tally.n_draws), (flips, 30), "at target {}", row.target);
        assert!(tally.low <= tally.flips && tally.flips <= tally.high);
    }
    assert_eq!(flipping.plans.len(), 2);
    assert!(
        flipping
            .plans
            .iter()
            .all(|plan| plan.execution_ms.is_some() && plan.text.contains("things"))
    );
    assert_eq!(flipping.deciding_in_words(), "public.things.rare");
    let steady = &report.queries[1];
    assert_eq!((steady.plans.len(), steady.most_flips() > 0.0), (1, false));
    assert!(instrument.headline.unwrap().contains("flipping flips most"));
    bench.close().await;
}

#[tokio::test]
async fn an_interrupted_lottery_keeps_what_was_drawn_and_wrong_numbers_are_refused() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(RARE).await.to_string();
    let workload_id = bench.workload(RARE_QUERIES).await.to_string();
    let place = [
        ("dataset", &*dataset_id),
        ("workload", &*workload_id),
        ("timeout", "60s"),
    ];
    let numbers = [("targets", "1,10"), ("draws", "4")];
    let fields: Vec<(&str, &str)> = place.into_iter().chain(numbers).collect();
    let id = launch(&bench, &form("lottery", "lottery", &fields)).await.unwrap();
    finished(&bench, id).await;
    let data = stored(&bench, id).await;
    die_behind(&bench, 5).await;
    let again = finished(&bench, id).await;
    let data_again = stored(&bench, id).await;
    assert_eq!(data_again.steps[..5], data.steps[..5]);
    assert!(data_again.steps.len() >= 8 && again.result.is_some());
    for (fields, said) in [
        (
            vec![("targets", "0"), ("draws", "5")],
            "Targets are whole numbers from 1 to 10000",
        ),
        (
            vec![("targets", "10"), ("draws", "1")],
            "This takes a whole number from 2 to 5000",
        ),
        (vec![("targets", "10,20"), ("draws", "5000")], "These are 10000 draws"),
    ] {
        let place = [
            ("dataset", &*dataset_id),
            ("workload", &*workload_id),
            ("timeout", "60s"),
        ];
        let fields: Vec<(&str, &str)> = place.into_iter().chain(fields).collect();
        let message = launch(&bench, &form("lottery", "r", &fields)).await.unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
    bench.close().await;
}

#[tokio::test]
async fn a_dataset_that_a_run_needs_is_not_deleted() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(RARE).await;
    let workload_id = bench.workload(RARE_QUERIES).await.to_string();
    let fields = [
        ("dataset", &*dataset_id.to_string()),
        ("workload", &*workload_id),
        ("timeout", "60s"),
        ("targets", "10"),
        ("draws", "2"),
    ];
    let id = launch(&bench, &form("lottery", "lottery", &fields)).await.unwrap();
    let (house, viewer) = (&bench.house, bench.house.viewer);
    assert_eq!(house.datasets.delete(viewer, dataset_id).await.unwrap(), Deleted::InUse);
    finished(&bench, id).await;
    assert_eq!(house.datasets.delete(viewer, dataset_id).await.unwrap(), Deleted::Done);
    bench.close().await;
}

#[tokio::test]
async fn a_lottery_that_is_asked_to_stop_tells_the_odds_of_the_draws_so_far() {
    let bench = Bench::open().await;
    let dataset_id = bench
        .restored("create table t as select g as a from generate_series(1, 400) g;")
        .await;
    let workload_id = bench
        .workload("-- name: steady\nselect count(*) from t where a < 5;\n")
        .await;
    let fields = [
        ("dataset", &*dataset_id.to_string()),
        ("workload", &*workload_id.to_string()),
        ("timeout", "60s"),
        ("targets", "10"),
        ("draws", "5000"),
    ];
    let id = launch(&bench, &form("lottery", "lottery", &fields)).await.unwrap();
    let (instruments, viewer) = (&bench.house.instruments, bench.house.viewer);
    tokio::join!(Box::pin(bench.work()), async {
        while instruments.get(viewer, id).await.unwrap().unwrap().n_steps < 3 {
            tokio::task::yield_now().await;
        }
        assert!(instruments.stop(viewer, id).await.unwrap());
    });
    let data = stored(&bench, id).await;
    let n_drawn = data.steps.len();
    assert_eq!(data.instrument.job.status, JobStatus::Cancelled);
    assert!((3..5000).contains(&n_drawn));
    let said = data.instrument.headline.clone().unwrap();
    let part =
        format!("A part, stopped after {n_drawn} of 5000 draws. At no target did a query get more than one plan.");
    assert!(said.starts_with(&part), "{said}");
    let Some(Findings::Lottery(findings)) = &data.instrument.result else {
        panic!("{:?}", data.instrument.result);
    };
    let report = LotteryReport::new(&data, findings).unwrap();
    assert_eq!(report.n_drawn, [n_drawn]);
    assert_eq!(usize::try_from(report.queries[0].tallies[0].n_draws), Ok(n_drawn));
    bench.close().await;
}
