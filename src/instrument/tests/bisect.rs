//! Bisects that look for planted columns.

use sqlx::Row as _;

use crate::instrument::tests::die_behind;
use crate::instrument::tests::finished;
use crate::instrument::tests::form;
use crate::instrument::tests::launch;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
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
    die_behind(&bench, 3).await;
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
