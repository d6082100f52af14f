//! Where in a dump something stands, by its lines.

use sqlx::postgres::PgDatabaseError;

/// The row, from 1, of a COPY's data at which the server stumbled, as the context of its error tells.
pub fn copy_row(error: &sqlx::Error) -> Option<u64> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let (_, rest) = error.r#where()?.split_once(", line ")?;
    let n_digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..n_digits].parse().ok()
}

/// Line ends in a text.
pub fn lines_in(text: &str) -> u64 {
    text.matches('\n').count() as u64
}

/// Line ends in the data of a COPY.
#[expect(clippy::naive_bytecount, reason = "the compiler makes it fast enough for a wire")]
pub fn count_lines(data: &[u8]) -> u64 {
    data.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether a statement puts rows into a table.
pub fn is_insert(text: &str) -> bool {
    text.get(..6).is_some_and(|verb| verb.eq_ignore_ascii_case("insert"))
}
