//! What benchmarks came to: tables, charts, files, and benchmarks beside each other. Each number is made in one place, and
//! pages and files show that one.

pub mod chart;
pub mod data;
pub mod figures;
pub mod levels;
pub mod percentiles;
pub mod server;
pub mod statements;

pub use self::data::BenchmarkData;
pub use self::data::LevelData;
pub use self::percentiles::Percentiles;
