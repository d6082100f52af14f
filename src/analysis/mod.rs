//! Numbers from numbers: what trials say of a query under a source. Fetching and drawing are done elsewhere.

pub mod batch_means;
pub mod change;
pub mod effect;
pub mod estimates;
pub mod family;
pub mod holm;
pub mod interval;
pub mod latency;
mod letters;
pub mod lottery;
pub mod noise;
pub mod outlier;
pub mod permutation;
pub mod proportion;
pub mod rank;
pub mod regret;
pub mod repeats;
pub mod resample;
pub mod summary;
pub mod sweep;
pub mod unpaired;

pub use self::letters::letters;
