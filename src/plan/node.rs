//! A plan and its nodes, as plain values. Reading them from text is `parse`'s work.

use std::collections::BTreeMap;

/// What EXPLAIN said of one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub root: Node,
    /// Absent when the server did not say (EXPLAIN without ANALYZE or SUMMARY).
    pub planning_ms: Option<f64>,
    /// Absent without ANALYZE.
    pub execution_ms: Option<f64>,
    /// Planner settings that differ from their defaults; empty without the SETTINGS option.
    pub settings: BTreeMap<String, String>,
}

impl Plan {
    /// The planner's estimate for the whole statement, in its own unit. It is not a measure of quality: a source with
    /// worse statistics often has the lower cost and the slower plan.
    pub fn cost(&self) -> f64 {
        self.root.total_cost
    }

    /// Shared blocks the statement touched, hit or read; the root counts what its children did. `None` without BUFFERS.
    pub fn buffers(&self) -> Option<u64> {
        self.root.blocks()
    }
}

/// One node of a plan, with EXPLAIN's words. Costs and row counts that the server left out are NaN, and the server itself
/// sends NaN and Infinity when its statistics make no sense: check `is_finite` before doing arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub node_type: String,
    /// The table, with its schema when the server gave one (VERBOSE).
    pub relation: Option<String>,
    /// What is scanned when it is no table: the name of a CTE, a function or a tuplestore.
    pub object: Option<String>,
    pub alias: Option<String>,
    pub index: Option<String>,
    pub scan_direction: Option<String>,
    /// `Inner`, `Left`, `Semi`, ...; only joins have one.
    pub join_type: Option<String>,
    /// At most one inner row can match, so the join leaves the inner side at the first.
    pub inner_unique: bool,
    /// `Plain`, `Sorted`, `Hashed`, `Mixed`: how an Aggregate or `SetOp` works.
    pub strategy: Option<String>,
    /// `Simple`, `Partial`, `Finalize`: which half of a split Aggregate this is.
    pub partial_mode: Option<String>,
    /// `Update` of a `ModifyTable`, `Except` of a `SetOp`.
    pub operation: Option<String>,
    pub parallel_aware: bool,
    pub workers_planned: Option<u64>,
    pub startup_cost: f64,
    pub total_cost: f64,
    /// Estimated rows per loop; below a Gather, per worker.
    pub plan_rows: f64,
    /// Estimated width of a row in bytes, 0 when the server did not say.
    pub plan_width: u64,
    /// Mean rows per loop, rounded by the server to whole rows before version 18. Meaningless when `actual_loops` is 0.
    pub actual_rows: Option<f64>,
    pub actual_loops: Option<f64>,
    /// Mean time per loop until the first row; absent with TIMING OFF.
    pub actual_startup_ms: Option<f64>,
    /// Mean time per loop with the children's; absent with TIMING OFF.
    pub actual_total_ms: Option<f64>,
    /// Block counts are totals over all loops, with the children's.
    pub shared_hit_blocks: Option<u64>,
    pub shared_read_blocks: Option<u64>,
    pub temp_read_blocks: Option<u64>,
    pub temp_written_blocks: Option<u64>,
    /// Conditions, keys and counters worth a line, by EXPLAIN's name for them.
    pub details: Vec<(String, String)>,
    /// `Outer`, `Inner`, `Member`, `Subquery`, `InitPlan`, `SubPlan`; the root has none.
    pub parent_relationship: Option<String>,
    /// `CTE recent`, `SubPlan 1`, `InitPlan 2 (returns $1)`.
    pub subplan_name: Option<String>,
    pub children: Vec<Node>,
}

impl Node {
    pub fn is_join(&self) -> bool {
        matches!(self.node_type.as_str(), "Nested Loop" | "Hash Join" | "Merge Join")
    }

    /// What fingerprints and diffs take of a node alone, beside its type and whether it is parallel. Stored fingerprints
    /// are made of it, in this order.
    pub fn shape(&self) -> [Option<&str>; 9] {
        [
            &self.join_type,
            &self.strategy,
            &self.partial_mode,
            &self.operation,
            &self.relation,
            &self.object,
            &self.alias,
            &self.index,
            &self.scan_direction,
        ]
        .map(Option::as_deref)
    }

    /// Shared blocks, hit or read, with the children's. `None` without BUFFERS.
    pub fn blocks(&self) -> Option<u64> {
        Some(self.shared_hit_blocks?.saturating_add(self.shared_read_blocks?))
    }

    /// An `InitPlan` or a `SubPlan`: it feeds an expression of its parent, not its parent's rows.
    pub fn is_subplan(&self) -> bool {
        matches!(self.parent_relationship.as_deref(), Some("InitPlan" | "SubPlan"))
    }

    /// The name of the common table expression that this subplan computes.
    pub fn cte_name(&self) -> Option<&str> {
        self.subplan_name.as_deref()?.strip_prefix("CTE ")
    }

    /// Whether this node reads all of `subplan` into a hash table once, rather than asking it again for each row.
    /// EXPLAIN says so only inside the condition: `(NOT (hashed SubPlan 1))`.
    pub fn hashes(&self, subplan: &Node) -> bool {
        let Some(name) = subplan.subplan_name.as_deref() else {
            return false;
        };
        let needle = format!("hashed {name}");
        self.details.iter().any(|(_, condition)| {
            condition
                .match_indices(&needle)
                .any(|(at, _)| !condition[at + needle.len()..].starts_with(|next: char| next.is_ascii_digit()))
        })
    }

    /// Nodes of this tree, itself included.
    pub fn n_nodes(&self) -> usize {
        1 + self.children.iter().map(Node::n_nodes).sum::<usize>()
    }

    /// Joins that this node's rows went through, its own included; subplans do not count.
    pub fn n_joins(&self) -> usize {
        let below = self.children.iter().filter(|child| !child.is_subplan());
        usize::from(self.is_join()) + below.map(Node::n_joins).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::super::samples;
    use super::super::samples::node;
    use super::super::samples::with;

    #[test]
    fn cost_and_buffers_are_those_of_the_root() {
        let plan = parse(samples::CTE_AND_SUBPLAN).unwrap();
        assert!((plan.cost() - 151.21).abs() < 1e-9);
        assert_eq!(plan.buffers(), Some(41));
        assert_eq!(parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap().buffers(), None);
    }

    #[test]
    fn joins_are_counted_below_and_with_the_node_but_not_in_subplans() {
        let plan = parse(samples::THREE_WAY_JOIN).unwrap();
        assert_eq!(plan.root.n_joins(), 2);
        let subplan = with(
            node("Nested Loop", 1.0, 1.0, &[]),
            &json!({ "Parent Relationship": "SubPlan" }),
        );
        let plan = samples::plan(&node("Hash Join", 1.0, 1.0, &[subplan]));
        assert_eq!(plan.root.n_joins(), 1);
    }

    #[test]
    fn a_hashed_subplan_is_told_from_one_whose_number_begins_alike() {
        let subplan = |name: &str| {
            with(
                node("Seq Scan", 1.0, 1.0, &[]),
                &json!({ "Parent Relationship": "SubPlan", "Subplan Name": name }),
            )
        };
        let parent = with(
            node("Seq Scan", 1.0, 1.0, &[subplan("SubPlan 1"), subplan("SubPlan 12")]),
            &json!({ "Filter": "(NOT (hashed SubPlan 12))" }),
        );
        let root = samples::plan(&parent).root;
        assert!(!root.hashes(&root.children[0]));
        assert!(root.hashes(&root.children[1]));
    }
}
