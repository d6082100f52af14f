//! What every request and every answer passes.

pub mod count;
pub mod headers;
pub mod host;
pub mod pace;
