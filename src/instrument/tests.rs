//! Instruments on a real sandbox, from the form to the stored answer.

use sqlx::Row as _;

use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::job::JobStatus;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::budget::BudgetReport;
use crate::report::instruments::lottery::LotteryReport;
use crate::report::instruments::regret::RegretReport;
use crate::store;
use crate::target::clone;
use crate::testing::bench::Bench;

/// In `kind` half of the rows have the value asked for, and without statistics the planner takes it for a rare one. Of
/// `a` and `b` nearly all have it, but as long as one of them is unknown both together seem rare.
const PLANTED: &str = "
create table things (id integer primary key, kind integer, name text, a integer, b integer, note text);
insert into things select g, (g % 2) * g, 'thing ' || g, (g % 10 = 0)::integer * g, (g % 11 = 0)::integer * g, repeat('x', g % 7)
from generate_series(1, 20000) g;
create index on things (kind);
create index on things (a, b);
create table others (id integer primary key, word text);
insert into others select g, 'word ' || g from generate_series(1, 500) g;
";

const QUERIES: &str = "-- name: one\nselect max(note) from things where kind = 0;\n\
                       -- name: two\nselect max(note) from things where a = 0 and b = 0;\n\
                       -- name: same\nselect count(*) from others;\n\
                       -- name: writing\nupdate others set word = 'x' where id = 1;\n";

async fn experiment(bench: &Bench) -> (DatasetId, ExperimentId) {
    let dataset_id = bench.restored(PLANTED).await;
    let id = bench
        .launch(dataset_id, QUERIES, &["built_in", "none"], |form| {
            form.iterations = "1".to_owned();
        })
        .await;
    bench.finished(id).await;
    (dataset_id, id)
}

fn form(kind: &str, request_id: &str, fields: &[(&str, &str)]) -> InstrumentForm {
    let pairs = [("kind", kind), ("request_id", request_id)];
    let pairs = pairs.iter().chain(fields);
    InstrumentForm::from_pairs(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

async fn launch(bench: &Bench, form: &InstrumentForm) -> Result<InstrumentId, String> {
    match bench.house.instruments.launch(bench.house.viewer, form).await {
        Ok(id) => Ok(id),
        Err(LaunchError::Refused(errors)) => Err(errors[0].message.clone()),
        Err(LaunchError::Fault(error)) => panic!("{error:#}"),
    }
}

async fn finished(bench: &Bench, id: InstrumentId) -> Instrument {
    bench.work().await;
    let instrument = bench
        .house
        .instruments
        .get(bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        instrument.job.status,
        JobStatus::Completed,
        "{:?}",
        instrument.job.message
    );
    instrument
}

async fn bisected(bench: &Bench, id: InstrumentId) -> (BisectFindings, Vec<BisectStep>, Instrument) {
    let instrument = finished(bench, id).await;
    let Some(Findings::Bisect(findings)) = instrument.result.clone() else {
        panic!("{:?}", instrument.result);
    };
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let steps = store::instruments::list_steps(&mut conn, bench.house.viewer, id)
        .await
        .unwrap();
    let steps = steps.into_iter().map(|step| serde_json::from_value(step).unwrap());
    (findings, steps.collect(), instrument)
}

fn names(findings: &BisectFindings) -> Vec<String> {
    let minimal = findings.minimal.iter().flatten();
    minimal.map(|idx| findings.pieces[*idx].to_string()).collect()
}

/// What was found has the other plan, and without any one of it there is another: by the recorded steps.
fn assert_minimal(findings: &BisectFindings, steps: &[BisectStep]) {
    let minimal = findings.minimal.clone().unwrap();
    let plan_of = |taken: &[usize]| {
        steps
            .iter()
            .find(|step| step.taken == taken)
            .unwrap()
            .fingerprint
            .clone()
    };
    assert_ne!(findings.plan_from, findings.plan_to);
    assert_eq!(plan_of(&minimal), findings.plan_to);
    assert_eq!(findings.without.len(), minimal.len());
    for (left_out, without) in minimal.iter().zip(&findings.without) {
        let rest: Vec<usize> = minimal.iter().copied().filter(|item| item != left_out).collect();
        assert_eq!(plan_of(&rest), *without);
        assert_ne!(*without, findings.plan_to);
    }
}

#[tokio::test]
async fn bisect_finds_a_planted_column_and_two_that_are_needed_together() {
    let bench = Bench::open().await;
    let (dataset_id, experiment_id) = experiment(&bench).await;
    let experiment = experiment_id.to_string();
    for (n, (query, from, to, expected)) in [
        ("one", "built_in", "none", vec!["public.things.kind"]),
        ("one", "none", "built_in", vec!["public.things.kind"]),
        ("two", "none", "built_in", vec!["public.things.a", "public.things.b"]),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = [
            ("experiment", &*experiment),
            ("query", query),
            ("from", from),
            ("to", to),
        ];
        let id = launch(&bench, &form("bisect", &format!("bisect {n}"), &fields))
            .await
            .unwrap();
        let (findings, steps, instrument) = bisected(&bench, id).await;
        assert_eq!(names(&findings), expected, "{query} {from} {to}: {steps:#?}");
        assert_minimal(&findings, &steps);
        assert!(findings.pieces.len() >= 8, "{:?}", findings.pieces);
        assert_eq!(findings.left_out, [""; 0]);
        assert!(
            findings
                .said
                .iter()
                .all(|said| said.iter().any(|said| said.name == "distinct values"))
        );
        assert!(instrument.headline.unwrap().contains("public.things."));
        assert_eq!(instrument.n_steps, steps.len() as u64);
        let plans = bench.plans(experiment_id).await;
        assert!(
            plans.iter().any(|plan| plan.fingerprint == findings.plan_to),
            "as the experiment has seen it"
        );
    }
    // Of the clones nothing is left.
    assert_eq!(bench.databases(dataset_id).await, [clone::template_name(dataset_id)]);
    bench.close().await;
}

#[tokio::test]
async fn an_interrupted_bisect_goes_on_behind_its_last_step() {
    let bench = Bench::open().await;
    let (_, experiment_id) = experiment(&bench).await;
    let experiment = experiment_id.to_string();
    let fields = [
        ("experiment", &*experiment),
        ("query", "two"),
        ("from", "none"),
        ("to", "built_in"),
    ];
    let form = form("bisect", "only", &fields);
    let id = launch(&bench, &form).await.unwrap();
    let (findings, steps, instrument) = bisected(&bench, id).await;
    assert!(steps.len() > 4, "{steps:?}");
    // As if pgassay had died between its third step and its fourth.
    for sql in [
        "delete from instrument_steps where step_idx >= 3",
        "update instruments set result = null, headline = null",
        "update jobs set status = 'queued', finished_at = null, n_recorded = 3 where kind = 'instrument'",
    ] {
        sqlx::query(sql).execute(&bench.house.pool).await.unwrap();
    }
    let (findings_again, steps_again, instrument_again) = bisected(&bench, id).await;
    assert_eq!((findings_again, steps_again), (findings, steps));
    assert_eq!(instrument_again.headline, instrument.headline);
    let epochs = sqlx::query("select step_idx, epoch from instrument_steps order by 1");
    let epochs = epochs.fetch_all(&bench.house.pool).await.unwrap();
    let (old, new): (Vec<i64>, Vec<i64>) = {
        let epochs: Vec<i64> = epochs.iter().map(|row| row.get("epoch")).collect();
        (epochs[..3].to_vec(), epochs[3..].to_vec())
    };
    assert!(old.iter().all(|epoch| *epoch < new[0]), "{old:?} {new:?}");
    assert_eq!(
        launch(&bench, &form).await.unwrap(),
        id,
        "the same form sent twice launches once"
    );
    bench.close().await;
}

#[tokio::test]
async fn what_a_bisect_cannot_do_is_refused_in_words() {
    let bench = Bench::open().await;
    let (_, experiment_id) = experiment(&bench).await;
    let experiment = experiment_id.to_string();
    for (fields, said) in [
        (vec![("experiment", "")], "Choose an experiment."),
        (vec![("experiment", "99")], "There is no such experiment."),
        (vec![("experiment", &*experiment), ("query", "seven")], "Choose a query"),
        (
            vec![
                ("experiment", &*experiment),
                ("query", "same"),
                ("from", "0"),
                ("to", "1"),
            ],
            "same has the same plan under built_in and none",
        ),
        (
            vec![
                ("experiment", &*experiment),
                ("query", "writing"),
                ("from", "0"),
                ("to", "1"),
            ],
            "writing writes, and instruments only look at queries that read.",
        ),
    ] {
        let message = launch(&bench, &form("bisect", "r", &fields)).await.unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
    let message = launch(&bench, &form("seismograph", "r", &[])).await.unwrap_err();
    assert_eq!(message, "There is no instrument called \"seismograph\".");
    bench.close().await;
}

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
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = InstrumentData::load(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    drop(conn);
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

    // As if pgassay had died in the middle: what was drawn stays as it was.
    for sql in [
        "delete from instrument_steps where step_idx >= 85",
        "delete from instrument_snapshots where step_idx >= 85",
        "update instruments set result = null, headline = null",
        "update jobs set status = 'queued', finished_at = null, n_recorded = 85 where kind = 'instrument'",
    ] {
        sqlx::query(sql).execute(&bench.house.pool).await.unwrap();
    }
    let again = finished(&bench, id).await;
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data_again = InstrumentData::load(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    drop(conn);
    assert_eq!(data_again.steps[..85], data.steps[..85]);
    assert!(data_again.steps.len() > 90 && again.result.is_some());
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

/// Of 60 kinds each has its own share of the rows, so how many rows a kind has is known only for those that a target has
/// room for: `kind = 40` is one of the rarer ones. `other` is in the table, but in no query; `apart` in no plan.
const SKEWED: &str = "
create table things (id integer, kind integer, other integer);
insert into things select g, k, g % 7 from generate_series(1, 60) k cross join lateral generate_series(1, 4000 / k) g;
create table apart (a integer);
insert into apart select generate_series(1, 500);
";

#[tokio::test]
async fn a_budget_finds_the_smallest_target_of_a_column_and_its_bill() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(SKEWED).await.to_string();
    let queries = "-- name: rare_kind\nselect count(*) from things where kind = 40;\n";
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
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = InstrumentData::load(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    drop(conn);
    let report = BudgetReport::new(&data, &findings).unwrap();
    let targets: Vec<(&str, u32)> = report
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.target))
        .collect();
    // At 100 every kind is a common value, so its rows are known. At 20 the rows of kinds behind the 20th are shared out
    // evenly, and 40 stays near its share; at 2 it is taken for twice as common as it is.
    assert_eq!(
        targets,
        [
            ("public.things.id", 0),
            ("public.things.kind", 20),
            ("public.things.other", 0)
        ]
    );
    let kind = &report.columns[1];
    assert_eq!(kind.moves_at, Some(2));
    assert!(
        kind.moved[0].starts_with("rare_kind: worst estimate "),
        "{:?}",
        kind.moved
    );
    assert_eq!(
        report.script(),
        "ALTER TABLE \"public\".\"things\" ALTER COLUMN \"kind\" SET STATISTICS 20;\n"
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
    for sql in [
        "delete from instrument_steps where step_idx >= 4",
        "update instruments set result = null, headline = null",
        "update jobs set status = 'queued', finished_at = null, n_recorded = 4 where kind = 'instrument'",
    ] {
        sqlx::query(sql).execute(&bench.house.pool).await.unwrap();
    }
    let again = finished(&bench, id).await;
    assert_eq!(again.result, instrument.result);
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data_again = InstrumentData::load(&mut conn, bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    drop(conn);
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

/// Without statistics the planner loops over `big` by its index once for each of very many rows; with them it hashes.
const LOOPING: &str = "
create table big (id integer primary key, filler text);
insert into big select g, repeat('x', 50) from generate_series(1, 30000) g;
create table chosen (id integer, kind integer);
insert into chosen select g, 1 from generate_series(1, 30000) g;
";

#[tokio::test]
async fn a_regret_runs_every_plan_and_finds_the_best() {
    let bench = Bench::open().await;
    let dataset_id = bench.restored(LOOPING).await;
    let queries = "-- name: differing\nselect count(b.filler) from chosen c join big b on b.id = c.id where c.kind = 1;\n\
                   -- name: same\nselect count(*) from big;\n\
                   -- name: writing\nupdate chosen set kind = 2 where id = 1;\n";
    let experiment_id = bench
        .launch(dataset_id, queries, &["built_in", "none"], |form| {
            form.iterations = "1".to_owned()
        })
        .await;
    bench.finished(experiment_id).await;
    let experiment = experiment_id.to_string();
    let fields = [("experiment", &*experiment), ("rounds", "3")];
    let id = launch(&bench, &form("regret", "regret", &fields)).await.unwrap();
    let instrument = finished(&bench, id).await;
    let load = async || {
        let mut conn = bench.house.pool.acquire().await.unwrap();
        InstrumentData::load(&mut conn, bench.house.viewer, id)
            .await
            .unwrap()
            .unwrap()
    };
    let data = load().await;
    let Some(Findings::Regret(findings)) = instrument.result.clone() else {
        panic!("{:?}", instrument.result);
    };
    let report = RegretReport::new(&data, &findings).unwrap();
    assert_eq!(
        (report.writers.as_slice(), report.queries.len()),
        (&["writing".to_owned()][..], 1)
    );
    let query = &report.queries[0];
    assert_eq!(query.label, "differing");
    assert_eq!(
        query.plans.iter().map(|plan| plan.n).collect::<Vec<usize>>(),
        [3, 3],
        "warming up does not count"
    );
    assert!(
        query
            .plans
            .iter()
            .all(|plan| plan.median_ms.is_some() && plan.message.is_empty())
    );
    // Whichever is faster here: the best has no regret, the other the ratio of the medians.
    let best = query.plans.iter().position(|plan| plan.is_best).unwrap();
    let (fast, slow) = (
        query.plans[best].median_ms.unwrap(),
        query.plans[1 - best].median_ms.unwrap(),
    );
    assert!(fast <= slow);
    let regrets: Vec<f64> = query.choices.iter().map(|choice| choice.regret.unwrap()).collect();
    assert!((regrets[best] - 1.0).abs() < 1e-12 && (regrets[1 - best] - slow / fast).abs() < 1e-12);
    assert_eq!((report.sources[best].n_best, report.sources[1 - best].n_best), (1, 0));
    assert_eq!(report.sheet().rows.len(), 2);
    // Two looks; then two plans in each of four rounds.
    assert_eq!(data.steps.len(), 2 + 2 * 4);

    // As if pgassay had died behind its fifth step: nothing runs twice, and nothing is left out.
    for sql in [
        "delete from instrument_steps where step_idx >= 5",
        "update jobs set status = 'queued', finished_at = null, n_recorded = 5 where kind = 'instrument'",
    ] {
        sqlx::query(sql).execute(&bench.house.pool).await.unwrap();
    }
    finished(&bench, id).await;
    let data_again = load().await;
    assert_eq!(data_again.steps[..5], data.steps[..5]);
    let turn = |step: &serde_json::Value| {
        (
            step["round"].clone(),
            step["query_idx"].clone(),
            step["fingerprint"].clone(),
        )
    };
    let turns = |data: &InstrumentData| data.steps.iter().map(turn).collect::<Vec<_>>();
    assert_eq!(turns(&data_again), turns(&data));
    let message = launch(
        &bench,
        &form("regret", "r", &[("experiment", &*experiment), ("rounds", "0")]),
    )
    .await;
    assert!(
        message
            .unwrap_err()
            .starts_with("This takes a whole number from 1 to 1000")
    );
    bench.close().await;
}
