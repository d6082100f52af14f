//! What every request and every answer passes.

pub mod headers;
pub mod host;
pub mod pace;
pub mod streams;
