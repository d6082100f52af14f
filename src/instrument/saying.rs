//! What two snapshots say of the same piece, side by side, in words short enough for a table.

use crate::model::instrument::Said;
use crate::model::snapshot::Gathered;
use crate::model::snapshot::Piece;
use crate::model::snapshot::Snapshot;
use crate::model::text::shorten;
use crate::snapshot::mixture;

/// Kinds of slots, as `pg_statistic.h` numbers them.
const MOST_COMMON_VALUES: i16 = 1;
const HISTOGRAM: i16 = 2;
const CORRELATION: i16 = 3;
/// Letters of a list that are shown.
const SHOWN: usize = 40;
/// Of those, letters before the first that differs, where that is further behind.
const CONTEXT: usize = 10;

/// What differs, number by number. Empty for what has no words.
pub fn said(piece: &Piece, from: &Snapshot, to: &Snapshot) -> Vec<Said> {
    let (from, to) = (words(piece, from), words(piece, to));
    let names = from.iter().chain(&to).map(|(name, _)| *name);
    let mut said: Vec<Said> = Vec::new();
    for name in names {
        if said.iter().any(|known| known.name == name) {
            continue;
        }
        let value = |words: &[(&'static str, String)]| {
            let found = words.iter().find(|(known, _)| *known == name);
            found.map_or_else(|| "nothing".to_owned(), |(_, value)| value.clone())
        };
        let (from, to) = (value(&from), value(&to));
        if from != to {
            let skipped = alike(&from, &to);
            said.push(Said {
                name: name.to_owned(),
                from: shown(&from, skipped),
                to: shown(&to, skipped),
            });
        }
    }
    said
}

/// Letters at the beginning that need not be shown: both lists have them, and behind them is where they differ.
fn alike(from: &str, to: &str) -> usize {
    let n_alike = from.chars().zip(to.chars()).take_while(|(a, b)| a == b).count();
    if n_alike < SHOWN { 0 } else { n_alike - CONTEXT }
}

fn shown(text: &str, skipped: usize) -> String {
    let rest: String = text.chars().skip(skipped).collect();
    let cut = if skipped == 0 { "" } else { "…" };
    format!("{cut}{}", shorten(&rest, SHOWN))
}

fn words(piece: &Piece, snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    match piece {
        Piece::Column { .. } => {
            // The row of the table alone comes first; with those that inherit from it a second one would say more than
            // a table has room for.
            let row = mixture::rows_of(snapshot, piece).into_iter().next();
            row.map(|row| words_of(&row.gathered)).unwrap_or_default()
        }
        Piece::Sizes { .. } => {
            let sizes = mixture::sizes_of(snapshot, piece);
            let words = sizes.map(|sizes| {
                vec![
                    ("rows", sizes.tuples.clone()),
                    ("pages", sizes.pages.to_string()),
                    ("all-visible pages", sizes.all_visible_pages.to_string()),
                ]
            });
            words.unwrap_or_default()
        }
        Piece::Object { .. } => Vec::new(),
    }
}

/// A count, or below zero a share of the rows.
fn distinct(n_distinct: &str) -> String {
    match n_distinct.strip_prefix('-') {
        Some(share) => format!("{share} × rows"),
        None => n_distinct.to_owned(),
    }
}

fn words_of(gathered: &Gathered) -> Vec<(&'static str, String)> {
    let mut words = vec![
        ("null fraction", gathered.null_fraction.clone()),
        ("distinct values", distinct(&gathered.n_distinct)),
        ("average width", gathered.average_width.to_string()),
    ];
    for slot in &gathered.slots {
        let list = |text: &Option<String>| text.clone().unwrap_or_default();
        match slot.kind {
            MOST_COMMON_VALUES => {
                words.push(("most common values", list(&slot.values)));
                words.push(("their frequencies", list(&slot.numbers)));
            }
            HISTOGRAM => words.push(("histogram", list(&slot.values))),
            CORRELATION => words.push(("correlation", list(&slot.numbers).trim_matches(['{', '}']).to_owned())),
            _ => words.push(("elements or ranges", list(&slot.values))),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::ColumnStatistics;
    use crate::model::snapshot::Slot;

    #[test]
    fn long_lists_are_shown_from_where_they_differ() {
        let list = |last: &str| format!("{{{},{last}}}", vec!["alike"; 20].join(","));
        let (from, to) = (list("one"), list("two"));
        let skipped = alike(&from, &to);
        assert_eq!(
            (shown(&from, skipped), shown(&to, skipped)),
            ("…ike,alike,one}".to_owned(), "…ike,alike,two}".to_owned())
        );
        let skipped = alike("{1,2}", "{1,3}");
        assert_eq!(shown("{1,2}", skipped), "{1,2}");
        assert_eq!(shown(&from, 0).chars().count(), SHOWN + 1);
    }

    #[test]
    fn only_what_differs_is_said_and_what_is_missing_is_called_nothing() {
        let column = |n_distinct: &str, slots| ColumnStatistics {
            schema: "public".to_owned(),
            relation: "t".to_owned(),
            column_number: 1,
            column: "a".to_owned(),
            inherited: false,
            gathered: Gathered {
                null_fraction: "0".to_owned(),
                average_width: 4,
                n_distinct: n_distinct.to_owned(),
                slots,
            },
        };
        let slot = Slot {
            number: 1,
            kind: CORRELATION,
            operator: "-".to_owned(),
            collation: "-".to_owned(),
            numbers: Some("{0.5}".to_owned()),
            values: None,
        };
        let snapshot = |column| Snapshot {
            columns: vec![column],
            ..Snapshot::default()
        };
        let (from, to) = (snapshot(column("10", vec![slot])), snapshot(column("-1", vec![])));
        let pieces = mixture::differences(&from, &to);
        let lines: Vec<String> = said(&pieces[0], &from, &to)
            .into_iter()
            .map(|said| format!("{}: {} / {}", said.name, said.from, said.to))
            .collect();
        assert_eq!(lines, ["distinct values: 10 / 1 × rows", "correlation: 0.5 / nothing"]);
    }
}
