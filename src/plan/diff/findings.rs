//! The differences of two plans in words, the weightiest kind first.

use std::collections::BTreeSet;

use super::align::Matched;
use super::align::Placed;
use super::align::Role;
use super::align::Side;
use crate::plan::node::Node;
use crate::plan::rows::scanned;

/// Relations that a sentence names before it only counts them.
const MOST_NAMED: usize = 4;

/// What differs, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// How a relation is read.
    Access,
    JoinOrder,
    JoinMethod,
    /// Which input of a join is the first.
    JoinSides,
    Subquery,
    Grouping,
    Sorting,
    /// Rows kept to be read again.
    Keeping,
    Parallel,
    /// Anything else.
    Other,
}

/// One difference: under the first plan so, under the second otherwise, or under one of them only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub kind: Kind,
    /// What the query does: `reads orders`.
    pub subject: String,
    /// How, by the first plan: `by sequential scan`. `None` when only the second does it at all.
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Finding {
    /// The sentence without its subject, the query: `reads orders by index a under x, by sequential scan under y`.
    pub fn words(&self, from_label: &str, to_label: &str) -> String {
        let subject = &self.subject;
        let space = |how: &str| {
            if how.is_empty() {
                String::new()
            } else {
                format!(" {how}")
            }
        };
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => format!("{subject} {from} under {from_label}, {to} under {to_label}"),
            (Some(how), None) => format!("{subject}{} under {from_label} only", space(how)),
            (None, Some(how)) => format!("{subject}{} under {to_label} only", space(how)),
            (None, None) => subject.clone(),
        }
    }
}

pub(super) fn findings(matched: &Matched<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (from_idx, to_idx) in matched.pairs() {
        let (from, to) = (&matched.from.nodes[from_idx], &matched.to.nodes[to_idx]);
        let found = match from.role {
            Role::Scan => access(matched, from_idx, to_idx),
            Role::Join => join(matched, from_idx, to_idx),
            Role::Group => both(
                Kind::Grouping,
                "groups".to_owned(),
                grouping(from.node),
                grouping(to.node),
            ),
            Role::Sort => both(
                Kind::Sorting,
                format!("sorts the rows of {}", common_names(matched, from, to)),
                sorting(from.node),
                sorting(to.node),
            ),
            Role::Gather | Role::Other(_) => None,
        };
        findings.extend(found);
        findings.extend(subquery(from, to));
    }
    findings.extend(alone(&matched.from).map(|(kind, subject, how)| Finding {
        kind,
        subject,
        from: Some(how),
        to: None,
    }));
    findings.extend(alone(&matched.to).map(|(kind, subject, how)| Finding {
        kind,
        subject,
        from: None,
        to: Some(how),
    }));
    findings.extend(join_order(matched));
    if findings.is_empty() && !matched.aligned().iter().all(super::Aligned::is_same) {
        findings.push(Finding {
            kind: Kind::Other,
            subject: "differs in details of its plan".to_owned(),
            from: None,
            to: None,
        });
    }
    findings.sort();
    findings.dedup();
    findings
}

/// A finding, if both sides do not do it alike.
fn both(kind: Kind, subject: String, from: String, to: String) -> Option<Finding> {
    (from != to).then_some(Finding {
        kind,
        subject,
        from: Some(from),
        to: Some(to),
    })
}

fn access(matched: &Matched<'_>, from_idx: usize, to_idx: usize) -> Option<Finding> {
    let (from, to) = (&matched.from, &matched.to);
    let relation = |side: &Side<'_>, idx: usize| scanned(side.nodes[idx].node).unwrap_or_default();
    // As in `common_names`.
    let relation = relation(from, from_idx).min(relation(to, to_idx));
    both(
        Kind::Access,
        format!("reads {relation}"),
        reading(from.nodes[from_idx].node),
        reading(to.nodes[to_idx].node),
    )
}

/// `by index orders_pkey`.
fn reading(scan: &Node) -> String {
    let parallel = if scan.parallel_aware { "parallel " } else { "" };
    let backwards = match scan.scan_direction.as_deref() {
        Some("Backward") => " backwards",
        _ => "",
    };
    let index = scan.index.as_deref().unwrap_or("?");
    match scan.node_type.as_str() {
        "Seq Scan" => format!("by {parallel}sequential scan"),
        "Index Scan" => format!("by {parallel}index {index}{backwards}"),
        "Index Only Scan" => format!("by {parallel}index {index} alone{backwards}"),
        "Bitmap Heap Scan" => {
            let mut indexes = Vec::new();
            list_indexes(scan, &mut indexes);
            let noun = if indexes.len() == 1 { "index" } else { "indexes" };
            format!("by a {parallel}bitmap of {noun} {}", indexes.join(" and "))
        }
        "Tid Scan" | "Tid Range Scan" => "by row address".to_owned(),
        other => format!("by {parallel}{}", other.to_lowercase()),
    }
}

fn list_indexes<'a>(node: &'a Node, indexes: &mut Vec<&'a str>) {
    indexes.extend(node.index.as_deref());
    for child in node.children.iter().filter(|child| !child.is_subplan()) {
        list_indexes(child, indexes);
    }
}

fn join(matched: &Matched<'_>, from_idx: usize, to_idx: usize) -> Option<Finding> {
    let (from, to) = (&matched.from, &matched.to);
    let (a, b) = (&from.nodes[from_idx], &to.nodes[to_idx]);
    let subject = format!("joins {}", common_names(matched, a, b));
    let ways = (method(a.node), method(b.node));
    if ways.0 != ways.1 {
        return both(Kind::JoinMethod, subject, ways.0, ways.1);
    }
    let (inputs_a, inputs_b) = (inputs(from, from_idx), inputs(to, to_idx));
    let is_swapped = inputs_a.len() == 2 && inputs_a.iter().rev().eq(inputs_b.iter());
    if !is_swapped {
        return None;
    }
    let way = |side: &Side<'_>, join: &Node, inputs: &[BTreeSet<&str>]| match join.node_type.as_str() {
        "Hash Join" => format!("hashing {}", names(side, &inputs[1])),
        _ => format!("starting from {}", names(side, &inputs[0])),
    };
    both(
        Kind::JoinSides,
        subject,
        way(from, a.node, &inputs_a),
        way(to, b.node, &inputs_b),
    )
}

/// `by hash join`. Left and right outer joins are one join seen from either side.
fn method(join: &Node) -> String {
    let join_type = match join.join_type.as_deref() {
        None | Some("Inner" | "Left" | "Right") => String::new(),
        Some(other) => format!(" ({})", other.to_lowercase()),
    };
    format!("by {}{join_type}", join.node_type.to_lowercase())
}

/// What the inputs of a join cover, the outer one first.
fn inputs<'a>(side: &Side<'a>, join_idx: usize) -> Vec<BTreeSet<&'a str>> {
    let children = side.nodes.iter().filter(|placed| placed.parent == Some(join_idx));
    children
        .filter(|child| !child.node.is_subplan())
        .map(|child| child.covered.clone())
        .collect()
}

fn subquery(from: &Placed<'_>, to: &Placed<'_>) -> Option<Finding> {
    if !from.node.is_subplan() || !to.node.is_subplan() {
        return None;
    }
    let way = |placed: &Placed<'_>| {
        let way = if placed.is_hashed {
            "once, into a hash table"
        } else {
            "again for each row that asks"
        };
        way.to_owned()
    };
    let name = |placed: &Placed<'_>| placed.node.subplan_name.clone().unwrap_or_default();
    both(
        Kind::Subquery,
        format!("runs {}", name(from).min(name(to))),
        way(from),
        way(to),
    )
}

fn grouping(node: &Node) -> String {
    let way = match (node.node_type.as_str(), node.strategy.as_deref()) {
        ("Aggregate", Some("Hashed")) => "by hashing",
        ("Aggregate", Some("Mixed")) => "by hashing and sorting",
        ("Aggregate", Some("Plain")) => "into one row",
        _ => "by sorting",
    };
    let half = match node.partial_mode.as_deref() {
        Some("Partial" | "Finalize") => " in two steps",
        _ => "",
    };
    format!("{way}{half}")
}

fn sorting(node: &Node) -> String {
    match node.node_type.as_str() {
        "Incremental Sort" => "incrementally".to_owned(),
        _ => "in full".to_owned(),
    }
}

/// What only one plan does: kind, subject and how.
fn alone<'s>(side: &'s Side<'_>) -> impl Iterator<Item = (Kind, String, String)> + 's {
    let without = side.nodes.iter().zip(&side.counterparts);
    without
        .filter(|(_, counterpart)| counterpart.is_none())
        .filter_map(|(placed, _)| {
            let rows = || format!("the rows of {}", names(side, &placed.covered));
            let (kind, subject, how) = match placed.role {
                Role::Scan => (
                    Kind::Access,
                    format!("reads {}", scanned(placed.node)?),
                    reading(placed.node),
                ),
                Role::Sort => (Kind::Sorting, format!("sorts {}", rows()), String::new()),
                Role::Group => (Kind::Grouping, format!("groups {}", rows()), grouping(placed.node)),
                Role::Gather => (Kind::Parallel, "works in parallel".to_owned(), String::new()),
                Role::Other("Memoize") => (
                    Kind::Keeping,
                    format!("remembers looked-up rows of {}", names(side, &placed.covered)),
                    String::new(),
                ),
                Role::Other("Materialize") => (Kind::Keeping, format!("keeps {} in memory", rows()), String::new()),
                // Joins are told by their order, the rest belongs to what it serves.
                Role::Join | Role::Other(_) => return None,
            };
            Some((kind, subject, how))
        })
}

/// One finding for the statement and one for each of its subqueries whose joins cover other relations.
fn join_order(matched: &Matched<'_>) -> Vec<Finding> {
    let (from, to) = (scopes(&matched.from), scopes(&matched.to));
    from.into_iter()
        .zip(to)
        .filter(|((_, joins_a), (_, joins_b))| joins_a != joins_b)
        .filter_map(|((root_a, joins_a), (root_b, joins_b))| {
            // With a scan more or less the joins cannot be the same; the scan is told by itself.
            let most = |joins: &BTreeSet<BTreeSet<&str>>| joins.iter().map(BTreeSet::len).max();
            if most(&joins_a) != most(&joins_b) {
                return None;
            }
            both(
                Kind::JoinOrder,
                "joins".to_owned(),
                order(&matched.from, root_a).words(),
                order(&matched.to, root_b).words(),
            )
        })
        .collect()
}

/// The statement and its subplans: where each begins, and what its joins cover.
fn scopes<'a>(side: &Side<'a>) -> Vec<(usize, BTreeSet<BTreeSet<&'a str>>)> {
    let mut scopes: Vec<(usize, BTreeSet<BTreeSet<&'a str>>)> = Vec::new();
    let mut scope_of: Vec<usize> = Vec::with_capacity(side.nodes.len());
    for (idx, placed) in side.nodes.iter().enumerate() {
        let scope = match placed.parent {
            Some(parent) if !placed.node.is_subplan() => scope_of[parent],
            _ => {
                scopes.push((idx, BTreeSet::new()));
                scopes.len() - 1
            }
        };
        scope_of.push(scope);
        if placed.role == Role::Join {
            scopes[scope].1.insert(placed.covered.clone());
        }
    }
    scopes
}

/// Relations in the order in which they are joined.
enum Order {
    Nothing,
    One(String),
    Many(String),
}

impl Order {
    fn words(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::One(words) | Self::Many(words) => words,
        }
    }
}

/// `a with b, then c`; two results of joins are put in brackets.
fn order(side: &Side<'_>, idx: usize) -> Order {
    let placed = &side.nodes[idx];
    if placed.role == Role::Scan {
        return Order::One(scanned(placed.node).unwrap_or_default());
    }
    let mut inputs: Vec<Order> = (idx + 1..side.nodes.len())
        .filter(|child| side.nodes[*child].parent == Some(idx) && !side.nodes[*child].node.is_subplan())
        .map(|child| order(side, child))
        .collect();
    if placed.role != Role::Join {
        return match inputs.len() {
            0 => Order::Nothing,
            1 => inputs.remove(0),
            _ => {
                let inputs: Vec<String> = inputs.into_iter().map(Order::words).collect();
                Order::Many(format!("({})", inputs.join(" and ")))
            }
        };
    }
    match (inputs.pop(), inputs.pop()) {
        (Some(Order::One(inner)), Some(Order::One(outer))) => {
            let (first, second) = if outer <= inner { (outer, inner) } else { (inner, outer) };
            Order::Many(format!("{first} with {second}"))
        }
        (Some(Order::One(one)), Some(Order::Many(many))) | (Some(Order::Many(many)), Some(Order::One(one))) => {
            Order::Many(format!("{many}, then {one}"))
        }
        (Some(inner), Some(outer)) => Order::Many(format!("({}) with ({})", outer.words(), inner.words())),
        (inner, outer) => inner.or(outer).unwrap_or(Order::Nothing),
    }
}

/// The names under which counterparts are told. Two forms of one subquery may differ in an alias: what comes first serves
/// for both, whichever side it is on.
fn common_names(matched: &Matched<'_>, from: &Placed<'_>, to: &Placed<'_>) -> String {
    names(&matched.from, &from.covered).min(names(&matched.to, &to.covered))
}

/// `orders`, `customer and orders`, `a, b and c`, `6 relations (a, b, c, d and more)`.
fn names(side: &Side<'_>, aliases: &BTreeSet<&str>) -> String {
    let name = |alias: &&str| {
        let scan = side.nodes.iter().find(|placed| {
            let node: &Node = placed.node;
            placed.role == Role::Scan && node.alias.as_deref() == Some(*alias)
        });
        scan.and_then(|placed| scanned(placed.node))
            .unwrap_or_else(|| (*alias).to_owned())
    };
    let names: Vec<String> = aliases.iter().take(MOST_NAMED).map(name).collect();
    match names.as_slice() {
        [] => "a subquery".to_owned(),
        [one] => one.clone(),
        _ if aliases.len() > MOST_NAMED => format!("{} relations ({}, …)", aliases.len(), names.join(", ")),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
