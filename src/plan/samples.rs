//! Plans for the tests of this room: what version 15.18 of the server sent, and short ones made up on the spot.

use serde_json::Value;
use serde_json::json;

use super::Plan;
use super::parse;

pub const THREE_WAY_JOIN: &str = include_str!("fixtures/three_way_join.json");
/// The same statement by EXPLAIN alone.
pub const THREE_WAY_JOIN_ESTIMATED: &str = include_str!("fixtures/three_way_join_estimated.json");
/// A CTE read twice and two scalar subqueries, below a Limit.
pub const CTE_AND_SUBPLAN: &str = include_str!("fixtures/cte_and_subplan.json");
/// A hash join that found its hash table empty and left its outer side after one row.
pub const EMPTY_HASH_TABLE: &str = include_str!("fixtures/empty_hash_table.json");
/// A table whose `reltuples` is Infinity.
pub const INFINITE_COST: &str = include_str!("fixtures/infinite_cost.json");

/// A plan with this root.
pub fn plan(root: &Value) -> Plan {
    parse(&json!([{ "Plan": root }]).to_string()).unwrap()
}

/// A node that ran once.
pub fn node(node_type: &str, plan_rows: f64, actual_rows: f64, children: &[Value]) -> Value {
    json!({
        "Node Type": node_type, "Plan Rows": plan_rows, "Actual Rows": actual_rows, "Actual Loops": 1, "Plans": children,
    })
}

/// A node with more keys, or with other values for those it has.
pub fn with(mut node: Value, fields: &Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

pub fn outer(node: Value) -> Value {
    with(node, &json!({ "Parent Relationship": "Outer" }))
}

pub fn inner(node: Value) -> Value {
    with(node, &json!({ "Parent Relationship": "Inner" }))
}
