//! A short name for the shape of a plan. It says whether two plans are the same, not how they differ.

use std::fmt::Write as _;

use super::node::Node;
use super::node::Plan;

/// Sixteen hexadecimal digits that are equal for plans of the same shape: node types, join types and order, relations and
/// aliases, indexes, scan directions, strategies, the children's roles, parallel awareness, hashed subplans. Costs, rows,
/// widths, times, buffers and the text of conditions do not count, so EXPLAIN and EXPLAIN ANALYZE of one plan agree.
/// VERBOSE adds schemas to the relations: compare plans that were explained with the same options.
///
/// Stored and compared over time: a change to the canonical text orphans what is stored, and a test holds it still.
pub fn fingerprint(plan: &Plan) -> String {
    let mut canonical = String::new();
    write_shape(&mut canonical, &plan.root, Subplan::Plain);
    format!("{:016x}", fnv1a_64(canonical.as_bytes()))
}

#[derive(Clone, Copy)]
enum Subplan {
    Plain,
    Hashed,
}

/// Every field stands at its place, absent ones too, and the number of children comes before them: different shapes have
/// different texts.
fn write_shape(canonical: &mut String, node: &Node, subplan: Subplan) {
    write_field(canonical, Some(&node.node_type));
    write_field(canonical, node.parent_relationship.as_deref());
    for field in node.shape() {
        write_field(canonical, field);
    }
    canonical.push(if node.parallel_aware { 'p' } else { 's' });
    canonical.push(match subplan {
        Subplan::Plain => '.',
        Subplan::Hashed => 'h',
    });
    write!(canonical, "{}(", node.children.len()).expect("writing to a String cannot fail");
    for child in &node.children {
        let subplan = if node.hashes(child) {
            Subplan::Hashed
        } else {
            Subplan::Plain
        };
        write_shape(canonical, child, subplan);
    }
    canonical.push(')');
}

/// A field is its length and its text, so that no name can look like the end of another.
fn write_field(canonical: &mut String, field: Option<&str>) {
    match field {
        Some(text) => write!(canonical, "{}:{text},", text.len()).expect("writing to a String cannot fail"),
        None => canonical.push('-'),
    }
}

/// FNV-1a with 64 bits (Fowler, Noll and Vo; constants and test vectors from draft-eastlake-fnv). The few plans of one
/// query meet by chance once in 2^64 pairs; nobody gains by forging one.
fn fnv1a_64(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes
        .iter()
        .fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;
    use serde_json::Value;
    use serde_json::json;

    use super::super::parse;
    use super::super::samples;
    use super::super::samples::inner;
    use super::super::samples::node;
    use super::super::samples::outer;
    use super::super::samples::plan;
    use super::super::samples::with;
    use super::*;

    fn scan(relation: &str) -> Value {
        with(
            node("Seq Scan", 10.0, 10.0, &[]),
            &json!({ "Relation Name": relation, "Alias": relation, "Filter": "(x = 1)" }),
        )
    }

    fn join() -> Value {
        with(
            node("Hash Join", 10.0, 10.0, &[outer(scan("a")), inner(scan("b"))]),
            &json!({ "Join Type": "Inner" }),
        )
    }

    #[test]
    fn the_hash_agrees_with_the_published_vectors() {
        // draft-eastlake-fnv.
        assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_stored_fingerprint_stays_valid() {
        assert_eq!(
            fingerprint(&parse(samples::THREE_WAY_JOIN).unwrap()),
            "59a0120ad8a34958"
        );
    }

    #[test]
    fn running_a_plan_does_not_change_its_fingerprint() {
        assert_eq!(
            fingerprint(&parse(samples::THREE_WAY_JOIN).unwrap()),
            fingerprint(&parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap())
        );
    }

    #[test]
    fn any_change_of_shape_changes_it() {
        let swapped = with(join(), &json!({ "Plans": [outer(scan("b")), inner(scan("a"))] }));
        let mut renamed = join();
        renamed["Plans"][0]["Alias"] = json!("a2");
        let mut by_index = join();
        by_index["Plans"][0]["Index Name"] = json!("a_pkey");
        let mut backward = by_index.clone();
        backward["Plans"][0]["Scan Direction"] = json!("Backward");
        let mut moved = join();
        moved["Plans"][1]["Parent Relationship"] = json!("SubPlan");
        let shapes = [
            join(),
            swapped,
            renamed,
            by_index,
            backward,
            moved,
            with(join(), &json!({ "Node Type": "Nested Loop" })),
            with(join(), &json!({ "Join Type": "Left" })),
            with(join(), &json!({ "Strategy": "Sorted" })),
            with(join(), &json!({ "Parallel Aware": true })),
            with(join(), &json!({ "Plans": [outer(scan("a"))] })),
        ];
        let mut fingerprints: Vec<String> = shapes.iter().map(|shape| fingerprint(&plan(shape))).collect();
        fingerprints.sort();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), shapes.len());
    }

    #[test]
    fn hashing_a_subplan_is_another_plan_though_the_tree_is_the_same() {
        let subplan = with(
            scan("b"),
            &json!({ "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1" }),
        );
        let parent = with(scan("a"), &json!({ "Plans": [subplan], "Filter": "(NOT (SubPlan 1))" }));
        let hashing = with(parent.clone(), &json!({ "Filter": "(NOT (hashed SubPlan 1))" }));
        assert_ne!(fingerprint(&plan(&parent)), fingerprint(&plan(&hashing)));
    }

    #[test]
    fn a_name_cannot_pass_for_its_neighbour() {
        let of =
            |relation: &str, alias: &str| fingerprint(&plan(&json!({ "Relation Name": relation, "Alias": alias })));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a,1:b", "c"), of("a", "b,1:c"));
    }

    proptest! {
        #[test]
        fn numbers_and_constants_do_not_count(cost in any::<f64>(), rows in any::<u32>(), constant in "[a-z]{0,9}") {
            let mut other = join();
            other["Total Cost"] = json!(cost);
            other["Plans"][0]["Plan Rows"] = json!(rows);
            other["Plans"][0]["Actual Rows"] = json!(rows);
            other["Plans"][0]["Plan Width"] = json!(rows);
            other["Plans"][1]["Shared Hit Blocks"] = json!(rows);
            other["Plans"][1]["Filter"] = json!(format!("(x = '{constant}')"));
            assert_eq!(fingerprint(&plan(&other)), fingerprint(&plan(&join())));
        }
    }
}
