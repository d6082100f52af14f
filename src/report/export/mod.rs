//! Files to take away. Each holds the stored numbers with every digit.

pub mod csv;
mod json;
mod plans;

use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::document::Html;
use crate::report::document::Markdown;

/// Writes one kind of file.
pub trait Exporter: Send + Sync {
    /// Its name in addresses: `export.csv`.
    fn name(&self) -> &'static str;
    /// What it holds, for the link's text.
    fn about(&self) -> &'static str;
    /// The kind of content, as HTTP says it.
    fn media_type(&self) -> &'static str;
    /// What stands in the file's name behind the experiment: `summaries.csv`.
    fn file_suffix(&self) -> &'static str;
    /// Whether it is to be read in the browser rather than saved.
    fn is_read(&self) -> bool {
        false
    }
    /// The whole file.
    fn write(&self, data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>>;
}

/// Every file on offer, in the order in which pages list them.
pub static ALL: &[&dyn Exporter] = &[
    &csv::Summaries,
    &csv::Comparisons,
    &csv::Sources,
    &csv::Observer,
    &csv::Trials,
    &plans::Plans,
    &json::Everything,
    &Html,
    &Markdown,
];

/// The exporter of this name.
pub fn find(name: &str) -> Option<&'static dyn Exporter> {
    ALL.iter().copied().find(|exporter| exporter.name() == name)
}

/// A name that says what the file is wherever it is saved: `pgassay_experiment-7_shop_summaries.csv`.
pub fn file_name(exporter: &dyn Exporter, data: &ReportData) -> String {
    file_name_of(exporter.file_suffix(), data)
}

/// The same for a file that no exporter writes.
pub fn file_name_of(suffix: &str, data: &ReportData) -> String {
    let dataset: String = data
        .experiment
        .dataset_name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let date = data.experiment.created_at.format("%Y%m%dT%H%MZ");
    format!(
        "pgassay_experiment-{}_{}_{date}_{suffix}",
        data.experiment.id,
        dataset.trim_matches('-'),
    )
}
