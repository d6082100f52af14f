//! What measuring costs, as the page of an experiment shows it.

use crate::report::data::ReportData;
use crate::report::observer;
use crate::report::observer::TaxRow;
use crate::web::urls;

/// The section, ready to be shown.
pub struct ObserverView {
    pub method: String,
    /// Over all queries; none where no query has a tax.
    pub finding: Option<String>,
    /// Each with the address of its query.
    pub rows: Vec<(String, TaxRow)>,
    pub left_out: Option<String>,
}

impl ObserverView {
    /// None where it was not asked, or has not been answered yet.
    pub fn new(data: &ReportData) -> Option<Self> {
        let experiment = &data.experiment;
        if !experiment.spec.has_observer || !experiment.job.status.is_settled() {
            return None;
        }
        let rows = observer::rows(data).into_iter();
        Some(Self {
            method: observer::method(data),
            finding: observer::finding(data),
            rows: rows
                .map(|row| (urls::result_query(experiment.id, row.query_idx), row))
                .collect(),
            left_out: observer::left_out(data),
        })
    }
}
