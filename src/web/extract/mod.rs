//! What handlers get out of a request.

pub mod user;
