//! Load tests: programs run by many clients at once, and what that comes to.

pub mod program;
