//! Experiments beside each other.

use super::*;
use crate::model::dataset::Setting;
use crate::model::experiment::ExperimentQuery;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::workload::QueryClass;
use crate::testing::world::World;

const ROUNDS: i32 = 12;

/// The first source of an experiment on its own dump, with these queries: name, text, time in milliseconds, and by what
/// share of it the time grows from round to round.
async fn side(world: &World, name: &str, queries: &[(&str, &str, f64, f64)]) -> Side {
    let (id, _) = world.experiment(name, &["built_in"]).await;
    let mut conn = world.conn().await;
    let mut data = ReportData::load(&mut conn, world.viewer, id).await.unwrap().unwrap();
    data.experiment.dataset_name = format!("dump of {name}");
    data.experiment.dataset_sha256 = name.to_owned();
    data.experiment.workload_sha256 = name.to_owned();
    data.experiment.environment = vec![Setting {
        name: "server".to_owned(),
        value: format!("PostgreSQL of {name}"),
    }];
    data.queries.clear();
    let mut trials = Vec::new();
    for (query_idx, (label, sql, ms, growth)) in (0_i32..).zip(queries) {
        data.queries.push(ExperimentQuery {
            query_idx,
            label: (*label).to_owned(),
            line: 1,
            sql: (*sql).to_owned(),
            class: QueryClass::Reads,
        });
        trials.extend((0..ROUNDS).map(|round| RecordedTrial {
            trial_idx: query_idx * ROUNDS + round,
            kind: TrialKind::Measured,
            round,
            source_idx: 0,
            query_idx,
            segment_no: 1,
            outcome: OutcomeWord::Finished,
            execution_ms: Some(ms * (1.0 + growth * f64::from(round))),
            planning_ms: None,
            cost: None,
            server_ms: None,
            message: None,
        }));
    }
    Side {
        data,
        source_idx: 0,
        trials,
    }
}

#[tokio::test]
async fn of_different_experiments_what_matches_is_compared_and_all_else_is_named() {
    let world = World::new().await;
    let base = [
        ("same", "select 1", 10.0, 0.001),
        ("slow", "select 2", 10.0, 0.001),
        ("wild", "select 3", 10.0, 1.0),
        ("reworded", "select 4", 10.0, 0.001),
        ("gone", "select 5", 10.0, 0.001),
        ("broken", "select 6", 10.0, 0.001),
    ];
    let other = [
        ("broken", "select 6", 10.0, 0.001),
        ("new", "select 7", 10.0, 0.001),
        ("reworded", "select 4 + 0", 10.0, 0.001),
        ("wild", "select 3", 11.0, 1.0),
        ("slow", "select 2", 20.0, 0.001),
        ("same", "select 1", 10.0, 0.001),
    ];
    let mut sides = [side(&world, "old", &base).await, side(&world, "young", &other).await];
    sides[1].data.experiment.spec.timeout_ms += 1_000;
    sides[1].trials[3].outcome = OutcomeWord::Failed;
    let all = Wish {
        shows_all: true,
        ..Wish::default()
    };
    let view = BesideView::new(&sides, &all).unwrap();
    let verdicts: Vec<(&str, &str)> = view.rows.iter().map(|row| (row.query.as_str(), row.word)).collect();
    assert_eq!(
        verdicts,
        [
            ("same", "no detectable difference"),
            ("slow", "slower"),
            ("wild", "too noisy to tell")
        ]
    );
    assert_eq!(view.rows[1].ratio.shown, "2.00×");
    assert_eq!(view.rows[1].n_trials, "12 / 12");
    let left_out: Vec<(&str, &str)> = view
        .left_out
        .iter()
        .map(|left| (left.query.as_str(), left.why))
        .collect();
    assert_eq!(
        left_out,
        [
            ("reworded", "the query of this name has another text there"),
            ("gone", "only the baseline has a query of this name"),
            ("broken", "on one of both sides a trial failed"),
            ("new", "the baseline has no query of this name"),
        ]
    );
    let different: Vec<&str> = view.different.iter().map(|fact| fact.name.as_str()).collect();
    let expected = ["Dataset", "Queries (SHA-256)", "Timeout", "Dump (SHA-256)", "server"];
    assert_eq!(different, expected);
    let page = ComparePage {
        choices: Vec::new(),
        chosen: Vec::new(),
        beside: Some(view),
    };
    let page = page.render().unwrap();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    for named in [
        "different dumps",
        "different workloads",
        "different versions",
        "PostgreSQL of young",
    ] {
        assert!(place(named) < place("Query by query"), "{named} stands on top");
    }
    let few = BesideView::new(&sides, &Wish::default()).unwrap();
    assert_eq!((few.rows.len(), few.rows[0].query.as_str()), (1, "slow"));
    assert_eq!(few.hidden, "2 comparisons that show no difference are hidden");
}

#[test]
fn an_address_names_experiments_with_a_source_and_nonsense_is_left_out() {
    let read = |text: &str| {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(String, String)> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Wish::read(&pairs).to_query()
    };
    assert_eq!(
        read("base=1&run=2.1&run=2.0&show=all"),
        "base=1.0&run=2.1&run=2.0&show=all"
    );
    assert_eq!(
        read("base=1.0&run=1.0&run=x&run=2.-1&run=3.2&run=3.2"),
        "base=1.0&run=3.2"
    );
    let many: Vec<String> = (2..20).map(|id| format!("run={id}")).collect();
    assert_eq!(read(&many.join("&")).matches("run=").count(), MOST_RUNS);
}
