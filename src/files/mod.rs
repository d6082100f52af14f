//! The data directory: where things are (paths from ids only), how an upload gets in, what is swept out, and how
//! much of its disk stays free. And the depot, where dumps are kept that other machines restore, too.

pub mod depot;
pub mod disk;
pub mod dumps;
pub mod intake;
pub mod layout;
pub mod parts;
pub mod removal;
