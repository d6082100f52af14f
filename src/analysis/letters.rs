//! Letters for plans, so that a table can say "A, A, B" instead of fingerprints.

use std::collections::HashMap;

/// A letter for each source's plan of one query: A for the first plan met, B for the next, after Z come AA, AB. The same
/// fingerprint gets the same letter; no plan gets none.
pub fn letters(fingerprints: &[Option<&str>]) -> Vec<Option<String>> {
    let mut plan_idxs: HashMap<&str, usize> = HashMap::new();
    fingerprints
        .iter()
        .map(|fingerprint| {
            let next_idx = plan_idxs.len();
            Some(letter(*plan_idxs.entry((*fingerprint)?).or_insert(next_idx)))
        })
        .collect()
}

/// Counts as spreadsheets name columns: base 26 without a zero.
fn letter(plan_idx: usize) -> String {
    let mut letters = Vec::new();
    let mut left = plan_idx + 1;
    while left > 0 {
        left -= 1;
        letters.push(
            ('A'..='Z')
                .nth(left % 26)
                .expect("a remainder of 26 is a letter's position"),
        );
        left /= 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_lettered_by_first_appearance() {
        let found = letters(&[Some("f1"), None, Some("f0"), Some("f1"), Some("f2")]);
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [Some("A"), None, Some("B"), Some("A"), Some("C")]);
        assert!(letters(&[]).is_empty());
    }

    #[test]
    fn letters_go_on_as_spreadsheet_columns_do() {
        for (plan_idx, expected) in [
            (0, "A"),
            (25, "Z"),
            (26, "AA"),
            (51, "AZ"),
            (52, "BA"),
            (701, "ZZ"),
            (702, "AAA"),
        ] {
            assert_eq!(letter(plan_idx), expected);
        }
    }
}
