//! What handlers get out of a request.

pub mod address;
pub mod form;
pub mod id;
pub mod object;
pub mod parts;
pub mod posted;
pub mod user;
