//! What a restore has to say besides its data: the lines of its log, and the settings that it takes over.

use crate::dataset::statistics_file::in_dump::InDump;
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
    /// What its calls would have set.
    pub statistics: InDump,
    n_cut: usize,
}

impl Outcome {
    /// A line about one statement.
    pub fn note(&mut self, kind: RestoreNoteKind, statement: &Statement, reason: String) {
        if self.notes.len() >= MAX_NOTES {
            self.n_cut += 1;
            return;
        }
        self.notes.push(RestoreNote {
            kind,
            line: statement.line,
            statement: shown(&statement.text),
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

/// The beginning of a statement, up to a password: those of roles, user mappings and subscriptions are in plain text.
fn shown(text: &str) -> String {
    let mut words = Vec::new();
    let mut n_chars = 0;
    for word in text.split_whitespace() {
        if word.to_ascii_lowercase().contains("password") {
            words.push("…");
            break;
        }
        words.push(word);
        n_chars += word.len();
        if n_chars > SHOWN_CHARS * 4 {
            break;
        }
    }
    shorten(&words.join(" "), SHOWN_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_on_one_line_and_without_its_password() {
        for (text, line) in [
            ("create\n  view v", "create view v"),
            (
                "ALTER ROLE bob WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096'",
                "ALTER ROLE bob WITH LOGIN …",
            ),
            (
                "create user mapping for bob server s options (user 'bob', password 'x')",
                "create user mapping for bob server s options (user 'bob', …",
            ),
            (
                "create subscription s connection 'host=h password=x' publication p",
                "create subscription s connection 'host=h …",
            ),
        ] {
            assert_eq!(shown(text), line);
        }
        assert_eq!(shown(&"ü ".repeat(1000)).chars().count(), SHOWN_CHARS + 1);
    }
}
