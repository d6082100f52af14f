//! Datasets: from an uploaded file to a pristine template database in a sandbox of its own.
//!
//! An upload is code. It is never given to psql; archives are turned into SQL by a child that can reach nothing; the
//! SQL runs as a restricted role in a server that holds nothing else.

mod archive;
mod batch;
#[cfg(test)]
mod damage;
mod encoding;
mod error;
pub mod extensions;
mod finish;
pub mod format;
pub mod generators;
pub mod growth;
mod lines;
mod log;
pub mod pg_restore;
mod pieces;
mod psql;
mod reader;
mod restore;
pub mod service;
mod settings;
pub mod statistics_file;
mod tar;
mod template;
#[cfg(test)]
mod truncation;
pub mod uploads;
pub mod work;
