//! The rows of a statement: how many, and where they are kept, the first of them with the names of the columns.

use std::borrow::Cow;

/// What is kept of a result: its messages as they came.
#[derive(Debug, Default)]
pub(super) struct RowSet {
    pub n_rows: u64,
    /// The body of the `RowDescription`.
    names: Vec<u8>,
    /// The body of the first `DataRow`.
    first: Vec<u8>,
}

impl RowSet {
    pub fn clear(&mut self) {
        self.n_rows = 0;
        self.names.clear();
        self.first.clear();
    }

    /// False where the message is none.
    pub fn keep_names(&mut self, description: &[u8]) -> bool {
        self.names.clear();
        self.names.extend_from_slice(description);
        is_complete(description, Names::of(description))
    }

    /// False where the message is none.
    pub fn keep_first(&mut self, row: &[u8]) -> bool {
        self.first.clear();
        self.first.extend_from_slice(row);
        is_complete(row, Values::of(row))
    }
}

/// What a statement brought.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a>(pub(super) &'a RowSet);

impl<'a> Rows<'a> {
    /// How many rows there were, of the last statement where one message held several.
    pub fn count(self) -> u64 {
        self.0.n_rows
    }

    /// The names of the columns; none unless rows are kept.
    pub fn names(self) -> impl Iterator<Item = Cow<'a, str>> {
        Names::of(&self.0.names)
    }

    /// The values of the first row as text, null as `None`; none unless rows are kept and there was one.
    pub fn first(self) -> impl Iterator<Item = Option<Cow<'a, str>>> {
        Values::of(&self.0.first)
    }
}

/// Whether a message holds as many fields as it says at its beginning.
fn is_complete(body: &[u8], fields: impl Iterator) -> bool {
    let said = body.first_chunk().map(|count| usize::from(u16::from_be_bytes(*count)));
    said == Some(fields.count())
}

struct Names<'a>(&'a [u8]);

impl<'a> Names<'a> {
    /// Behind each name: table, column, type, size, modifier, format.
    const BEHIND_BYTES: usize = 18;

    fn of(description: &'a [u8]) -> Self {
        Self(description.get(2..).unwrap_or_default())
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = &self.0[..end];
        self.0 = self.0.get(end + 1 + Self::BEHIND_BYTES..)?;
        Some(String::from_utf8_lossy(name))
    }
}

struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn of(row: &'a [u8]) -> Self {
        Self(row.get(2..).unwrap_or_default())
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Option<Cow<'a, str>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, behind) = self.0.split_first_chunk()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.0 = behind;
            return Some(None);
        };
        let (value, behind) = behind.split_at_checked(length)?;
        self.0 = behind;
        Some(Some(String::from_utf8_lossy(value)))
    }
}
