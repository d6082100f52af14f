use proptest::prelude::*;

use super::*;
use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::Gathered;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Slot;
use crate::snapshot::apply::CORRELATION;
use crate::snapshot::apply::HISTOGRAM;
use crate::snapshot::apply::MOST_COMMON_VALUES;
use crate::snapshot::array;
use crate::snapshot::checksum;
use crate::testing::clone::Clone;
use crate::testing::clone::source;

fn slot(number: i16, kind: i16, numbers: Option<String>, values: Option<String>) -> Slot {
    Slot {
        number,
        kind,
        operator: "-".to_owned(),
        collation: "-".to_owned(),
        numbers,
        values,
    }
}

/// A column of `n_rows` rows with these shares of common values, and a histogram of so many bounds.
fn snapshot(n_rows: f64, null_fraction: f64, n_distinct: f64, shares: &[f64], n_bounds: usize) -> Snapshot {
    let shares: Vec<String> = shares.iter().map(ToString::to_string).collect();
    let values: Vec<String> = (0..shares.len()).map(|n| format!("v{n}")).collect();
    let bounds: Vec<String> = (0..n_bounds).map(|n| format!("b{n:03}")).collect();
    let mut slots = Vec::new();
    if !shares.is_empty() {
        let (numbers, values) = (array::join(&shares), array::join(&values));
        slots.push(slot(1, MOST_COMMON_VALUES, Some(numbers), Some(values)));
    }
    if n_bounds > 1 {
        slots.push(slot(2, HISTOGRAM, None, Some(array::join(&bounds))));
    }
    slots.push(slot(3, CORRELATION, Some("{0.5}".to_owned()), None));
    let relation = |name: &str, is_index| RelationNumbers {
        schema: "public".to_owned(),
        relation: name.to_owned(),
        is_index,
        pages: 100,
        tuples: n_rows.to_string(),
        all_visible_pages: 100,
        all_frozen_pages: None,
    };
    Snapshot {
        relations: vec![relation("orders", false), relation("orders_pkey", true)],
        columns: vec![ColumnStatistics {
            schema: "public".to_owned(),
            relation: "orders".to_owned(),
            column_number: 1,
            column: "status".to_owned(),
            inherited: false,
            gathered: Gathered {
                null_fraction: null_fraction.to_string(),
                average_width: 8,
                n_distinct: n_distinct.to_string(),
                slots,
            },
        }],
        extended: Vec::new(),
    }
}

fn wish(seed: u64, kinds: &[Kind], strength: u32) -> Wish {
    Wish {
        seed,
        kinds: kinds.to_vec(),
        strength: f64::from(strength) / 100.0,
    }
}

/// The numbers of a slot.
fn numbers(snapshot: &Snapshot, kind: i16) -> Vec<f64> {
    list(snapshot, kind, |slot| slot.numbers.as_deref())
        .iter()
        .map(|number| number.parse().unwrap())
        .collect()
}

fn values(snapshot: &Snapshot, kind: i16) -> Vec<String> {
    list(snapshot, kind, |slot| slot.values.as_deref())
}

fn list(snapshot: &Snapshot, kind: i16, of: impl Fn(&Slot) -> Option<&str>) -> Vec<String> {
    let slots = &snapshot.columns[0].gathered.slots;
    let text = slots.iter().find(|slot| slot.kind == kind).and_then(of);
    let elements = text.map(|text| array::split(text).unwrap()).unwrap_or_default();
    elements.into_iter().map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn whatever_is_made_wrong_the_server_can_believe(
        seed: u64,
        strength in 1..=100_u32,
        chosen in proptest::sample::subsequence(Kind::ALL.to_vec(), 1..=Kind::ALL.len()),
        n_rows in proptest::sample::select(vec![0.0, 1.0, 50.0, 1e6, 1e12, -1.0]),
        null_fraction in 0.0..=1.0_f64,
        n_distinct in proptest::sample::select(vec![-1.0, -0.2, -1e-9, 0.0, 1.0, 7.0, 1e6]),
        weights in proptest::collection::vec(0.001..1.0_f64, 0..12),
        n_bounds in 0..20_usize,
    ) {
        let whole: f64 = weights.iter().sum::<f64>().max(1.0);
        let shares: Vec<f64> = weights.iter().map(|weight| weight / whole * (1.0 - null_fraction)).collect();
        let shares = if null_fraction < 1.0 { shares } else { Vec::new() };
        let base = snapshot(n_rows, null_fraction, n_distinct, &shares, n_bounds);
        let (wrong, _) = rework::rework(&base, &wish(seed, &chosen, strength));

        let gathered = &wrong.columns[0].gathered;
        prop_assert_eq!(crate::snapshot::apply::validate(gathered), Ok(()));
        let nulls: f64 = gathered.null_fraction.parse().unwrap();
        let is_untouched = gathered.null_fraction == base.columns[0].gathered.null_fraction;
        prop_assert!((0.0..1.0).contains(&nulls) || is_untouched, "{nulls}");
        let after: f64 = gathered.n_distinct.parse().unwrap();
        prop_assert!(after.is_finite() && after >= -1.0 && (after == 0.0) == (n_distinct == 0.0), "{after}");
        let frequencies = numbers(&wrong, MOST_COMMON_VALUES);
        // As exact as the server's own four bytes.
        prop_assert!(frequencies.iter().all(|n| *n > 0.0) && frequencies.iter().sum::<f64>() <= 1.0 - nulls + 1e-6);
        prop_assert!(frequencies.is_sorted_by(|a, b| a >= b) || frequencies == numbers(&base, MOST_COMMON_VALUES));
        prop_assert_eq!(values(&wrong, MOST_COMMON_VALUES).len(), frequencies.len());
        let (bounds, real) = (values(&wrong, HISTOGRAM), values(&base, HISTOGRAM));
        prop_assert!(bounds.is_sorted() && bounds.iter().all(|bound| real.contains(bound)));
        prop_assert!(bounds.is_empty() || bounds.len() == real.len() && bounds.first() < bounds.last());
        let correlation = numbers(&wrong, CORRELATION)[0];
        prop_assert!((-1.0..=1.0).contains(&correlation));
        let rows: f64 = wrong.relations[0].tuples.parse().unwrap();
        let is_untouched = wrong.relations[0].tuples == base.relations[0].tuples;
        prop_assert!(is_untouched || (1.0..=1e12).contains(&rows), "{rows}");
        prop_assert_eq!(&wrong.relations[1], &base.relations[1], "an index follows its table");
        for (wrong, real) in wrong.relations.iter().zip(&base.relations) {
            prop_assert_eq!((wrong.pages, wrong.all_visible_pages), (real.pages, real.all_visible_pages));
        }
        prop_assert_eq!(rework::rework(&base, &wish(seed, &chosen, strength)).0, wrong);
    }
}

#[test]
fn each_kind_makes_wrong_what_it_is_named_for_and_nothing_else() {
    let base = snapshot(1000.0, 0.1, 20.0, &[0.5, 0.2, 0.1], 11);
    let whats = |kind| -> Vec<String> {
        let (wrong, notes) = rework::rework(&base, &wish(3, &[kind], 100));
        assert_ne!(wrong, base, "{kind:?}");
        notes.into_iter().map(|note| note.what).collect()
    };
    for (kind, what) in Kind::ALL.into_iter().zip([
        "distinct values",
        "most common values",
        "most common values",
        "histogram",
        "histogram",
        "share of nulls",
        "correlation",
        "row count",
    ]) {
        assert_eq!(whats(kind), [what], "{kind:?}");
    }
    let (wrong, _) = rework::rework(&base, &wish(3, &[Kind::McvShuffle], 100));
    let mut frequencies = numbers(&wrong, MOST_COMMON_VALUES);
    frequencies.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(
        frequencies,
        [0.5, 0.2, 0.1],
        "the same frequencies belong to other values"
    );
    let (wrong, _) = rework::rework(&base, &wish(3, &[Kind::HistogramDrop], 100));
    assert!(values(&wrong, HISTOGRAM).is_empty());
}

/// Computed apart from this code, from the definitions of SHA-256 and `ChaCha` with 8 rounds.
#[test]
fn a_stored_seed_makes_wrong_what_it_made_wrong() {
    let base = snapshot(1000.0, 0.2, 20.0, &[0.3, 0.2, 0.15, 0.1, 0.05], 11);
    let wrong = |kind| rework::rework(&base, &wish(4, &[kind], 60)).0;
    let shuffled = values(&wrong(Kind::McvShuffle), MOST_COMMON_VALUES);
    assert_eq!(shuffled, ["v1", "v4", "v2", "v3", "v0"]);
    let kept = values(&wrong(Kind::McvDrop), MOST_COMMON_VALUES);
    assert_eq!(kept, ["v0"]);
    let bounds = values(&wrong(Kind::HistogramDistort), HISTOGRAM);
    assert_eq!(bounds, [2, 2, 3, 4, 5, 5, 6, 7, 9, 10, 10].map(|n| format!("b{n:03}")));
}

#[test]
fn a_count_is_off_by_no_more_than_the_strength_says_and_by_that_much_for_some() {
    let base = snapshot(1e6, 0.0, 1e4, &[], 0);
    for (strength, most) in [(50, 10.0_f64), (100, 100.0)] {
        let factors: Vec<f64> = (0..400)
            .map(|seed| {
                let (wrong, _) = rework::rework(&base, &wish(seed, &[Kind::RowCounts, Kind::NDistinct], strength));
                let n_distinct: f64 = wrong.columns[0].gathered.n_distinct.parse().unwrap();
                let rows: f64 = wrong.relations[0].tuples.parse().unwrap();
                assert!(n_distinct / 1e4 <= most * 1.001 && n_distinct / 1e4 >= 0.999 / most);
                rows / 1e6
            })
            .collect();
        assert!(factors.iter().all(|f| *f <= most * 1.001 && *f >= 0.999 / most));
        // On a log scale they are spread evenly: half of them are more than the root of it off.
        let n_far = factors.iter().filter(|f| f.ln().abs() > most.ln() / 2.0).count();
        // Three standard deviations of 400 tosses of a coin are 30.
        assert!((170..=230).contains(&n_far), "{n_far}");
    }
}

#[test]
fn a_share_of_distinct_values_is_off_by_no_more_than_that_when_the_rows_are_wrong_as_well() {
    let base = snapshot(1e6, 0.0, -0.01, &[], 0);
    for seed in 0..200 {
        let (wrong, notes) = rework::rework(&base, &wish(seed, &[Kind::RowCounts, Kind::NDistinct], 50));
        let share: f64 = wrong.columns[0].gathered.n_distinct.parse().unwrap();
        let rows: f64 = wrong.relations[0].tuples.parse().unwrap();
        let believed = -share * rows;
        assert!((999.0..=100_100.0).contains(&believed), "seed {seed}: {believed}");
        // Where the factor is near one there is nothing to note.
        let noted = notes.iter().find(|note| note.what == "distinct values");
        let after = noted.map_or_else(|| "10000".to_owned(), |note| note.change.clone().unwrap().1);
        let after: String = after.chars().filter(char::is_ascii_digit).collect();
        let difference = believed / after.parse::<f64>().unwrap() - 1.0;
        assert!(difference.abs() < 0.01, "seed {seed}: {believed}, noted as {after}");
    }
}

#[test]
fn another_seed_another_column_and_inherited_rows_are_wrong_in_other_ways() {
    let base = snapshot(1e6, 0.0, 1e4, &[], 0);
    let wrong = |change: &dyn Fn(&mut Snapshot), seed| {
        let mut base = base.clone();
        change(&mut base);
        let (wrong, _) = rework::rework(&base, &wish(seed, &[Kind::NDistinct], 100));
        wrong.columns[0].gathered.n_distinct.clone()
    };
    let first = wrong(&|_| {}, 1);
    assert_ne!(first, wrong(&|_| {}, 2));
    assert_ne!(first, wrong(&|base| base.columns[0].column = "other".to_owned(), 1));
    assert_ne!(first, wrong(&|base| base.columns[0].inherited = true, 1));
    // What other columns there are changes nothing.
    let extended = wrong(
        &|base| {
            let mut other = base.columns[0].clone();
            other.column = "zeal".to_owned();
            base.columns.push(other);
        },
        1,
    );
    assert_eq!(first, extended);
}

const ORDERS: &str = "
create domain share as numeric check (value >= 0);
create type part as (a share);
create table orders (id integer primary key, status text, paid part, note text);
insert into orders
select g, case when g % 50 = 0 then 'lost' when g % 3 = 0 then 'open' else 'shipped' end, row(g % 7)::part,
       case when g % 2 = 0 then 'x' || g end
from generate_series(1, 20000) g;
create index on orders (status);
";

#[tokio::test]
async fn the_server_plans_by_statistics_that_are_wrong_as_the_seed_says_and_only_there() {
    let mut clone = Clone::of(ORDERS).await;
    let query = "select * from orders where status = 'lost'";
    let true_to_life = clone.prepare(&source("built_in", &[])).await;
    clone.lot.park(&mut clone.admin, 0).await.unwrap();
    clone.base = Some(workplace::Base {
        snapshot: true_to_life.clone(),
        place: 0,
    });
    let true_plan = clone.plan(query).await;

    let shuffled = |seed| {
        source(
            "perturbed",
            &[("kinds", "mcv_shuffle"), ("strength", "100"), ("seed", seed)],
        )
    };
    let mut plans = std::collections::BTreeSet::new();
    for seed in ["1", "2", "3", "4"] {
        let wrong = clone.prepare(&shuffled(seed)).await;
        plans.insert(clone.plan(query).await);
        assert_eq!(wrong.relations, true_to_life.relations);
        let differ: Vec<&str> = std::iter::zip(&wrong.columns, &true_to_life.columns)
            .filter(|(wrong, real)| wrong != real)
            .map(|(wrong, _)| wrong.column.as_str())
            .collect();
        let noted: Vec<&str> = clone.notes.iter().map(|note| note.about.as_str()).collect();
        for column in &differ {
            assert!(noted.contains(&format!("public.orders.{column}").as_str()), "{noted:?}");
        }
        let again = clone.prepare(&shuffled(seed)).await;
        assert_eq!(checksum(&again), checksum(&wrong), "seed {seed}");
    }
    plans.remove(&true_plan);
    assert!(!plans.is_empty(), "some seed makes what is rare common: {true_plan}");

    // Everything at once, as strongly as can be, and the server plans on.
    let everything = source("perturbed", &[("kinds", &KINDS.join("+")), ("strength", "100")]);
    let wrong = clone.prepare(&everything).await;
    clone.plan(query).await;
    let idx_of = |column: &str| wrong.columns.iter().position(|other| other.column == column).unwrap();
    let paid = idx_of("paid");
    assert_eq!(
        wrong.columns[paid], true_to_life.columns[paid],
        "what must not be written stays as it was"
    );
    let left: Vec<&str> = clone
        .notes
        .iter()
        .filter(|note| note.change.is_none())
        .map(|note| note.about.as_str())
        .collect();
    assert_eq!(left, ["public.orders.paid"]);
    let rows = |snapshot: &Snapshot| {
        let table = snapshot.relations.iter().find(|relation| relation.relation == "orders");
        table.map(|table| (table.pages, table.tuples.clone())).unwrap()
    };
    assert_eq!(rows(&wrong).0, rows(&true_to_life).0);
    assert_ne!(rows(&wrong).1, rows(&true_to_life).1);
    clone.close().await;
}

#[tokio::test]
async fn without_a_built_in_source_one_analyze_is_the_base_of_all_that_are_perturbed() {
    // More rows than a sample of 300 x 100, so that no two ANALYZE are the same.
    let dump =
        "create table big as select g as id, (random() * 1000)::integer as kind from generate_series(1, 60000) g;";
    let mut clone = Clone::of(dump).await;
    let slight = source("perturbed", &[("kinds", "correlation"), ("strength", "1")]);
    let first = clone.prepare(&slight).await;
    let second = clone.prepare(&slight).await;
    assert_eq!(checksum(&first), checksum(&second));
    let first_built_in = clone.prepare(&source("built_in", &[])).await;
    let second_built_in = clone.prepare(&source("built_in", &[])).await;
    assert_ne!(
        checksum(&first_built_in),
        checksum(&second_built_in),
        "the test can fail"
    );
    clone.close().await;
}
