//! What a restore has to say besides its data: the lines of its log, and the settings that it takes over.

use crate::model::dataset::RestoreNote;
use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Setting;
use crate::model::text::shorten;
use crate::sql::split::Statement;

/// The log keeps so many lines; what comes after is counted.
const MAX_NOTES: usize = 2000;
/// How much of a statement stands in the log.
const SHOWN_CHARS: usize = 160;

/// What is left to say when all statements have run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub notes: Vec<RestoreNote>,
    pub settings: Vec<Setting>,
    pub has_imported_statistics: bool,
    n_cut: usize,
}

impl Outcome {
    /// A line about one statement.
    pub fn note(&mut self, kind: RestoreNoteKind, statement: &Statement, reason: String) {
        if self.notes.len() >= MAX_NOTES {
            self.n_cut += 1;
            return;
        }
        let words: Vec<&str> = statement.text.split_whitespace().collect();
        self.notes.push(RestoreNote {
            kind,
            line: statement.line,
            statement: shorten(&words.join(" "), SHOWN_CHARS),
            reason,
        });
    }

    /// A line about the dump as a whole.
    pub fn remark(&mut self, reason: String) {
        self.notes.push(RestoreNote {
            kind: RestoreNoteKind::Note,
            line: 0,
            statement: String::new(),
            reason,
        });
    }

    /// Says how many lines were not kept, if any.
    pub fn close(&mut self) {
        if self.n_cut > 0 {
            self.remark(format!("{} more lines of this log are not kept", self.n_cut));
        }
    }
}
