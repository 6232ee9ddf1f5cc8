//! Did you mean: the known word nearest to a mistyped one. It knows no list of its own; the caller hands over the words
//! that the reader may know of.

/// Finds the word that the writer most likely meant: the nearest by edits, if it is near enough to be a slip.
///
/// Case is no difference, and neither is a hyphen for an underscore.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = folded(typed);
    // Longer words have room for more slips; of short ones too many are near.
    let most = match typed.len() {
        0 => return None,
        1..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let near = known.into_iter().filter_map(|word| {
        let other = folded(word);
        (other.len().abs_diff(typed.len()) <= most).then(|| (distance(&typed, &other), word))
    });
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, word)| word)
}

/// Longest word that is compared, in characters.
const CHARACTERS_MAX: usize = 128;

fn folded(word: &str) -> Vec<char> {
    let same = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    word.chars().take(CHARACTERS_MAX).map(same).collect()
}

/// Letters added, left out, changed, or swapped with their neighbour (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut left_of_one: Option<char> = None;
    for (row, a) in one.iter().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        let mut left_of_other: Option<char> = None;
        for (column, b) in other.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let changed = get(&above, column).saturating_add(usize::from(a != b));
            let added = get(&current, column).saturating_add(1);
            let left_out = get(&above, column + 1).saturating_add(1);
            let mut least = changed.min(added).min(left_out);
            if left_of_one == Some(*b) && left_of_other == Some(*a) {
                let swapped = column.checked_sub(1).map_or(usize::MAX, |at| get(&before, at));
                least = least.min(swapped.saturating_add(1));
            }
            current.push(least);
            left_of_other = Some(*b);
        }
        before = std::mem::replace(&mut above, current);
        left_of_one = Some(*a);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["district", "diagnosis", "visit_date", "cost", "sex", "hz_health.visits"];
        for (typed, meant) in [
            ("distrct", Some("district")),
            ("DISTRICT", Some("district")),
            ("diagnossi", Some("diagnosis")),
            ("visit-date", Some("visit_date")),
            ("visitdate", Some("visit_date")),
            ("hz-health.vists", Some("hz_health.visits")),
            ("csot", Some("cost")),
            ("sx", Some("sex")),
            ("salary", None),
            ("cast", Some("cost")),
            ("nose", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        let of = |a: &str, b: &str| distance(&folded(a), &folded(b));
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!((of(a, b), of(b, a)), (edits, edits), "{a} {b}");
        }
    }
}
