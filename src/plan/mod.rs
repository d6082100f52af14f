//! Query plans: EXPLAIN's JSON as a value, its shape, its rows for a page, how wrong its estimates were, and how two plans
//! differ.
//!
//! Nothing here runs a query. The text comes from `target`, as the server sent it.

mod counted;
mod diff;
mod fingerprint;
mod node;
mod own;
mod parse;
mod q_error;
mod rows;
#[cfg(test)]
mod samples;
mod text;
mod words;

pub use self::counted::with_counts;
pub use self::diff::Aligned;
pub use self::diff::diff;
pub use self::fingerprint::fingerprint;
pub use self::node::Node;
pub use self::node::Plan;
pub use self::parse::parse;
pub use self::q_error::Judged;
pub use self::q_error::q_error;
pub use self::rows::Row;
pub use self::rows::rows;
pub use self::text::text;
pub use self::words::about;
