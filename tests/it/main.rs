//! The product from outside: its binary, its pages, a real browser, and the rules of its house.

mod browser;
mod cli;
mod kill;
mod pages;
#[path = "../../src/testing/scratch.rs"]
mod scratch;
mod server;
#[path = "../../src/testing/servers.rs"]
mod servers;
mod support;
mod tidy;
mod versions;
