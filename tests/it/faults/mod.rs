//! The real binary, hurt: processes killed, servers restarted, disks filled, clocks moved, two of it at once. Afterwards
//! trials, clones, roles, files and processes are counted: nothing is lost, nothing doubled, nothing orphaned, and the
//! pages say in words what happened.

mod benchmarks;
mod black_hole;
mod clocks;
mod crowds;
pub mod disks;
pub mod ground;
pub mod http;
mod instruments;
mod kills;
mod pairs;
mod registered;
mod restarts;
mod stores;
mod uploads;
