//! A release build from nothing.

use std::process::Command;

use crate::machine::Scratch;
use crate::machine::repository;
use crate::peer::seconds;
use crate::table::Table;

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("build");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(scratch.path())
        .env("SQLX_OFFLINE", "true")
        .current_dir(repository("."));
    table.single("release build from nothing", "s", seconds(&mut cargo), Some(360.0));
}
