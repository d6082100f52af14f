//! Reads EXPLAIN (FORMAT JSON), with or without ANALYZE, BUFFERS, SETTINGS and TIMING. It forgives: an option that was off
//! leaves its keys out, and servers write numbers that JSON does not have. It does not judge the plan.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::node::Node;
use super::node::Plan;

/// A hundred joined tables made a plan of 99 levels, more than `serde_json` reads into a tree. Each level is read
/// on its own here, and the bound keeps a plan within a thread's stack.
const MAX_DEPTH: usize = 256;

/// Conditions, keys and counters that are shown, in the order they are shown.
const DETAILS: [&str; 22] = [
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Order By",
    "Function Call",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Run Condition",
    "Cache Key",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Grouping Sets",
    "Sort Method",
    "Rows Removed by Filter",
    "Rows Removed by Join Filter",
    "Rows Removed by Index Recheck",
    "Heap Fetches",
    "Subplans Removed",
];

/// Why a text is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the answer to EXPLAIN could not be read")]
    Malformed(#[from] serde_json::Error),
    #[error("EXPLAIN gave no plan for this statement")]
    NoPlan,
    #[error("the plan is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// Reads the text of EXPLAIN (FORMAT JSON) as the server sent it. A statement that rules rewrote into several has
/// several plans; the first is taken.
pub fn parse(text: &str) -> Result<Plan, PlanError> {
    let text = quote_non_finite(text);
    let document: &RawValue = serde_json::from_str(&text)?;
    let statements = if document.get().starts_with('[') {
        serde_json::from_str(document.get())?
    } else {
        vec![document]
    };
    // Elements that are not objects are words like "Utility Statement".
    let explained = statements
        .into_iter()
        .filter_map(|statement| Fields::read(statement).ok())
        .find_map(|fields| fields.0.get("Plan").copied().map(|plan| (plan, fields)));
    let (plan, fields) = explained.ok_or(PlanError::NoPlan)?;
    Ok(Plan {
        root: read_node(plan, MAX_DEPTH)?,
        planning_ms: fields.number("Planning Time"),
        execution_ms: fields.number("Execution Time"),
        settings: fields.settings(),
    })
}

fn read_node(text: &RawValue, levels_left: usize) -> Result<Node, PlanError> {
    let levels_below = levels_left.checked_sub(1).ok_or(PlanError::TooDeep)?;
    let fields = Fields::read(text)?;
    let children = fields
        .array("Plans")?
        .into_iter()
        .map(|child| read_node(child, levels_below))
        .collect::<Result<Vec<Node>, PlanError>>()?;
    Ok(fields.node(children))
}

/// The keys of one JSON object, its values still text.
struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    fn read(text: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.get()).map(Self)
    }

    fn node(&self, children: Vec<Node>) -> Node {
        Node {
            node_type: self.text("Node Type").unwrap_or_else(|| "Unknown".to_owned()),
            relation: self.relation(),
            object: self.first_text(&["CTE Name", "Function Name", "Table Function Name", "Tuplestore Name"]),
            alias: self.text("Alias"),
            index: self.text("Index Name"),
            scan_direction: self.text("Scan Direction"),
            join_type: self.text("Join Type"),
            inner_unique: self.flag("Inner Unique"),
            strategy: self.text("Strategy"),
            partial_mode: self.text("Partial Mode"),
            operation: self.first_text(&["Operation", "Command"]),
            parallel_aware: self.flag("Parallel Aware"),
            workers_planned: self.count("Workers Planned"),
            startup_cost: self.number("Startup Cost").unwrap_or(f64::NAN),
            total_cost: self.number("Total Cost").unwrap_or(f64::NAN),
            plan_rows: self.number("Plan Rows").unwrap_or(f64::NAN),
            plan_width: self.count("Plan Width").unwrap_or(0),
            actual_rows: self.number("Actual Rows"),
            actual_loops: self.number("Actual Loops"),
            actual_startup_ms: self.number("Actual Startup Time"),
            actual_total_ms: self.number("Actual Total Time"),
            shared_hit_blocks: self.count("Shared Hit Blocks"),
            shared_read_blocks: self.count("Shared Read Blocks"),
            temp_read_blocks: self.count("Temp Read Blocks"),
            temp_written_blocks: self.count("Temp Written Blocks"),
            details: self.details(),
            parent_relationship: self.text("Parent Relationship"),
            subplan_name: self.text("Subplan Name"),
            children,
        }
    }

    fn relation(&self) -> Option<String> {
        let relation = self.text("Relation Name")?;
        Some(match self.text("Schema") {
            Some(schema) => format!("{schema}.{relation}"),
            None => relation,
        })
    }

    /// Counters that stayed at zero are left out: they are most of them.
    fn details(&self) -> Vec<(String, String)> {
        DETAILS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), shown(&self.value(key)?))))
            .filter(|(_, text)| !text.is_empty() && text != "0")
            .collect()
    }

    fn settings(&self) -> BTreeMap<String, String> {
        match self.value("Settings") {
            Some(Value::Object(settings)) => settings
                .iter()
                .map(|(name, value)| (name.clone(), shown(value)))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    fn array(&self, key: &str) -> Result<Vec<&'a RawValue>, serde_json::Error> {
        self.0
            .get(key)
            .map_or(Ok(Vec::new()), |text| serde_json::from_str(text.get()))
    }

    fn value(&self, key: &str) -> Option<Value> {
        // A value nested too deep for `serde_json` is none of those that are asked for.
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.value(key)?.as_u64()
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn first_text(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.text(key))
    }

    fn flag(&self, key: &str) -> bool {
        self.value(key) == Some(Value::Bool(true))
    }
}

/// A value as a person reads it: texts bare, lists with commas.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<String>>().join(", "),
        // Grouping sets come as objects of lists.
        Value::Object(fields) => fields.values().map(shown).collect::<Vec<String>>().join("; "),
        other => other.to_string(),
    }
}

/// Puts quotes around `Infinity`, `-Infinity` and `NaN` where they stand as numbers, which makes the text JSON. The words
/// are left alone inside strings: `'Infinity'::float8` is a fine condition.
fn quote_non_finite(text: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut copied_to = 0;
    for (start, end) in bare_words(text) {
        let word = &text[start..end];
        if word.parse::<f64>().is_ok_and(|number| !number.is_finite()) && !word.contains(|c: char| c.is_ascii_digit()) {
            quoted.push_str(&text[copied_to..start]);
            quoted.push('"');
            quoted.push_str(word);
            quoted.push('"');
            copied_to = end;
        }
    }
    if copied_to == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied_to..]);
    Cow::Owned(quoted)
}

/// Where the numbers and the words outside strings begin and end, in bytes.
fn bare_words(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                b'"' => at = end_of_string(bytes, at + 1),
                byte if is_word_byte(byte) => {
                    at += bytes[at..].iter().take_while(|byte| is_word_byte(**byte)).count();
                    return Some((start, at));
                }
                _ => at += 1,
            }
        }
        None
    })
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// The position after the quote that closes the string whose text begins at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::super::samples;
    use super::*;

    fn detail<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
        let (_, text) = node.details.iter().find(|(key, _)| key == name)?;
        Some(text)
    }

    /// A chain of nodes, each the only child of the one above.
    fn nested(n_levels: usize) -> String {
        let node = r#"{"Node Type": "Result", "Plans": ["#;
        format!(r#"[{{"Plan": {}{}}}]"#, node.repeat(n_levels), "]}".repeat(n_levels))
    }

    #[test]
    fn what_the_server_sent_is_read() {
        let plan = parse(samples::THREE_WAY_JOIN).unwrap();
        assert_eq!(plan.planning_ms, Some(1.197));
        assert_eq!(plan.execution_ms, Some(16.787));
        assert_eq!(plan.settings["jit"], "off");

        let sort = &plan.root.children[0];
        assert_eq!(sort.parent_relationship.as_deref(), Some("Outer"));
        assert_eq!(detail(sort, "Sort Key"), Some("(count(*)) DESC"));

        let nested_loop = &sort.children[0].children[0];
        assert_eq!(nested_loop.join_type.as_deref(), Some("Inner"));
        let scan = &nested_loop.children[1];
        assert_eq!(scan.node_type, "Index Only Scan");
        assert_eq!(scan.relation.as_deref(), Some("item"));
        assert_eq!(scan.alias.as_deref(), Some("i"));
        assert_eq!(scan.index.as_deref(), Some("item_order"));
        assert_eq!(scan.actual_loops, Some(2000.0));
        assert_eq!(detail(scan, "Index Cond"), Some("(order_id = o.id)"));
        assert_eq!(
            detail(scan, "Heap Fetches"),
            None,
            "a counter at zero is not worth a line"
        );
        assert_eq!(scan.actual_total_ms, None, "TIMING was off");
    }

    #[test]
    fn keys_of_options_that_were_off_may_be_missing() {
        let plan = parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap();
        assert_eq!(plan.root.actual_rows, None);
        assert_eq!(plan.execution_ms, None);
        assert!(plan.settings.is_empty());

        let bare = parse(r#"[{"Plan": {}}]"#).unwrap().root;
        assert_eq!(bare.node_type, "Unknown");
        assert!(bare.total_cost.is_nan() && bare.plan_rows.is_nan());
        assert!(bare.children.is_empty());
    }

    #[test]
    fn a_relation_has_its_schema_when_the_server_gave_one() {
        let plan = parse(r#"[{"Plan": {"Relation Name": "item", "Schema": "shop"}}]"#).unwrap();
        assert_eq!(plan.root.relation.as_deref(), Some("shop.item"));
    }

    #[test]
    fn an_infinite_cost_is_read_though_it_is_no_json() {
        let plan = parse(samples::INFINITE_COST).unwrap();
        assert!(plan.cost().is_infinite());
        let scan = &plan.root.children[0];
        assert!(scan.plan_rows > 9e99, "a hundred digits are a number too");
    }

    #[test]
    fn the_words_of_non_finite_numbers_are_numbers_only_outside_strings() {
        let text = r#"[{"Plan": {"Total Cost": -Infinity, "Startup Cost": NaN,
            "Filter": "(x < '-Infinity'::float8 AND s = '\"NaN: NaN, ')", "Alias": "Infinity"}}]"#;
        let root = parse(text).unwrap().root;
        assert!(root.total_cost.is_infinite() && root.total_cost < 0.0);
        assert!(root.startup_cost.is_nan());
        assert_eq!(
            detail(&root, "Filter"),
            Some(r#"(x < '-Infinity'::float8 AND s = '"NaN: NaN, ')"#)
        );
        assert_eq!(root.alias.as_deref(), Some("Infinity"));
    }

    #[test]
    fn lists_and_grouping_sets_become_one_line() {
        let text = r#"[{"Plan": {"Sort Key": ["a", "b DESC"],
            "Grouping Sets": [{"Hash Keys": [["a"], ["b", "c"]]}]}}]"#;
        let root = parse(text).unwrap().root;
        assert_eq!(detail(&root, "Sort Key"), Some("a, b DESC"));
        assert_eq!(detail(&root, "Grouping Sets"), Some("a, b, c"));
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        assert!(matches!(parse("Seq Scan on t"), Err(PlanError::Malformed(_))));
        assert!(matches!(parse(""), Err(PlanError::Malformed(_))));
        assert!(matches!(parse(r#"["Utility Statement"]"#), Err(PlanError::NoPlan)));
        assert!(matches!(parse("[]"), Err(PlanError::NoPlan)));
        assert!(matches!(parse(r#"[{"Plan": 5}]"#), Err(PlanError::Malformed(_))));
    }

    #[test]
    fn the_first_plan_of_a_rewritten_statement_is_taken() {
        let plan = parse(r#"[{"Plan": {"Node Type": "A"}}, {"Plan": {"Node Type": "B"}}]"#).unwrap();
        assert_eq!(plan.root.node_type, "A");
    }

    #[test]
    fn a_plan_deeper_than_serde_json_allows_is_read_up_to_a_bound() {
        assert_eq!(parse(&nested(MAX_DEPTH)).unwrap().root.n_nodes(), MAX_DEPTH);
        assert!(matches!(parse(&nested(MAX_DEPTH + 1)), Err(PlanError::TooDeep)));
        assert!(matches!(parse(&nested(2 * MAX_DEPTH)), Err(PlanError::TooDeep)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn a_damaged_document_does_not_make_it_panic(cut in 0..samples::CTE_AND_SUBPLAN.len(), mark in "[\"\\\\{}\\[\\]a-]") {
            let (before, after) = samples::CTE_AND_SUBPLAN.split_at(cut);
            let _ = parse(&format!("{before}{mark}{after}"));
            let _ = parse(before);
        }

        #[test]
        fn a_document_without_such_numbers_is_left_as_it_is(condition in any::<String>()) {
            let text = serde_json::json!([{ "Plan": { "Filter": condition, "Plan Rows": 1e30 } }]).to_string();
            assert_eq!(quote_non_finite(&text), text);
        }
    }
}
