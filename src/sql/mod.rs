//! SQL as text: names and literals, the tokens of psql, files cut into statements, and what a statement means to us.
//!
//! Nothing here speaks to a server, and nothing here judges whether SQL is right: that is the server's business.
//! One lexer serves all: [`split`] cuts dumps and scripts by it, [`classify`] and [`dump`] read single statements by it.

pub mod classify;
pub mod dump;
pub mod ident;
pub mod lexer;
mod nesting;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the generator of load is written beside it")
)]
pub mod pgbench;
pub mod split;
pub mod tuning;
