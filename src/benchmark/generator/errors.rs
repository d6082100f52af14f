//! What went wrong, counted by SQLSTATE with an example of each.

use std::fmt::Display;

use crate::model::benchmark::ErrorCount;
use crate::model::text::shorten;
use crate::target::wire::ConnectError;

/// Most kinds that are told apart.
const MOST_KINDS: usize = 40;

/// Longest example.
const EXAMPLE_CHARS: usize = 500;

/// What errors beyond [`MOST_KINDS`] are counted as.
pub const OTHER: &str = "other";

/// A connection that went away without a word of the server.
pub const LOST: &str = "lost";

/// A connection that could not be made, without a word of the server.
pub const UNREACHABLE: &str = "unreachable";

/// What a connection that could not be made is counted as.
pub fn sqlstate(error: &ConnectError) -> &str {
    match error {
        ConnectError::Refused(error) => &error.sqlstate,
        ConnectError::Away { .. }
        | ConnectError::Lost { .. }
        | ConnectError::Silent { .. }
        | ConnectError::Unmet(_) => UNREACHABLE,
    }
}

/// In the order in which each was first seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors(Vec<ErrorCount>);

impl Errors {
    /// Counts one error. Its words are looked at only where they become the example.
    pub fn count(&mut self, sqlstate: &str, words: &impl Display) {
        let entry = self.entry(sqlstate);
        if entry.n == 0 {
            entry.example = shorten(&words.to_string(), EXAMPLE_CHARS);
        }
        entry.n += 1;
    }

    /// What was counted elsewhere.
    pub fn from_counts(counts: Vec<ErrorCount>) -> Self {
        Self(counts)
    }

    pub fn merge(&mut self, others: &Self) {
        for other in &others.0 {
            let entry = self.entry(&other.sqlstate);
            if entry.n == 0 {
                entry.example.clone_from(&other.example);
            }
            entry.n += other.n;
        }
    }

    pub fn first(&self) -> Option<&ErrorCount> {
        self.0.first()
    }

    /// The most frequent first.
    pub fn into_counts(mut self) -> Vec<ErrorCount> {
        self.0.sort_by_key(|error| std::cmp::Reverse(error.n));
        self.0
    }

    fn entry(&mut self, sqlstate: &str) -> &mut ErrorCount {
        let find = |errors: &[ErrorCount], sqlstate: &str| errors.iter().position(|error| error.sqlstate == sqlstate);
        let sqlstate = match find(&self.0, sqlstate) {
            None if self.0.len() >= MOST_KINDS => OTHER,
            Some(_) | None => sqlstate,
        };
        let idx = find(&self.0, sqlstate).unwrap_or_else(|| {
            self.0.push(ErrorCount {
                sqlstate: sqlstate.to_owned(),
                n: 0,
                example: String::new(),
            });
            self.0.len() - 1
        });
        &mut self.0[idx]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_is_its_example_and_the_most_frequent_comes_first() {
        let mut errors = Errors::default();
        errors.count("23505", &"duplicate key 1");
        errors.count("40001", &"could not serialize");
        let mut others = Errors::default();
        others.count("40001", &"could not serialize either");
        others.count("57014", &"canceling statement");
        errors.merge(&others);
        let counts = errors.into_counts();
        let told: Vec<(&str, u64, &str)> = counts
            .iter()
            .map(|error| (error.sqlstate.as_str(), error.n, error.example.as_str()))
            .collect();
        let expected = [
            ("40001", 2, "could not serialize"),
            ("23505", 1, "duplicate key 1"),
            ("57014", 1, "canceling statement"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn many_kinds_take_no_more_room_and_are_all_counted() {
        let mut errors = Errors::default();
        for kind in 0..10_000 {
            errors.count(&format!("{kind:05}"), &"x".repeat(10_000));
        }
        let counts = errors.into_counts();
        assert_eq!(counts.len(), MOST_KINDS + 1);
        assert_eq!(counts.iter().map(|error| error.n).sum::<u64>(), 10_000);
        assert_eq!(counts[0].sqlstate, OTHER);
        assert!(
            counts
                .iter()
                .all(|error| error.example.chars().count() <= EXAMPLE_CHARS + 1)
        );
    }
}
