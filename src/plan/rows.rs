//! A plan as indented lines for a page, titled as EXPLAIN's own text does it. Formatting numbers is left to the page.

use super::node::Node;
use super::node::Plan;
use super::own::Own;
use super::own::owns;
use super::q_error::Exclusion;
use super::q_error::Judged;
use super::q_error::judge;

/// One node of a plan, flattened.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Levels below the root.
    pub depth: usize,
    /// As EXPLAIN's JSON says it: `Aggregate`, never `HashAggregate`.
    pub node_type: String,
    /// `CTE recent` or `SubPlan 1`, for the top node of one.
    pub subplan: Option<String>,
    /// `Index Scan using orders_pkey on orders o`.
    pub title: String,
    /// Estimated rows per loop.
    pub plan_rows: f64,
    /// Mean rows per loop; `None` without ANALYZE and when the node never ran.
    pub actual_rows: Option<f64>,
    /// `Some(0.0)` says that the node never ran.
    pub actual_loops: Option<f64>,
    /// How far off the estimate is, or why that cannot be said.
    pub estimate: Judged,
    /// With the children's, in the planner's unit; can be NaN or infinite.
    pub total_cost: f64,
    /// What the node added to its inputs.
    pub own: Own,
    /// Blocks are totals over all loops, with the children's.
    pub shared_hit_blocks: Option<u64>,
    pub shared_read_blocks: Option<u64>,
    pub temp_read_blocks: Option<u64>,
    pub temp_written_blocks: Option<u64>,
    /// `Hash Cond: (o.customer_id = c.id)`.
    pub details: Vec<String>,
}

/// The nodes of a plan from the top down, a parent before its children.
pub fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::with_capacity(plan.root.n_nodes());
    push_rows(&mut rows, &plan.root, 0);
    let numbers = judge(&plan.root).into_iter().zip(owns(&plan.root));
    for (row, (judged, own)) in rows.iter_mut().zip(numbers) {
        row.estimate = judged;
        row.own = own;
    }
    rows
}

fn push_rows(rows: &mut Vec<Row>, node: &Node, depth: usize) {
    rows.push(Row {
        depth,
        node_type: node.node_type.clone(),
        subplan: node.subplan_name.clone(),
        title: title(node),
        plan_rows: node.plan_rows,
        actual_rows: node.actual_rows.filter(|_| node.actual_loops != Some(0.0)),
        actual_loops: node.actual_loops,
        estimate: Judged::Excluded(Exclusion::NotCounted),
        total_cost: node.total_cost,
        own: Own::default(),
        shared_hit_blocks: node.shared_hit_blocks,
        shared_read_blocks: node.shared_read_blocks,
        temp_read_blocks: node.temp_read_blocks,
        temp_written_blocks: node.temp_written_blocks,
        details: node
            .details
            .iter()
            .map(|(name, text)| format!("{name}: {text}"))
            .collect(),
    });
    for child in &node.children {
        push_rows(rows, child, depth + 1);
    }
}

/// What the node does and to what: `Index Scan using orders_pkey on orders o`.
pub fn title(node: &Node) -> String {
    let mut title = String::new();
    if node.parallel_aware {
        title.push_str("Parallel ");
    }
    title.push_str(&kind(node));
    if node.scan_direction.as_deref() == Some("Backward") {
        title.push_str(" Backward");
    }
    if let Some(index) = &node.index {
        // A bitmap index scan knows no table.
        title.push_str(if node.relation.is_some() { " using " } else { " on " });
        title.push_str(index);
    }
    if let Some(scanned) = scanned(node) {
        title.push_str(" on ");
        title.push_str(&scanned);
    }
    title
}

/// What the node does, in the words of EXPLAIN's text format, which tell apart what its JSON spreads over several keys.
fn kind(node: &Node) -> String {
    let strategy = node.strategy.as_deref();
    let operation = node.operation.as_deref();
    match (node.node_type.as_str(), strategy, operation) {
        ("Aggregate", _, _) => aggregate_kind(node),
        ("SetOp", Some("Hashed"), Some(command)) => format!("HashSetOp {command}"),
        ("SetOp", _, Some(command)) => format!("SetOp {command}"),
        ("ModifyTable", _, Some(operation)) => operation.to_owned(),
        (node_type, _, _) => match node.join_type.as_deref() {
            None | Some("Inner") => node_type.to_owned(),
            // EXPLAIN says `Hash Left Join` but `Nested Loop Left Join`.
            Some(join_type) => format!("{} {join_type} Join", node_type.trim_end_matches(" Join")),
        },
    }
}

fn aggregate_kind(node: &Node) -> String {
    let aggregate = match node.strategy.as_deref() {
        Some("Sorted") => "GroupAggregate",
        Some("Hashed") => "HashAggregate",
        Some("Mixed") => "MixedAggregate",
        _ => "Aggregate",
    };
    match node.partial_mode.as_deref() {
        Some(half @ ("Partial" | "Finalize")) => format!("{half} {aggregate}"),
        _ => aggregate.to_owned(),
    }
}

/// `orders o`, or `orders` when it goes by its own name.
pub fn scanned(node: &Node) -> Option<String> {
    let Some(name) = node.relation.as_ref().or(node.object.as_ref()) else {
        return node.alias.clone();
    };
    Some(match &node.alias {
        Some(alias) if !goes_by_own_name(name, alias) => format!("{name} {alias}"),
        _ => name.clone(),
    })
}

fn goes_by_own_name(name: &str, alias: &str) -> bool {
    name.strip_suffix(alias)
        .is_some_and(|schema| schema.is_empty() || schema.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::super::parse;
    use super::super::samples;
    use super::super::samples::plan;
    use super::*;
    use crate::model::estimate::Direction;

    #[test]
    fn a_plan_reads_as_explains_own_text() {
        let rows = rows(&parse(samples::THREE_WAY_JOIN).unwrap());
        let lines: Vec<String> = rows
            .iter()
            .map(|row| format!("{}{}", "  ".repeat(row.depth), row.title))
            .collect();
        assert_eq!(
            lines,
            [
                "Limit",
                "  Sort",
                "    HashAggregate",
                "      Nested Loop",
                "        Hash Join",
                "          Seq Scan on customer c",
                "          Hash",
                "            Index Scan using orders_status on orders o",
                "        Index Only Scan using item_order on item i",
            ]
        );
        assert_eq!(rows[4].details, ["Hash Cond: (c.id = o.customer_id)"]);
    }

    #[test]
    fn a_row_has_estimate_count_loops_and_factor() {
        let rows = rows(&parse(samples::THREE_WAY_JOIN).unwrap());
        let aggregate = &rows[2];
        assert_eq!(
            (aggregate.plan_rows, aggregate.actual_rows, aggregate.actual_loops),
            (200.0, Some(4.0), Some(1.0))
        );
        let estimate = aggregate.estimate.factor().unwrap();
        assert_eq!((estimate.factor, estimate.direction), (50.0, Direction::Over));
        assert_eq!(rows[1].estimate, Judged::Excluded(Exclusion::BelowLimit));
        assert_eq!(rows[8].actual_loops, Some(2000.0));
        assert!(rows[0].shared_hit_blocks.is_some());
    }

    #[test]
    fn a_node_that_never_ran_has_no_count() {
        let rows = rows(&plan(
            &json!({ "Node Type": "Result", "Actual Rows": 0, "Actual Loops": 0 }),
        ));
        assert_eq!((rows[0].actual_rows, rows[0].actual_loops), (None, Some(0.0)));
    }

    #[test]
    fn subplans_keep_their_names() {
        let rows = rows(&parse(samples::CTE_AND_SUBPLAN).unwrap());
        let named: Vec<(Option<&str>, &str)> = rows
            .iter()
            .map(|row| (row.subplan.as_deref(), row.title.as_str()))
            .collect();
        assert_eq!(
            named,
            [
                (None, "Limit"),
                (Some("CTE a"), "Index Scan using orders_pkey on orders"),
                (Some("InitPlan 2 (returns $1)"), "Aggregate"),
                (None, "CTE Scan on a"),
                (None, "CTE Scan on a o"),
                (Some("SubPlan 3"), "Aggregate"),
                (None, "Bitmap Heap Scan on item i"),
                (None, "Bitmap Index Scan on item_order"),
            ]
        );
    }

    #[test]
    fn titles_follow_the_text_format() {
        // Left: what JSON says; right: what the text format said of the same plan.
        let cases: [(Value, &str); 14] = [
            (
                json!({ "Node Type": "Nested Loop", "Join Type": "Left" }),
                "Nested Loop Left Join",
            ),
            (
                json!({ "Node Type": "Hash Join", "Join Type": "Semi" }),
                "Hash Semi Join",
            ),
            (json!({ "Node Type": "Merge Join", "Join Type": "Inner" }), "Merge Join"),
            (
                json!({ "Node Type": "Aggregate", "Strategy": "Plain", "Partial Mode": "Simple" }),
                "Aggregate",
            ),
            (
                json!({ "Node Type": "Aggregate", "Strategy": "Sorted", "Partial Mode": "Finalize" }),
                "Finalize GroupAggregate",
            ),
            (
                json!({ "Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Partial" }),
                "Partial HashAggregate",
            ),
            (
                json!({ "Node Type": "SetOp", "Strategy": "Hashed", "Command": "Except" }),
                "HashSetOp Except",
            ),
            (
                json!({ "Node Type": "ModifyTable", "Operation": "Update", "Relation Name": "orders", "Alias": "orders" }),
                "Update on orders",
            ),
            (
                json!({ "Node Type": "Seq Scan", "Parallel Aware": true, "Relation Name": "orders", "Alias": "orders" }),
                "Parallel Seq Scan on orders",
            ),
            (
                json!({ "Node Type": "Index Scan", "Scan Direction": "Backward", "Index Name": "orders_pkey",
                        "Relation Name": "orders", "Alias": "o" }),
                "Index Scan Backward using orders_pkey on orders o",
            ),
            (
                json!({ "Node Type": "Function Scan", "Function Name": "generate_series", "Alias": "g" }),
                "Function Scan on generate_series g",
            ),
            (
                json!({ "Node Type": "Subquery Scan", "Alias": "*SELECT* 3" }),
                "Subquery Scan on *SELECT* 3",
            ),
            (
                json!({ "Node Type": "Seq Scan", "Relation Name": "item", "Schema": "shop", "Alias": "item" }),
                "Seq Scan on shop.item",
            ),
            (
                json!({ "Node Type": "Seq Scan", "Relation Name": "lineitem", "Alias": "item" }),
                "Seq Scan on lineitem item",
            ),
        ];
        for (node, expected) in cases {
            assert_eq!(rows(&plan(&node))[0].title, expected);
        }
    }
}
