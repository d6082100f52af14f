//! The parameters of a statement, as text, in the form in which they go to the server.

/// Parameters in one buffer that is used again and again.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// As in a Bind message: each its length and its text, or the length -1 for null.
    encoded: Vec<u8>,
    count: usize,
}

impl Params {
    /// No parameter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all parameters out, and keeps the room that they took.
    pub fn clear(&mut self) {
        self.encoded.clear();
        self.count = 0;
    }

    /// Adds one. Up to 65,535 of them go with a statement; one with more is answered as failed. A text of 2 GB is cut.
    pub fn push(&mut self, text: &str) {
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        self.encoded.extend_from_slice(&length.to_be_bytes());
        self.encoded
            .extend_from_slice(&text.as_bytes()[..length.unsigned_abs() as usize]);
        self.count += 1;
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.encoded.extend_from_slice(&(-1_i32).to_be_bytes());
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}
