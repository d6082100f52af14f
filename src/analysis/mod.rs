//! Numbers from numbers: what trials say of a query under a source. Fetching and drawing are done elsewhere.

pub mod estimates;
pub mod feasibility;
mod letters;
pub mod ratio;
pub mod summary;

pub use self::letters::letters;
