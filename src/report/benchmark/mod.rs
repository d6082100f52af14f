//! What benchmarks came to: tables, charts, files, and benchmarks beside each other. Each number is made in one place, and
//! pages and files show that one.

pub mod chart;
pub mod compare;
pub mod data;
pub mod export;
pub mod facts;
pub mod figures;
pub mod levels;
pub mod made;
pub mod percentiles;
pub mod readings;
pub mod server;
pub mod shares;
pub mod statements;
#[cfg(test)]
mod tests;
pub mod trend;

pub use self::data::BenchmarkData;
pub use self::data::Detail;
pub use self::data::LevelData;
pub use self::percentiles::Percentiles;
