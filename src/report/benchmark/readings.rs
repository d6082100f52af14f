//! The numbers by which levels are compared, with how sure they are.

use crate::analysis::change::Reading;
use crate::analysis::change::Wanted;
use crate::report::benchmark::chart::axis;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::levels::throughput;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::percentiles::label;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::Unit;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    Throughput,
    /// In hundredths.
    Percentile(f64),
}

impl Measure {
    /// As a row of a table has it.
    pub fn title(self) -> String {
        match self {
            Self::Throughput => "throughput".to_owned(),
            Self::Percentile(percentile) => label(percentile),
        }
    }

    pub fn axis(self, scale: Scale) -> Numbers {
        match self {
            Self::Throughput => axis("Transactions a second", Unit::Count, scale),
            Self::Percentile(_) => axis(&format!("Latency, {}", self.title()), Unit::Milliseconds, scale),
        }
    }

    pub fn wanted(self) -> Wanted {
        match self {
            Self::Throughput => Wanted::More,
            Self::Percentile(_) => Wanted::Less,
        }
    }
}

/// Throughput and percentiles of a level.
pub fn readings(level: &LevelData, percentiles: &Percentiles) -> anyhow::Result<Vec<(Measure, Option<Reading>)>> {
    let percentiles = percentiles.as_slice();
    let values: Vec<Option<f64>> = percentiles
        .iter()
        .map(|percentile| level.latencies.percentile_ms(*percentile))
        .collect();
    let mut shares: Vec<Vec<(u64, u64)>> = vec![Vec::with_capacity(level.seconds.len()); percentiles.len()];
    // Each second's histogram is read once for all percentiles.
    for second in &level.seconds {
        let second = latencies(Some(&second.latencies))?;
        for (shares, value) in shares.iter_mut().zip(&values) {
            shares.push((value.map_or(0, |ms| second.n_up_to_ms(ms)), second.len()));
        }
    }
    let of_percentiles = percentiles.iter().zip(shares).map(|(percentile, shares)| {
        let reading = Reading::percentile(*percentile, &level.latencies, shares.into_iter());
        (Measure::Percentile(*percentile), reading)
    });
    let mut readings = vec![(Measure::Throughput, throughput(level))];
    readings.extend(of_percentiles);
    Ok(readings)
}
