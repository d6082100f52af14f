//! What preparing a source did, or would do, as tables for pages.

use crate::model::experiment::SourceNote;
use crate::model::units::counted;

/// Rows shown on a page; all of them are in the export.
const MAX_ROWS: usize = 200;

/// The notes of one source.
pub struct NotesView {
    pub source: String,
    /// The script that did it; empty where none did.
    pub script: String,
    /// `24 changes`, `3 remarks`.
    pub counted: String,
    /// Of a change: what stood there before, and what stands there now; both empty for a remark.
    pub rows: Vec<NoteRow>,
    /// Whether any row is a change.
    pub has_changes: bool,
    /// Rows that are not shown.
    pub n_more: usize,
}

pub struct NoteRow {
    pub about: String,
    pub what: String,
    pub before: String,
    pub after: String,
}

impl NotesView {
    pub fn new(source: &str, notes: &[SourceNote]) -> Self {
        let n_changes = notes.iter().filter(|note| note.change.is_some()).count();
        let n_remarks = notes.len() - n_changes;
        let changes = counted(n_changes as u64, "change", "changes");
        let remarks = counted(n_remarks as u64, "remark", "remarks");
        let rows = notes.iter().take(MAX_ROWS).cloned().map(|note| {
            let (before, after) = note.change.unwrap_or_default();
            NoteRow {
                about: note.about,
                what: note.what,
                before,
                after,
            }
        });
        Self {
            source: source.to_owned(),
            script: String::new(),
            counted: match (n_changes, n_remarks) {
                (_, 0) => changes,
                (0, _) => remarks,
                _ => format!("{changes}, {remarks}"),
            },
            rows: rows.collect(),
            has_changes: n_changes > 0,
            n_more: notes.len().saturating_sub(MAX_ROWS),
        }
    }
}
