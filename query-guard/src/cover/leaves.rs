//! A set of leaves of one hierarchy, as sorted intervals that do not touch.

/// Leaves by number, in half-open intervals: sorted, disjoint, and no two of them adjacent, so that equal sets are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafSet {
    intervals: Vec<(u32, u32)>,
}

impl LeafSet {
    /// The empty set.
    #[must_use]
    pub fn none() -> Self {
        LeafSet::default()
    }

    /// The leaves from `start` up to, but not including, `end`; empty when they are not in order.
    #[must_use]
    pub fn range(start: u32, end: u32) -> Self {
        LeafSet { intervals: if start < end { vec![(start, end)] } else { Vec::new() } }
    }

    /// One leaf.
    #[must_use]
    pub fn one(leaf: u32) -> Self {
        LeafSet::range(leaf, leaf.saturating_add(1))
    }

    /// The leaves of a rising sequence.
    #[must_use]
    pub fn of(rising: impl IntoIterator<Item = u32>) -> Self {
        let mut intervals: Vec<(u32, u32)> = Vec::new();
        for leaf in rising {
            match intervals.last_mut() {
                Some((_, end)) if *end == leaf => *end = leaf.saturating_add(1),
                _ => intervals.push((leaf, leaf.saturating_add(1))),
            }
        }
        LeafSet { intervals }
    }

    /// True if no leaf is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// True if the leaf is in it.
    #[must_use]
    pub fn contains(&self, leaf: u32) -> bool {
        let after = self.intervals.partition_point(|(start, _)| *start <= leaf);
        after.checked_sub(1).and_then(|at| self.intervals.get(at)).is_some_and(|(_, end)| leaf < *end)
    }

    /// The intervals, in order.
    pub fn intervals(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.intervals.iter().copied()
    }

    /// The leaves of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<(u32, u32)> = self.intervals().chain(other.intervals()).collect();
        all.sort_unstable();
        let mut intervals: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match intervals.last_mut() {
                Some((_, last)) if start <= *last => *last = end.max(*last),
                _ => intervals.push((start, end)),
            }
        }
        LeafSet { intervals }
    }

    /// The leaves below `leaves` that are not in it.
    #[must_use]
    pub fn complement(&self, leaves: u32) -> Self {
        let mut intervals = Vec::with_capacity(self.intervals.len() + 1);
        let mut from = 0;
        for (start, end) in self.intervals() {
            if from < start.min(leaves) {
                intervals.push((from, start.min(leaves)));
            }
            from = end;
        }
        if from < leaves {
            intervals.push((from, leaves));
        }
        LeafSet { intervals }
    }

    /// The leaves of it within an interval.
    #[must_use]
    pub fn within(&self, start: u32, end: u32) -> Self {
        let first = self.intervals.partition_point(|(_, known)| *known <= start);
        let intervals = self.intervals.iter().skip(first);
        let intervals = intervals.map(|(from, to)| ((*from).max(start), (*to).min(end)));
        LeafSet { intervals: intervals.take_while(|(from, to)| from < to).collect() }
    }

    /// True if every leaf of the interval is in it.
    #[must_use]
    pub fn covers(&self, start: u32, end: u32) -> bool {
        start >= end || self.within(start, end) == LeafSet::range(start, end)
    }
}
