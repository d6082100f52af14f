use crate::model::snapshot::Snapshot;
use crate::snapshot::checksum;
use crate::testing::bench::Bench;
use crate::testing::clone::Clone;
use crate::testing::clone::source;

/// The city decides the country, and a point has no order.
const PEOPLE: &str = "
create table customer (id integer primary key, city_id integer, country_id integer, place point, name text);
insert into customer select g, g % 200, g % 200 / 10, point(g % 10, 1), 'n' || g from generate_series(1, 20000) g;
create index on customer (country_id);
create table line (order_id integer, shop integer, price integer, primary key (order_id, shop));
insert into line select g / 4, g % 4, g % 30 from generate_series(1, 8000) g;
create table orders (order_id integer, shop integer, status text, primary key (order_id, shop));
insert into orders select g / 4, g % 4, 's' || g % 3 from generate_series(1, 8000) g;
";

const QUERIES: &[(&str, &str)] = &[
    (
        "of_a_city",
        "select * from customer where city_id = 7 and country_id = 0",
    ),
    (
        "again",
        "select count(*) from customer where country_id = 1 and city_id = 11 and lower(name) <> 'x'",
    ),
    (
        "near",
        "select id from customer where place ~= point(1, 1) and city_id = 1",
    ),
    (
        "joined",
        "select count(*) from orders o join line l on l.order_id = o.order_id and l.shop = o.shop",
    ),
    (
        "grouped",
        "select city_id, country_id, count(*) from customer group by 1, 2",
    ),
    ("broken", "select nowhere from customer"),
];

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.extended.iter().map(|object| object.name.as_str()).collect()
}

#[tokio::test]
async fn objects_stand_on_what_queries_use_together_and_only_their_source_fills_them() {
    let extended = source("extended", &[]);
    let mut clone = Clone::furnished(Bench::open().await, PEOPLE, &extended, QUERIES).await;
    let reasons: Vec<(String, &str)> = clone
        .furniture
        .objects
        .iter()
        .map(|object| (crate::source::objects::shown(object), object.reason.as_str()))
        .collect();
    let of_customer = "filtered together by of_a_city, again; grouped together by grouped";
    assert_eq!(
        reasons[0],
        ("public.customer (city_id, country_id)".to_owned(), of_customer)
    );
    let rest: Vec<&str> = reasons[1..].iter().map(|(shown, _)| shown.as_str()).collect();
    assert_eq!(
        rest,
        [
            "public.customer (city_id, name)",
            "public.customer (country_id, name)",
            "public.line (order_id, shop)",
            "public.orders (order_id, shop)"
        ]
    );
    let [left_out] = &clone.furniture.notes[..] else {
        panic!("a point has no order: {:?}", clone.furniture.notes);
    };
    assert_eq!(left_out.about, "public.customer (city_id, place)");
    assert!(
        left_out
            .what
            .ends_with("its type point has no default btree operator class"),
        "{left_out:?}"
    );

    let query = "select * from customer where city_id = 7 and country_id = 0";
    let plain = clone.prepare(&source("built_in", &[])).await;
    assert!(plain.extended.is_empty(), "{:?}", names(&plain));
    let few = clone.n_rows_expected(query).await;
    let filled = clone.prepare(&extended).await;
    assert_eq!(names(&filled), ["made_1", "made_2", "made_4", "made_5", "made_6"]);
    assert_eq!(filled.columns, plain.columns, "small tables are read whole");
    assert_eq!(clone.notes.len(), 5);
    // One of 200 cities; taken for independent, one of 200 and one of 20.
    assert_eq!((few, clone.n_rows_expected(query).await), (5, 100));
    let again = clone.prepare(&extended).await;
    assert_eq!(checksum(&filled), checksum(&again));
    assert!(clone.prepare(&source("uniform_target", &[])).await.extended.is_empty());
    clone.close().await;
}

#[tokio::test]
async fn the_better_estimate_changes_a_plan_and_kinds_and_cap_are_kept_to() {
    let extended = source("extended", &[("kinds", "dependencies"), ("cap", "1")]);
    let mut clone = Clone::furnished(Bench::open().await, PEOPLE, &extended, QUERIES).await;
    let joined = "select * from customer c join orders o on o.order_id = c.id where c.city_id = 7 and c.country_id = 0";
    clone.prepare(&source("built_in", &[])).await;
    let before = clone.plan(joined).await;
    let snapshot = clone.prepare(&extended).await;
    assert_ne!(clone.plan(joined).await, before);
    assert_eq!(names(&snapshot), ["made_1"]);
    let object = &snapshot.extended[0];
    assert!(object.dependencies.is_some() && object.n_distinct.is_none() && object.most_common_values.is_none());
    assert_eq!(
        clone.furniture.notes[0].what,
        "5 more pairs are left out: 1 object is allowed"
    );
    clone.close().await;
}

#[tokio::test]
async fn a_workload_that_uses_nothing_together_is_told_so() {
    let queries = [("one", "select * from customer where id = 1")];
    let clone = Clone::furnished(Bench::open().await, PEOPLE, &source("extended", &[]), &queries).await;
    assert!(clone.furniture.objects.is_empty());
    let what = &clone.furniture.notes[0].what;
    assert!(
        what.starts_with("no query uses two columns of a table together"),
        "{what}"
    );
    clone.close().await;
}
