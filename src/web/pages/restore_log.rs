//! The log of a restore as a page shows it: what it says of many statements is said once.

use crate::model::dataset::RestoreNote;
use crate::model::dataset::RestoreNoteKind;
use crate::model::units::counted;
use crate::model::units::grouped;

/// Lines of one group of the restore log that are shown.
const MOST_LINES: usize = 100;

/// Lines of the log that say the same of different statements.
pub struct NoteGroup {
    pub kind: &'static str,
    pub class: &'static str,
    pub reason: String,
    pub count: String,
    pub lines: Vec<NoteLine>,
    pub more: String,
}

pub struct NoteLine {
    pub line: String,
    pub statement: String,
}

/// One group for each kind and reason, in the order in which they first came up.
pub fn group(notes: Vec<RestoreNote>) -> Vec<NoteGroup> {
    let mut groups: Vec<Vec<RestoreNote>> = Vec::new();
    for note in notes {
        let same = |group: &&mut Vec<RestoreNote>| group[0].kind == note.kind && group[0].reason == note.reason;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(note),
            None => groups.push(vec![note]),
        }
    }
    groups.into_iter().map(NoteGroup::new).collect()
}

impl NoteGroup {
    /// `notes` is not empty.
    fn new(notes: Vec<RestoreNote>) -> Self {
        let n = notes.len();
        let first = &notes[0];
        let class = match first.kind {
            RestoreNoteKind::Skipped => "stopped",
            RestoreNoteKind::Failed => "warn",
            RestoreNoteKind::Note => "waiting",
        };
        Self {
            kind: first.kind.word(),
            class,
            reason: first.reason.clone(),
            count: counted(n as u64, "statement", "statements"),
            more: match n.saturating_sub(MOST_LINES) {
                0 => String::new(),
                more => format!("and {} more", grouped(more as u64)),
            },
            lines: notes
                .into_iter()
                .take(MOST_LINES)
                .filter(|note| note.line > 0)
                .map(|note| NoteLine {
                    line: grouped(note.line),
                    statement: note.statement,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: RestoreNoteKind, line: u64, reason: &str) -> RestoreNote {
        RestoreNote {
            kind,
            line,
            statement: format!("statement {line}"),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn the_log_is_grouped_by_what_it_says() {
        let mut notes = vec![
            note(RestoreNoteKind::Skipped, 3, "owners"),
            note(RestoreNoteKind::Failed, 9, "owners"),
            note(RestoreNoteKind::Note, 0, "the dump holds no tables"),
        ];
        notes.extend((10..150).map(|line| note(RestoreNoteKind::Skipped, line, "owners")));
        let groups = group(notes);
        let counts: Vec<&str> = groups.iter().map(|group| group.count.as_str()).collect();
        assert_eq!(counts, ["141 statements", "1 statement", "1 statement"]);
        assert_eq!(groups[0].lines.len(), MOST_LINES);
        assert_eq!(groups[0].more, "and 41 more");
        assert!(groups[2].lines.is_empty());
    }
}
