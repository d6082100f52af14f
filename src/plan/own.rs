//! What each node of a plan added to what it was given: its part of the cost, the time and the buffers.

use super::node::Node;

/// What one node added to its inputs' part, never below zero; `None` where EXPLAIN did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// In the planner's unit. A nested loop's contains the repeated runs of its inner side, which EXPLAIN shows once; a
    /// node's contains the runs of its `SubPlan`s.
    pub cost: Option<f64>,
    /// Shared blocks, hit or read, over all loops.
    pub buffers: Option<u64>,
    /// Over all loops. Absent with TIMING OFF.
    pub time_ms: Option<f64>,
    /// Rows passed on, over all loops; no node's rows contain another's.
    pub rows: Option<f64>,
}

/// Of every node, from the top down.
pub fn owns(root: &Node) -> Vec<Own> {
    let mut nodes = Vec::with_capacity(root.n_nodes());
    list(root, &mut nodes);
    let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (node_idx, node) in nodes.iter().enumerate() {
        let mut child_idx = node_idx + 1;
        for child in &node.children {
            inputs[asker(&nodes, node_idx, child_idx)].push(child_idx);
            child_idx += child.n_nodes();
        }
    }
    let of_inputs = nodes.iter().zip(&inputs);
    of_inputs
        .map(|(node, inputs)| own(node, inputs.iter().map(|input| nodes[*input])))
        .collect()
}

fn list<'a>(node: &'a Node, nodes: &mut Vec<&'a Node>) {
    nodes.push(node);
    for child in &node.children {
        list(child, nodes);
    }
}

/// The node during whose run a child ran. EXPLAIN shows a CTE and a subquery that is asked once where their query begins,
/// but they run when a node further down asks for them first, and are part of its numbers: of several that ask, of those
/// of the one that took longest. Where none is seen to ask it is the parent.
fn asker(nodes: &[&Node], parent_idx: usize, child_idx: usize) -> usize {
    let (parent, child) = (nodes[parent_idx], nodes[child_idx]);
    if child.parent_relationship.as_deref() != Some("InitPlan") {
        return parent_idx;
    }
    let own_nodes = child_idx..child_idx + child.n_nodes();
    let size = |idx: &usize| (time_ms(nodes[*idx]).unwrap_or(0.0), nodes[*idx].blocks());
    (parent_idx..parent_idx + parent.n_nodes())
        .filter(|idx| !own_nodes.contains(idx) && asks_for(nodes[*idx], child))
        .max_by(|a, b| {
            let ((a_ms, a_blocks), (b_ms, b_blocks)) = (size(a), size(b));
            a_ms.total_cmp(&b_ms).then(a_blocks.cmp(&b_blocks))
        })
        .unwrap_or(parent_idx)
}

fn asks_for(node: &Node, subplan: &Node) -> bool {
    if let Some(cte) = subplan.cte_name() {
        return node.node_type == "CTE Scan" && node.object.as_deref() == Some(cte);
    }
    // `InitPlan 1 (returns $0,$1)`; from version 17 on conditions say `(InitPlan 1).col1`.
    let name = subplan.subplan_name.as_deref().unwrap_or_default();
    let (name, parameters) = name.split_once(" (returns ").unwrap_or((name, ""));
    let parameters = parameters.trim_end_matches(')').split(',');
    let mut asked = parameters.chain([name]).filter(|word| !word.is_empty());
    asked.any(|word| node.details.iter().any(|(_, condition)| names(condition, word)))
}

/// Whether a condition names this, and not only something that begins alike: `$1` in `$12`.
fn names(condition: &str, word: &str) -> bool {
    let mut found = condition.match_indices(word);
    found.any(|(at, _)| !condition[at + word.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

fn own<'a>(node: &Node, inputs: impl Iterator<Item = &'a Node>) -> Own {
    let charged = node
        .children
        .iter()
        .filter(|child| child.parent_relationship.as_deref() != Some("SubPlan"));
    let cost = node.total_cost - charged.map(|child| child.total_cost).sum::<f64>();
    let (mut inputs_ms, mut inputs_blocks) = (0.0, 0);
    for input in inputs {
        inputs_ms += time_ms(input).unwrap_or(0.0);
        inputs_blocks += input.blocks().unwrap_or(0);
    }
    Own {
        cost: Some(cost.max(0.0)).filter(|_| cost.is_finite()),
        buffers: node.blocks().map(|blocks| blocks.saturating_sub(inputs_blocks)),
        time_ms: time_ms(node).map(|ms| (ms - inputs_ms).max(0.0)),
        rows: node
            .actual_rows
            .zip(node.actual_loops)
            .map(|(rows, n_loops)| rows * n_loops),
    }
}

/// Over all loops, with the children's.
fn time_ms(node: &Node) -> Option<f64> {
    Some(node.actual_total_ms? * node.actual_loops?)
}

#[cfg(test)]
mod tests {
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

    fn of(root: &Value) -> Vec<Own> {
        owns(&plan(root).root)
    }

    fn ran(node: Value, ms: f64, blocks: u32) -> Value {
        let fields = json!({ "Actual Total Time": ms, "Shared Hit Blocks": blocks, "Shared Read Blocks": 0 });
        with(node, &fields)
    }

    fn asked_once(node: Value, name: &str) -> Value {
        let fields = json!({ "Parent Relationship": "InitPlan", "Subplan Name": name });
        with(node, &fields)
    }

    /// Milliseconds and blocks of every node.
    fn shares(root: &Value) -> Vec<(f64, u64)> {
        let own = of(root);
        own.iter()
            .map(|own| (own.time_ms.unwrap().round(), own.buffers.unwrap()))
            .collect()
    }

    #[test]
    fn what_is_a_nodes_own_is_what_its_children_did_not_do() {
        let numbers = |cost: f64, loops: u32, ms: f64, blocks: u32| {
            json!({ "Total Cost": cost, "Actual Loops": loops, "Actual Total Time": ms,
                    "Shared Hit Blocks": blocks, "Shared Read Blocks": 1 })
        };
        let left = with(outer(node("Seq Scan", 9.0, 9.0, &[])), &numbers(10.0, 1, 2.0, 4));
        let right = with(inner(node("Index Scan", 1.0, 2.0, &[])), &numbers(0.5, 9, 0.5, 9));
        let subplan = with(
            node("Seq Scan", 1.0, 1.0, &[]),
            &json!({ "Total Cost": 99.0, "Parent Relationship": "SubPlan" }),
        );
        let join = with(
            node("Nested Loop", 9.0, 9.0, &[left, right, subplan]),
            &numbers(15.0, 1, 8.0, 20),
        );
        let own = of(&join);
        assert_eq!(
            own[0],
            Own {
                cost: Some(4.5),
                buffers: Some(6),
                time_ms: Some(1.5),
                rows: Some(9.0)
            }
        );
        assert_eq!((own[2].time_ms, own[2].rows), (Some(4.5), Some(18.0)));
        assert_eq!((own[3].time_ms, own[3].buffers), (None, None));
    }

    #[test]
    fn a_cte_is_an_input_of_the_scan_that_filled_it_and_not_of_the_node_it_is_shown_under() {
        // As version 15 ran: with a as materialized (...) select count(*) from a join a b on b.n = a.n.
        let cte = asked_once(ran(node("Aggregate", 1e3, 1e3, &[]), 185.7, 3410), "CTE a");
        let scan = |ms, blocks| {
            with(
                outer(ran(node("CTE Scan", 1e3, 1e3, &[]), ms, blocks)),
                &json!({ "CTE Name": "a", "Alias": "a" }),
            )
        };
        let first = outer(ran(node("Sort", 1e3, 1e3, &[scan(185.9, 3410)]), 186.0, 3415));
        let second = inner(ran(node("Sort", 1e3, 999_001.0, &[scan(0.1, 0)]), 131.0, 0));
        let join = outer(ran(node("Merge Join", 5e3, 1e6, &[first, second]), 606.6, 3415));
        let root = ran(node("Aggregate", 1.0, 1.0, &[cte, join]), 769.5, 3415);
        assert_eq!(
            shares(&root),
            [
                (163.0, 0),
                (186.0, 3410),
                (290.0, 0),
                (0.0, 5),
                (0.0, 0),
                (131.0, 0),
                (0.0, 0)
            ],
            "all together they are the whole"
        );
    }

    #[test]
    fn a_subquery_that_is_asked_once_is_an_input_of_the_node_whose_condition_names_it() {
        for (name, condition) in [
            ("InitPlan 1 (returns $0)", "((k)::numeric > $0)"),
            ("InitPlan 1", "((k)::numeric > (InitPlan 1).col1)"),
        ] {
            let other = with(
                outer(ran(node("Seq Scan", 9.0, 9.0, &[]), 274.0, 6820)),
                &json!({ "Filter": condition }),
            );
            let asked = asked_once(ran(node("Aggregate", 1.0, 1.0, &[]), 115.0, 3410), name);
            let root = ran(node("Aggregate", 1.0, 1.0, &[asked, other]), 301.0, 6820);
            assert_eq!(shares(&root), [(27.0, 0), (115.0, 3410), (159.0, 3410)]);
        }
        // Where nothing names it, as in a list of columns, it is an input of the node that it is shown under.
        let other = with(
            outer(ran(node("Seq Scan", 9.0, 9.0, &[]), 100.0, 10)),
            &json!({ "Filter": "(k > $12)" }),
        );
        let asked = asked_once(
            ran(node("Aggregate", 1.0, 1.0, &[]), 50.0, 20),
            "InitPlan 1 (returns $1)",
        );
        let root = ran(node("Aggregate", 1.0, 1.0, &[asked, other]), 160.0, 30);
        assert_eq!(shares(&root), [(10.0, 0), (50.0, 20), (100.0, 10)]);
    }

    #[test]
    fn a_node_that_cost_less_than_its_child_added_nothing() {
        let child = with(outer(node("Seq Scan", 9.0, 9.0, &[])), &json!({ "Total Cost": 10.0 }));
        let limit = with(node("Limit", 1.0, 1.0, &[child]), &json!({ "Total Cost": 1.0 }));
        assert_eq!(of(&limit)[0].cost, Some(0.0));
        assert_eq!(owns(&parse(samples::INFINITE_COST).unwrap().root)[0].cost, None);
    }
}
