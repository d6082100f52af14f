//! The data directory: where things are (paths from ids only), how an upload gets in, what is swept out, and how
//! much of its disk stays free.

pub mod disk;
pub mod intake;
pub mod layout;
pub mod removal;
