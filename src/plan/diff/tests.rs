use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::plan::fingerprint;
use crate::plan::parse;
use crate::plan::samples;
use crate::plan::samples::inner;
use crate::plan::samples::node;
use crate::plan::samples::outer;
use crate::plan::samples::plan;
use crate::plan::samples::with;

fn scan(relation: &str) -> Value {
    with(
        node("Seq Scan", 9.0, 9.0, &[]),
        &json!({ "Relation Name": relation, "Alias": relation }),
    )
}

fn by_index(relation: &str) -> Value {
    with(
        scan(relation),
        &json!({ "Node Type": "Index Scan", "Index Name": format!("{relation}_pkey"), "Scan Direction": "Forward" }),
    )
}

fn hash_join(left: Value, right: Value) -> Value {
    let hash = node("Hash", 9.0, 9.0, &[outer(right)]);
    with(
        node("Hash Join", 9.0, 9.0, &[outer(left), inner(hash)]),
        &json!({ "Join Type": "Inner" }),
    )
}

fn nested_loop(left: Value, right: Value) -> Value {
    with(
        node("Nested Loop", 9.0, 9.0, &[outer(left), inner(right)]),
        &json!({ "Join Type": "Inner" }),
    )
}

/// What is said of a query whose plan is the one or the other.
fn said(from: &Value, to: &Value) -> Vec<String> {
    let findings = diff(&plan(from), &plan(to)).findings;
    findings.iter().map(|finding| finding.words("x", "y")).collect()
}

/// Each row as the node types of both plans with a mark: `=` same, `!` changed, `>` moved.
fn rows(from: &Value, to: &Value) -> Vec<String> {
    let (from, to) = (plan(from), plan(to));
    let types = |plan: &Plan| -> Vec<String> {
        crate::plan::rows(plan)
            .into_iter()
            .map(|row| row.title.replace(" on ", " "))
            .collect()
    };
    let (from_types, to_types) = (types(&from), types(&to));
    let name = |types: &[String], idx: Option<usize>| idx.map_or("-".to_owned(), |idx| types[idx].clone());
    let row = |aligned: &Aligned| {
        let mark = match (aligned.is_changed, aligned.is_moved) {
            _ if aligned.is_same() => "=",
            (true, true) => "!>",
            (true, false) => "!",
            (false, true) => ">",
            (false, false) => "",
        };
        format!(
            "{} | {} {mark}",
            name(&from_types, aligned.from),
            name(&to_types, aligned.to)
        )
    };
    diff(&from, &to).aligned.iter().map(row).collect()
}

#[test]
fn a_relation_that_is_read_in_another_way_is_named_with_both_ways() {
    assert_eq!(
        said(&by_index("orders"), &scan("orders")),
        ["reads orders by index orders_pkey under x, by sequential scan under y"]
    );
    let collecting = |index: &str| {
        with(
            node("Bitmap Index Scan", 9.0, 9.0, &[]),
            &json!({ "Index Name": index }),
        )
    };
    let bitmap = with(
        scan("orders"),
        &json!({ "Node Type": "Bitmap Heap Scan", "Alias": "o",
                 "Plans": [node("BitmapAnd", 0.0, 0.0, &[collecting("a"), collecting("b")])] }),
    );
    let alone = with(
        by_index("orders"),
        &json!({ "Node Type": "Index Only Scan", "Alias": "o", "Scan Direction": "Backward" }),
    );
    assert_eq!(
        said(&bitmap, &alone),
        ["reads orders o by a bitmap of indexes a and b under x, by index orders_pkey alone backwards under y"]
    );
}

#[test]
fn a_join_keeps_its_counterpart_whatever_its_method() {
    let (from, to) = (hash_join(scan("a"), scan("b")), nested_loop(scan("a"), by_index("b")));
    assert_eq!(
        rows(&from, &to),
        [
            "Hash Join | Nested Loop !",
            "Seq Scan a | Seq Scan a =",
            "Hash | - ",
            "Seq Scan b | Index Scan using b_pkey b !",
        ]
    );
    assert_eq!(
        said(&from, &to),
        [
            "reads b by sequential scan under x, by index b_pkey under y",
            "joins a and b by hash join under x, by nested loop under y",
        ]
    );
}

#[test]
fn another_join_order_is_other_joins_and_the_relations_have_moved() {
    let from = hash_join(hash_join(scan("a"), scan("b")), scan("c"));
    let to = hash_join(hash_join(scan("b"), scan("c")), scan("a"));
    assert_eq!(
        said(&from, &to),
        ["joins a with b, then c under x, b with c, then a under y"]
    );
    let rows = rows(&from, &to);
    assert_eq!(rows[0], "Hash Join | Hash Join =");
    assert!(rows.contains(&"Hash Join | - ".to_owned()) && rows.contains(&"- | Hash Join ".to_owned()));
    for moved in [
        "Seq Scan a | Seq Scan a >",
        "Seq Scan b | Seq Scan b >",
        "Hash | Hash >",
    ] {
        assert!(rows.contains(&moved.to_owned()), "{moved}: {rows:?}");
    }
    assert!(
        rows.contains(&"Seq Scan c | Seq Scan c =".to_owned()),
        "it went with its hash table"
    );
}

#[test]
fn results_of_joins_that_are_joined_stand_in_brackets() {
    let bushy = hash_join(hash_join(scan("a"), scan("b")), hash_join(scan("c"), scan("d")));
    let deep = hash_join(hash_join(hash_join(scan("c"), scan("d")), scan("b")), scan("a"));
    assert_eq!(
        said(&bushy, &deep),
        ["joins (a with b) with (c with d) under x, c with d, then b, then a under y"]
    );
}

#[test]
fn a_join_whose_inputs_changed_places_says_which_it_hashes() {
    let (from, to) = (hash_join(scan("a"), scan("b")), hash_join(scan("b"), scan("a")));
    assert_eq!(said(&from, &to), ["joins a and b hashing b under x, hashing a under y"]);
    assert!(rows(&from, &to).contains(&"Seq Scan a | Seq Scan a >".to_owned()));
    assert_eq!(
        said(&nested_loop(scan("a"), scan("b")), &nested_loop(scan("b"), scan("a"))),
        ["joins a and b starting from a under x, starting from b under y"]
    );
}

#[test]
fn grouping_sorting_keeping_and_parallel_work_are_told() {
    let group = |strategy: &str, child: Value| {
        with(
            node("Aggregate", 9.0, 9.0, &[outer(child)]),
            &json!({ "Strategy": strategy, "Partial Mode": "Simple" }),
        )
    };
    let sort = |child: Value| node("Sort", 9.0, 9.0, &[outer(child)]);
    assert_eq!(
        said(&group("Hashed", scan("a")), &group("Sorted", sort(scan("a")))),
        [
            "groups by hashing under x, by sorting under y",
            "sorts the rows of a under y only",
        ]
    );
    let unique = node("Unique", 9.0, 9.0, &[outer(sort(scan("a")))]);
    assert_eq!(
        said(&unique, &group("Hashed", scan("a")))[0],
        "groups by sorting under x, by hashing under y"
    );
    let kept = |what: &str| nested_loop(scan("a"), node(what, 9.0, 9.0, &[outer(by_index("b"))]));
    assert_eq!(
        said(&kept("Memoize"), &kept("Materialize")),
        [
            "keeps the rows of b in memory under y only",
            "remembers looked-up rows of b under x only",
        ]
    );
    let parallel = with(scan("a"), &json!({ "Parallel Aware": true }));
    assert_eq!(
        said(&scan("a"), &node("Gather", 9.0, 9.0, &[outer(parallel)])),
        [
            "reads a by sequential scan under x, by parallel sequential scan under y",
            "works in parallel under y only",
        ]
    );
}

#[test]
fn two_forms_of_a_subquery_are_one_subquery() {
    let asking = |name: &str, alias: &str, filter: &str| {
        let subplan = with(
            scan("review"),
            &json!({ "Alias": alias, "Parent Relationship": "SubPlan", "Subplan Name": name }),
        );
        with(scan("a"), &json!({ "Plans": [subplan], "Filter": filter }))
    };
    let each = asking("SubPlan 1", "review", "(NOT (SubPlan 1))");
    let hashed = asking("SubPlan 2", "review_1", "(NOT (hashed SubPlan 2))");
    assert_eq!(
        said(&each, &hashed),
        ["runs SubPlan 1 again for each row that asks under x, once, into a hash table under y"]
    );
    assert_eq!(
        rows(&each, &hashed),
        [
            "Seq Scan a | Seq Scan a =",
            "Seq Scan review | Seq Scan review review_1 !"
        ]
    );
}

#[test]
fn a_relation_that_only_one_plan_reads_is_told() {
    let from = hash_join(scan("a"), scan("b"));
    assert_eq!(said(&from, &scan("a")), ["reads b by sequential scan under x only"]);
    let rows = rows(&from, &scan("a"));
    assert!(rows.contains(&"Seq Scan b | - ".to_owned()), "{rows:?}");
}

#[test]
fn many_relations_are_counted_and_some_named() {
    let chain = |last: Value| {
        let joined = ["b", "c", "d", "e"]
            .iter()
            .fold(scan("a"), |joined, relation| hash_join(joined, scan(relation)));
        nested_loop(joined, last)
    };
    let other = with(chain(scan("f")), &json!({ "Node Type": "Merge Join" }));
    assert_eq!(
        said(&chain(scan("f")), &other),
        ["joins 6 relations (a, b, c, d, …) by nested loop under x, by merge join under y"]
    );
}

#[test]
fn a_difference_without_a_word_of_its_own_is_still_a_difference() {
    let from = node("Append", 9.0, 9.0, &[scan("a"), scan("b")]);
    let to = node("Append", 9.0, 9.0, &[scan("b"), scan("a")]);
    assert_eq!(said(&from, &to), ["differs in details of its plan"]);
}

#[test]
fn what_the_server_sent_differs_from_itself_in_nothing() {
    for sample in [
        samples::THREE_WAY_JOIN,
        samples::CTE_AND_SUBPLAN,
        samples::EMPTY_HASH_TABLE,
    ] {
        let plan = parse(sample).unwrap();
        let found = diff(&plan, &plan);
        assert!(found.is_empty() && found.findings.is_empty(), "{found:?}");
    }
    let (estimated, run) = (
        parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap(),
        parse(samples::THREE_WAY_JOIN).unwrap(),
    );
    assert!(diff(&estimated, &run).is_empty(), "running it changes nothing");
}

/// Plans of joins, scans and what stands between them, over few names, so that much is alike.
fn any_plan() -> impl Strategy<Value = Value> {
    let leaf = (prop::sample::select(vec!["a", "b", "c", "d"]), 0..4).prop_map(|(relation, kind)| match kind {
        0 => by_index(relation),
        1 => with(scan(relation), &json!({ "Alias": format!("{relation}_1") })),
        2 => node("Result", 1.0, 1.0, &[]),
        _ => scan(relation),
    });
    leaf.prop_recursive(5, 24, 3, |inside| {
        prop_oneof![
            (inside.clone(), inside.clone()).prop_map(|(left, right)| hash_join(left, right)),
            (inside.clone(), inside.clone()).prop_map(|(left, right)| nested_loop(left, right)),
            (
                prop::sample::select(vec!["Sort", "Materialize", "Aggregate", "Limit", "Gather"]),
                inside.clone()
            )
                .prop_map(|(node_type, child)| node(node_type, 9.0, 9.0, &[outer(child)])),
            prop::collection::vec(inside.clone(), 1..4).prop_map(|children| node("Append", 9.0, 9.0, &children)),
            (inside.clone(), inside, any::<bool>()).prop_map(|(parent, child, hashed)| {
                let child = with(
                    child,
                    &json!({ "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1" }),
                );
                let filter = if hashed { "(hashed SubPlan 1)" } else { "(SubPlan 1)" };
                with(parent, &json!({ "Plans": [child], "Filter": filter }))
            }),
        ]
    })
}

fn mirrored(aligned: &Aligned) -> Aligned {
    Aligned {
        from: aligned.to,
        to: aligned.from,
        ..*aligned
    }
}

proptest! {
    #[test]
    fn a_plan_differs_from_itself_in_nothing(root in any_plan()) {
        let plan = plan(&root);
        let found = diff(&plan, &plan);
        prop_assert!(found.is_empty() && found.findings.is_empty());
        prop_assert!(found.aligned.iter().enumerate().all(|(idx, pair)| (pair.from, pair.to) == (Some(idx), Some(idx))));
    }

    #[test]
    fn plans_differ_exactly_when_their_fingerprints_do(from in any_plan(), to in any_plan()) {
        let (from, to) = (plan(&from), plan(&to));
        let found = diff(&from, &to);
        let is_alike = fingerprint(&from) == fingerprint(&to);
        prop_assert_eq!(found.is_empty(), is_alike);
        prop_assert_eq!(found.findings.is_empty(), is_alike);
    }

    #[test]
    fn every_node_stands_there_once(from in any_plan(), to in any_plan()) {
        let (from, to) = (plan(&from), plan(&to));
        let aligned = diff(&from, &to).aligned;
        let mut from_idxs: Vec<usize> = aligned.iter().filter_map(|pair| pair.from).collect();
        from_idxs.sort_unstable();
        let to_idxs: Vec<usize> = aligned.iter().filter_map(|pair| pair.to).collect();
        prop_assert!(from_idxs.into_iter().eq(0..from.root.n_nodes()));
        prop_assert!(to_idxs.into_iter().eq(0..to.root.n_nodes()));
    }

    #[test]
    fn swapping_the_plans_mirrors_the_difference(from in any_plan(), to in any_plan()) {
        let (from, to) = (plan(&from), plan(&to));
        let (there, back) = (diff(&from, &to), diff(&to, &from));
        let mut mirror: Vec<Aligned> = back.aligned.iter().map(mirrored).collect();
        let mut aligned = there.aligned.clone();
        aligned.sort();
        mirror.sort();
        prop_assert_eq!(aligned, mirror);
        let mut words: Vec<String> = there.findings.iter().map(|finding| finding.words("x", "y")).collect();
        let mut mirrored: Vec<String> = back
            .findings
            .iter()
            .map(|finding| Finding { from: finding.to.clone(), to: finding.from.clone(), ..finding.clone() }.words("x", "y"))
            .collect();
        words.sort();
        mirrored.sort();
        prop_assert_eq!(words, mirrored);
    }
}
