//! A plan in the manner of EXPLAIN's own text format, to be copied to wherever such text is read. The server would quote
//! unusual names and say a little more about sorts and hash tables.

use std::fmt::Write as _;

use super::node::Node;
use super::node::Plan;
use super::rows::title;

/// The lines of EXPLAIN for this plan, each with its line feed.
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    push_node(&mut text, &plan.root, 0);
    if !plan.settings.is_empty() {
        let settings: Vec<String> = plan
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = '{value}'"))
            .collect();
        push_line(&mut text, 0, &format!("Settings: {}", settings.join(", ")));
    }
    for (name, time_ms) in [("Planning", plan.planning_ms), ("Execution", plan.execution_ms)] {
        if let Some(time_ms) = time_ms {
            push_line(&mut text, 0, &format!("{name} Time: {time_ms:.3} ms"));
        }
    }
    text
}

/// `indent` counts steps of two spaces, as in the server's `ExplainNode` (explain.c).
fn push_node(text: &mut String, node: &Node, indent: usize) {
    let mut indent = indent;
    if let Some(name) = &node.subplan_name {
        push_line(text, indent, name);
        indent += 1;
    }
    let line = format!("{}{}", title(node), numbers(node));
    if indent > 0 {
        push_line(text, indent, &format!("->  {line}"));
        indent += 2;
    } else {
        push_line(text, indent, &line);
    }
    indent += 1;
    for (name, detail) in &node.details {
        push_line(text, indent, &format!("{name}: {detail}"));
    }
    if let Some(workers) = node.workers_planned {
        push_line(text, indent, &format!("Workers Planned: {workers}"));
    }
    let buffers = buffers(node);
    if !buffers.is_empty() {
        push_line(text, indent, &format!("Buffers: {buffers}"));
    }
    for child in &node.children {
        push_node(text, child, indent);
    }
}

fn push_line(text: &mut String, indent: usize, line: &str) {
    writeln!(text, "{:1$}{line}", "", 2 * indent).expect("writing to a String cannot fail");
}

fn numbers(node: &Node) -> String {
    let estimated = format!(
        "  (cost={:.2}..{:.2} rows={:.0} width={})",
        node.startup_cost, node.total_cost, node.plan_rows, node.plan_width
    );
    let actual = match (node.actual_rows, node.actual_loops) {
        (_, Some(0.0)) => " (never executed)".to_owned(),
        (Some(rows), Some(n_loops)) => {
            let time = node
                .actual_startup_ms
                .zip(node.actual_total_ms)
                .map(|(startup_ms, total_ms)| format!("time={startup_ms:.3}..{total_ms:.3} "))
                .unwrap_or_default();
            format!(" (actual {time}rows={rows} loops={n_loops})")
        }
        _ => String::new(),
    };
    estimated + &actual
}

/// Zeros are left out, as the server does.
fn buffers(node: &Node) -> String {
    let kind = |name: &str, counts: [(&str, Option<u64>); 2]| {
        let counts: Vec<String> = counts
            .iter()
            .filter_map(|(what, n)| Some(format!("{what}={}", n.filter(|n| *n > 0)?)))
            .collect();
        (!counts.is_empty()).then(|| format!("{name} {}", counts.join(" ")))
    };
    let kinds = [
        kind(
            "shared",
            [("hit", node.shared_hit_blocks), ("read", node.shared_read_blocks)],
        ),
        kind(
            "temp",
            [("read", node.temp_read_blocks), ("written", node.temp_written_blocks)],
        ),
    ];
    kinds.into_iter().flatten().collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::super::samples;
    use super::super::samples::plan;
    use super::*;

    #[test]
    fn a_plan_is_indented_as_the_server_does_it() {
        let text = text(&parse(samples::CTE_AND_SUBPLAN).unwrap());
        let shapes: Vec<&str> = text
            .lines()
            .map(|line| line.split("  (cost").next().unwrap())
            .filter(|line| !line.contains(':'))
            .collect();
        assert_eq!(
            shapes,
            [
                "Limit",
                "  CTE a",
                "    ->  Index Scan using orders_pkey on orders",
                "  InitPlan 2 (returns $1)",
                "    ->  Aggregate",
                "          ->  CTE Scan on a",
                "  ->  CTE Scan on a o",
                "        SubPlan 3",
                "          ->  Aggregate",
                "                ->  Bitmap Heap Scan on item i",
                "                      ->  Bitmap Index Scan on item_order",
            ]
        );
        assert!(text.ends_with(" ms\n"), "{text}");
    }

    #[test]
    fn a_node_has_its_numbers_conditions_and_buffers() {
        let root = json!({
            "Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Startup Cost": 0.0, "Total Cost": 12.5,
            "Plan Rows": 7, "Plan Width": 4, "Actual Rows": 3, "Actual Loops": 2, "Filter": "(a = 1)",
            "Shared Hit Blocks": 5, "Shared Read Blocks": 0, "Temp Read Blocks": 0, "Temp Written Blocks": 8,
        });
        assert_eq!(
            text(&plan(&root)),
            "Seq Scan on t  (cost=0.00..12.50 rows=7 width=4) (actual rows=3 loops=2)\n  Filter: (a = 1)\n  \
             Buffers: shared hit=5, temp written=8\n"
        );
        let timed = json!({ "Node Type": "Result", "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1,
                            "Actual Startup Time": 0.0104, "Actual Total Time": 0.25, "Actual Rows": 1, "Actual Loops": 1 });
        assert_eq!(
            text(&plan(&timed)),
            "Result  (cost=0.00..1.00 rows=1 width=0) (actual time=0.010..0.250 rows=1 loops=1)\n"
        );
        let never = json!({ "Node Type": "Result", "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1,
                            "Actual Rows": 0, "Actual Loops": 0 });
        assert_eq!(
            text(&plan(&never)),
            "Result  (cost=0.00..1.00 rows=1 width=0) (never executed)\n"
        );
    }
}
