//! Makes datasets that nobody has to upload: a generator writes a dump, and the dump is restored like any other.

pub mod sample;
