//! Finds the counterpart of each node, and what became of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Aligned;
use crate::plan::node::Node;

/// What a node is there for, whatever its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role<'a> {
    Scan,
    Join,
    Group,
    Sort,
    Gather,
    Other(&'a str),
}

impl<'a> Role<'a> {
    fn of(node: &'a Node) -> Self {
        match node.node_type.as_str() {
            _ if node.is_join() => Self::Join,
            "Aggregate" | "Group" | "Unique" => Self::Group,
            "Sort" | "Incremental Sort" => Self::Sort,
            "Gather" | "Gather Merge" => Self::Gather,
            "ModifyTable" => Self::Other("ModifyTable"),
            _ if node.alias.is_some() => Self::Scan,
            other => Self::Other(other),
        }
    }
}

/// A node with what tells its counterpart.
pub(super) struct Placed<'a> {
    pub node: &'a Node,
    pub role: Role<'a>,
    /// The aliases whose rows it carries, those of subplans left out.
    pub covered: BTreeSet<&'a str>,
    pub parent: Option<usize>,
    /// For a subplan: whether its parent reads it into a hash table.
    pub is_hashed: bool,
}

/// The nodes of one plan from the top down.
pub(super) struct Side<'a> {
    pub nodes: Vec<Placed<'a>>,
    /// By position, the position of the counterpart.
    pub counterparts: Vec<Option<usize>>,
}

/// Two plans with the counterparts known.
pub(super) struct Matched<'a> {
    pub from: Side<'a>,
    pub to: Side<'a>,
}

impl<'a> Side<'a> {
    fn new(root: &'a Node) -> Self {
        let mut nodes = Vec::with_capacity(root.n_nodes());
        place(&mut nodes, root, None, None);
        Self {
            counterparts: vec![None; nodes.len()],
            nodes,
        }
    }

    fn aliases(&self) -> BTreeSet<&'a str> {
        self.nodes.iter().flat_map(|placed| &placed.covered).copied().collect()
    }

    /// The relations behind a node's aliases; a table that is read twice counts twice.
    fn relations(&self, placed: &Placed<'a>) -> Vec<&'a str> {
        let relation_of = |alias: &&'a str| {
            let is_its_scan = |scan: &&Placed<'a>| {
                let node: &'a Node = scan.node;
                scan.role == Role::Scan && node.alias.as_deref() == Some(*alias)
            };
            let node: &'a Node = self.nodes.iter().find(is_its_scan)?.node;
            node.relation.as_deref().or(node.object.as_deref())
        };
        let mut relations: Vec<&'a str> = placed.covered.iter().filter_map(relation_of).collect();
        relations.sort_unstable();
        relations
    }

    /// The nearest node above that has a counterpart or is a join, and on which side of it this one stands. What only
    /// prepares rows on the way (a sort, a hash table) is looked through when the other plan does not have it.
    fn anchor(&self, idx: usize) -> (Option<usize>, Option<&'a str>) {
        let mut below = idx;
        loop {
            let top: &'a Node = self.nodes[below].node;
            let side = top.parent_relationship.as_deref();
            let Some(above) = self.nodes[below].parent else {
                return (None, side);
            };
            if self.counterparts[above].is_some() || self.nodes[above].role == Role::Join {
                return (Some(above), side);
            }
            below = above;
        }
    }
}

/// Appends a node and what is below it. `heap` is the alias of the bitmap heap scan above: what collects its bitmap has no
/// alias of its own.
fn place<'a>(nodes: &mut Vec<Placed<'a>>, node: &'a Node, parent: Option<usize>, heap: Option<&'a str>) {
    let idx = nodes.len();
    let role = Role::of(node);
    let own = match role {
        Role::Scan => node.alias.as_deref(),
        _ => heap,
    };
    nodes.push(Placed {
        node,
        role,
        covered: own.into_iter().collect(),
        parent,
        is_hashed: parent.is_some_and(|parent| nodes[parent].node.hashes(node)),
    });
    let heap = match node.node_type.as_str() {
        "Bitmap Heap Scan" => node.alias.as_deref(),
        "BitmapAnd" | "BitmapOr" => heap,
        _ => None,
    };
    for child in &node.children {
        let child_idx = nodes.len();
        place(nodes, child, Some(idx), heap);
        if !child.is_subplan() {
            let covered = nodes[child_idx].covered.clone();
            nodes[idx].covered.extend(covered);
        }
    }
}

impl<'a> Matched<'a> {
    pub fn new(from: &'a Node, to: &'a Node) -> Self {
        let (from, to) = (Side::new(from), Side::new(to));
        let mut matched = Self { from, to };
        matched.pair_up(
            |_, _| true,
            |_, placed| (placed.role, placed.covered.iter().copied().collect()),
        );
        // The planner may choose between two forms of a subquery, which have aliases of their own: `review`, `review_1`.
        let (in_from, in_to) = (matched.from.aliases(), matched.to.aliases());
        matched.pair_up(
            |is_from, placed| {
                let other = if is_from { &in_to } else { &in_from };
                !placed.covered.is_empty() && placed.covered.is_disjoint(other)
            },
            |side, placed| (placed.role, side.relations(placed)),
        );
        matched
    }

    /// Makes counterparts of nodes with equal keys, from the top down, among those that have none yet.
    fn pair_up(
        &mut self,
        takes_part: impl Fn(bool, &Placed<'a>) -> bool,
        key: impl Fn(&Side<'a>, &Placed<'a>) -> (Role<'a>, Vec<&'a str>),
    ) {
        let by_key = |side: &Side<'a>, is_from: bool| {
            let mut by_key: BTreeMap<(Role<'a>, Vec<&'a str>), Vec<usize>> = BTreeMap::new();
            for (idx, placed) in side.nodes.iter().enumerate() {
                if side.counterparts[idx].is_none() && takes_part(is_from, placed) {
                    by_key.entry(key(side, placed)).or_default().push(idx);
                }
            }
            by_key
        };
        let (in_from, in_to) = (by_key(&self.from, true), by_key(&self.to, false));
        for (key, from_idxs) in in_from {
            for (from_idx, to_idx) in from_idxs.iter().zip(in_to.get(&key).into_iter().flatten()) {
                self.from.counterparts[*from_idx] = Some(*to_idx);
                self.to.counterparts[*to_idx] = Some(*from_idx);
            }
        }
    }

    /// Positions of counterparts, in the order of the first plan.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let counterparts = self.from.counterparts.iter().enumerate();
        counterparts.filter_map(|(from_idx, to_idx)| Some((from_idx, (*to_idx)?)))
    }

    pub fn aligned(&self) -> Vec<Aligned> {
        let moved = self.moved();
        let removed = |from_idx: usize| Aligned {
            from: Some(from_idx),
            to: None,
            is_changed: false,
            is_moved: false,
        };
        // By the position of the node of the second plan that they stand before: what they carried, else what came next.
        let mut waiting: BTreeMap<usize, Vec<Aligned>> = BTreeMap::new();
        let counterparts = &self.from.counterparts;
        let mut last = None;
        for (from_idx, counterpart) in counterparts.iter().enumerate() {
            if counterpart.is_some() {
                last = *counterpart;
                continue;
            }
            let below = from_idx + 1..from_idx + self.from.nodes[from_idx].node.n_nodes();
            let carried = below.clone().find_map(|idx| counterparts[idx]);
            let before = carried.unwrap_or_else(|| last.map_or(0, |last| last + 1));
            waiting.entry(before).or_default().push(removed(from_idx));
        }
        let mut aligned = Vec::with_capacity(counterparts.len() + self.to.nodes.len());
        for (to_idx, from) in self.to.counterparts.iter().enumerate() {
            aligned.extend(waiting.remove(&to_idx).unwrap_or_default());
            aligned.push(Aligned {
                from: *from,
                to: Some(to_idx),
                is_changed: from.is_some_and(|from_idx| self.is_changed(from_idx, to_idx)),
                is_moved: moved.contains(&to_idx),
            });
        }
        aligned.extend(waiting.into_values().flatten());
        aligned
    }

    /// Whether counterparts differ in what the fingerprint is made of, their places left aside.
    pub fn is_changed(&self, from_idx: usize, to_idx: usize) -> bool {
        let (a, b) = (&self.from.nodes[from_idx], &self.to.nodes[to_idx]);
        let shape = |node: &'a Node| (&node.node_type, node.parallel_aware, node.shape());
        shape(a.node) != shape(b.node) || a.is_hashed != b.is_hashed
    }

    /// Positions in the second plan of the counterparts that stand elsewhere.
    fn moved(&self) -> BTreeSet<usize> {
        let mut moved = BTreeSet::new();
        // By their common anchor, in the order of each plan.
        let mut stayed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from_idx, to_idx) in self.pairs() {
            let ((from_anchor, from_side), (to_anchor, to_side)) = (self.from.anchor(from_idx), self.to.anchor(to_idx));
            let counterpart = from_anchor.map(|anchor| self.from.counterparts[anchor]);
            let stays = counterpart == to_anchor.map(Some) && from_side == to_side;
            match (stays, to_anchor) {
                (false, _) => {
                    moved.insert(to_idx);
                }
                (true, Some(anchor)) => stayed.entry(anchor).or_default().push(to_idx),
                (true, None) => {}
            }
        }
        for in_from_order in stayed.into_values() {
            let mut in_to_order = in_from_order.clone();
            in_to_order.sort_unstable();
            let out_of_order = in_from_order.iter().zip(&in_to_order).filter(|(a, b)| a != b);
            moved.extend(out_of_order.map(|(to_idx, _)| *to_idx));
        }
        moved
    }
}
