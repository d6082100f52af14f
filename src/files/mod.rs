//! The data directory: where things are (paths from ids only), how an upload gets in, and what is swept out.

pub mod intake;
pub mod layout;
