//! What every request and every answer passes.

mod access_line;
pub mod audit;
pub mod count;
pub mod headers;
pub mod host;
pub mod identity;
pub mod limits;
pub mod pace;
pub mod preferences;
mod spanned;
pub mod streams;
pub mod uploads;
