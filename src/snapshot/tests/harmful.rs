//! Files of statistics that would do harm, or plans of nonsense, if they were believed.

use super::imported::SHOP;
use super::imported::said_of;
use super::imported::shop;
use crate::model::experiment::SourceNote;
use crate::testing::clone::Clone;

/// A column, what a file says of it, and what is said to that.
type Harm = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// What may stand in a file, whoever wrote it.
const HARMFUL: [Harm; 24] = [
    (
        "status",
        &[("null_frac", "NaN")],
        "null_frac: \"NaN\" is not a finite number",
    ),
    (
        "status",
        &[("n_distinct", "1e39")],
        "n_distinct: \"1e39\" is not a finite number",
    ),
    ("status", &[("null_frac", "1.5")], "null_frac 1.5 was taken as 1"),
    ("status", &[("n_distinct", "-7")], "n_distinct -7 was taken as -1"),
    ("status", &[("avg_width", "-4")], "avg_width -4 was taken as 0"),
    (
        "status",
        &[VALS, ("most_common_freqs", "{0.1}")],
        "3 values have 1 frequencies",
    ),
    (
        "status",
        &[VALS, ("most_common_freqs", "{Infinity,0,0}")],
        "\"Infinity\" is not a finite number",
    ),
    (
        "status",
        &[VALS, ("most_common_freqs", "{7,-1,0}")],
        "brought back between 0 and 1",
    ),
    (
        "status",
        &[VALS, ("most_common_freqs", "{0.9,0.9,0}")],
        "sum up to 1.800 and were scaled to 1.000",
    ),
    (
        "status",
        &[("most_common_vals", "{a,NULL}"), ("most_common_freqs", "{0,0}")],
        "there is a null in it",
    ),
    ("status", &[("most_common_freqs", "{0.1}")], "come together only"),
    ("status", &[("histogram_bounds", "[0:1]={a,b}")], "it is no plain list"),
    ("status", &[("histogram_bounds", "{{a},{b}}")], "it is no plain list"),
    ("status", &[("histogram_bounds", "{}")], "less than two bounds"),
    (
        "amount",
        &[("histogram_bounds", "{1,x}")],
        "the server does not take its values",
    ),
    (
        "amount",
        &[("most_common_vals", "{x}"), ("most_common_freqs", "{0}")],
        "the server refused it: invalid input",
    ),
    ("status", &[("correlation", "-3")], "-3 was taken as -1"),
    (
        "status",
        &[ELEMS, ("most_common_elem_freqs", "{1,1,1,1,0}")],
        "values of this type have no elements",
    ),
    (
        "tags",
        &[ELEMS, ("most_common_elem_freqs", "{1,1}")],
        "2 elements have 2 frequencies",
    ),
    ("tags", &[("elem_count_histogram", "{9,1,2}")], "no histogram of counts"),
    (
        "status",
        &[("range_bounds_histogram", "{\"[1,2)\",\"[3,4)\"}")],
        "are no ranges",
    ),
    (
        "during",
        &[("range_bounds_histogram", "{\"[2024-01-01,)\",empty}")],
        "an empty range in it",
    ),
    (
        "during",
        &[("range_bounds_histogram", "{\"[2024-01-01,)\",\"(x\"}")],
        "the server refused it",
    ),
    (
        "during",
        &[("range_length_histogram", "{1,NaN}")],
        "no histogram of lengths",
    ),
];

const VALS: (&str, &str) = ("most_common_vals", "{a,b,c}");
const ELEMS: (&str, &str) = ("most_common_elems", "{a,b}");

#[tokio::test]
async fn nothing_in_a_file_can_bring_the_server_down_or_make_plans_fail() {
    let mut clone = Clone::of(SHOP).await;
    let many = |entry: &str| format!("{{{}}}", vec![entry; 10_001].join(","));
    let (values, frequencies) = (many("a"), many("0"));
    let too_many: [(&str, &str); 2] = [("most_common_vals", &values), ("most_common_freqs", &frequencies)];
    let too_many: (&str, &[(&str, &str)], &str) = ("status", &too_many, "more than the 10000");
    for (name, says, said) in HARMFUL.into_iter().chain([too_many]) {
        clone.import(&shop(said_of(name, says))).await;
        let about = format!("public.orders.{name}");
        let notes: Vec<&SourceNote> = clone.remarks().into_iter().filter(|note| note.about == about).collect();
        assert!(notes.iter().any(|note| note.what.contains(said)), "{said}: {notes:?}");
        // The planner reads all of it, and goes on.
        for query in [
            "select * from orders where status = 'open' and status < 'z' and amount > 7 group by id order by status",
            "select * from orders where tags @> '{a}' or tags <@ '{a,b}' or tags && '{c}' or 'a' = any (tags)",
            "select * from orders where during @> date '2024-01-03' or during <@ '[2024-01-01,)' or during && '[2024-02-02,)'",
            "select * from orders o join orders p using (status)",
        ] {
            clone.costs(query).await;
        }
    }
    clone.close().await;
}

#[tokio::test]
async fn text_that_was_sorted_by_another_locale_is_sorted_again_with_its_frequencies() {
    let mut clone = Clone::of(SHOP).await;
    // As under en_US: the sandbox sorts capitals first.
    let sorted = [("histogram_bounds", "{apple,\"Berlin, west\",cherry,Dover,\"e\"}")];
    let mut file = shop(said_of("note", &sorted));
    let elements = [
        ("most_common_elems", "{a,B,c}"),
        ("most_common_elem_freqs", "{0.1,0.2,0.3,0.1,0.3,0}"),
        ("elem_count_histogram", "{1,1,2,1.5}"),
    ];
    file.columns.push(said_of("tags", &elements));
    let found = clone.import(&file).await;
    let text = |text: &str| Some(text.to_owned());
    let slot = |column: &str, kind: i16| {
        let column = found.columns.iter().find(|other| other.column == column).unwrap();
        let slot = column.gathered.slots.iter().find(|slot| slot.kind == kind).unwrap();
        (slot.values.clone(), slot.numbers.clone())
    };
    assert_eq!(slot("note", 2), (text("{\"Berlin, west\",Dover,apple,cherry,e}"), None));
    assert_eq!(slot("tags", 4), (text("{B,a,c}"), text("{0.2,0.1,0.3,0.1,0.3,0}")));
    assert_eq!(
        clone
            .remarks()
            .iter()
            .filter(|note| note.what.contains("sorted again"))
            .count(),
        2
    );
    clone.close().await;
}
