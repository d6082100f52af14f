//! Query plans: EXPLAIN's JSON as a value, its shape, its rows for a page, and how wrong its estimates were.
//!
//! Nothing here runs a query. The text comes from `target`, as the server sent it.

mod fingerprint;
mod node;
mod parse;
mod q_error;
mod rows;
#[cfg(test)]
mod samples;

pub use self::fingerprint::fingerprint;
pub use self::node::Node;
pub use self::node::Plan;
pub use self::parse::parse;
pub use self::q_error::Direction;
pub use self::q_error::EstimateFactor;
pub use self::q_error::q_error;
pub use self::rows::Row;
pub use self::rows::rows;
