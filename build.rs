//! Tells cargo that migrations are compiled in: without it a new file among them goes unnoticed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
