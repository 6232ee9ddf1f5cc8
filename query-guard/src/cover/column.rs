//! The cover of one column: a set of leaves as the fewest nodes, added and taken away.
//!
//! A node is the parent without its excluded children where that is strictly fewer nodes, and the children otherwise, so that
//! `NOT IN` three of a hundred villages is all of them minus three, and a year is one node.

use super::hierarchy::Hierarchy;
use super::hierarchy::Node;
use super::leaves::LeafSet;

/// The nodes of a cover, each with its sign.
type Signed = Vec<(Node, i64)>;

/// The signed nodes whose sum is the set: for every leaf the coefficients of the nodes above it add up to one if it is in the
/// set, and to zero if not. In the order of the nodes. Nothing when there would be more than `most`.
///
/// To have a value is all less the missing. Of a column that is never missing both are the same rows: with a node of its own "has a
/// value" would be a further draw of the noise of all of them, and eight such columns in every combination 256 draws, whose mean has
/// next to no noise.
#[must_use]
pub fn cover(hierarchy: &Hierarchy, set: &LeafSet, most: usize) -> Option<Signed> {
    let missing = Node { level: hierarchy.leaf_level(), index: hierarchy.missing() };
    if *set == LeafSet::range(0, missing.index) {
        return Some(vec![(Node::ROOT, 1), (missing, -1)]).filter(|nodes| nodes.len() <= most);
    }
    if let Some(node) = hierarchy.node_with(set) {
        return Some(vec![(node, 1)]).filter(|nodes| nodes.len() <= most);
    }
    let mut nodes = cover_of(hierarchy, Node::ROOT, set, most)?;
    nodes.sort_unstable();
    Some(nodes)
}

/// The cover of the part of a set that lies in a node.
fn cover_of(hierarchy: &Hierarchy, node: Node, set: &LeafSet, most: usize) -> Option<Signed> {
    let (start, end) = hierarchy.span(node);
    let inside = set.within(start, end);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    if inside.covers(start, end) {
        return Some(vec![(node, 1)]).filter(|nodes| nodes.len() <= most);
    }
    let children = children_of(hierarchy, node, &inside, most);
    let outside = inside.complement(end).within(start, end);
    let without = children_of(hierarchy, node, &outside, most.saturating_sub(1)).map(|excluded| {
        let excluded = excluded.into_iter().map(|(node, sign)| (node, -sign));
        std::iter::once((node, 1)).chain(excluded).collect::<Signed>()
    });
    match (children, without) {
        (Some(children), Some(without)) if without.len() < children.len() => Some(without),
        (Some(children), _) => Some(children),
        (None, without) => without,
    }
}

/// The covers of all children of a node together.
fn children_of(hierarchy: &Hierarchy, node: Node, inside: &LeafSet, most: usize) -> Option<Signed> {
    let level = node.level + 1;
    let mut nodes = Signed::new();
    let mut done = 0;
    for (start, end) in inside.intervals() {
        // Children that are cut by an end of the interval are looked into; the others are whole.
        let (first, after) = hierarchy.nodes_in(level, start, end);
        let whole = usize::try_from(after - first).unwrap_or(usize::MAX);
        if nodes.len().saturating_add(whole) > most {
            return None;
        }
        for leaf in [start, end - 1] {
            let cut = hierarchy.node_of(level, leaf);
            let (_, cut_end) = hierarchy.span(cut);
            if !(first..after).contains(&cut.index) && cut_end > done {
                nodes.extend(cover_of(hierarchy, cut, inside, most)?);
                done = cut_end;
            }
        }
        nodes.extend((first..after).map(|index| (Node { level, index }, 1)));
        if nodes.len() > most {
            return None;
        }
    }
    Some(nodes)
}
