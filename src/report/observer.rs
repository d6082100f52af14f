//! What measuring costs, ready to be shown.

use crate::analysis::resample::mean;
use crate::model::experiment::ClockKind;
use crate::model::experiment::TaxRecord;
use crate::model::units::counted;
use crate::report::compared;
use crate::report::data::ReportData;
use crate::report::table;
use crate::report::table::Figure;

/// What measuring one query costs.
#[derive(Clone, Debug)]
pub struct TaxRow {
    pub query_idx: i32,
    pub query: String,
    /// The plain query, by the client's clock.
    pub plain: Figure,
    pub off: Explained,
    pub on: Explained,
    pub n_rounds: String,
}

/// The same query by EXPLAIN ANALYZE.
#[derive(Clone, Debug)]
pub struct Explained {
    /// By the client's clock, and by the server's own.
    pub client: Figure,
    pub server: Figure,
    /// `1.04×`, with its interval.
    pub tax: Figure,
    pub interval: Figure,
}

/// A row for each query that has a tax, in the order of the workload.
pub fn rows(data: &ReportData) -> Vec<TaxRow> {
    data.taxes.iter().map(|tax| row(data, tax)).collect()
}

fn row(data: &ReportData, tax: &TaxRecord) -> TaxRow {
    let ms = |ms: f64| table::time(Some(ms), false);
    TaxRow {
        query_idx: tax.query_idx,
        query: data.query_label(tax.query_idx).to_owned(),
        plain: ms(tax.plain_ms),
        off: Explained {
            client: ms(tax.off_ms),
            server: ms(tax.off_server_ms),
            tax: compared::ratio(tax.off_ratio),
            interval: compared::interval(tax.off_low.zip(tax.off_high)),
        },
        on: Explained {
            client: ms(tax.on_ms),
            server: ms(tax.on_server_ms),
            tax: compared::ratio(tax.on_ratio),
            interval: compared::interval(tax.on_low.zip(tax.on_high)),
        },
        n_rounds: tax.n_rounds.to_string(),
    }
}

/// The finding in a sentence: over all queries as a geometric mean, and the query that pays most. None without any tax.
pub fn finding(data: &ReportData) -> Option<String> {
    let dearest = data.taxes.iter().max_by(|a, b| a.on_ratio.total_cmp(&b.on_ratio))?;
    let overall = |of: fn(&TaxRecord) -> f64| {
        let logs: Vec<f64> = data.taxes.iter().map(|tax| of(tax).ln()).collect();
        compared::ratio(mean(&logs).exp()).shown
    };
    Some(format!(
        "Over {}, EXPLAIN ANALYZE took {} the time of the plain query with TIMING OFF and {} with TIMING ON (geometric \
         means). With TIMING ON {} pays most: {}.",
        counted(data.taxes.len() as u64, "query", "queries"),
        overall(|tax| tax.off_ratio),
        overall(|tax| tax.on_ratio),
        data.query_label(dearest.query_idx),
        compared::ratio(dearest.on_ratio).shown,
    ))
}

/// How it was asked, and that trials are not what pays the most.
pub fn method(data: &ReportData) -> String {
    let spec = &data.experiment.spec;
    format!(
        "When all else was measured, each query ran {} in three ways under {}, in shuffled order and behind one warm-up: \
         plain, by EXPLAIN ANALYZE with TIMING OFF, and with TIMING ON. All three are read from the same clock, the client's. \
         The trials of this experiment {}.",
        counted(spec.n_observed_rounds().into(), "time", "times"),
        data.source_label(0),
        match spec.clock {
            ClockKind::Server => "use TIMING OFF",
            ClockKind::Client => "ran the plain query",
        },
    )
}

/// The queries without a tax, and why; none where there are none. Empty before an experiment has settled.
pub fn left_out(data: &ReportData) -> Option<String> {
    let has_tax = |query_idx: i32| data.taxes.iter().any(|tax| tax.query_idx == query_idx);
    let labels: Vec<&str> = data
        .queries
        .iter()
        .filter(|query| !has_tax(query.query_idx))
        .map(|query| query.label.as_str())
        .collect();
    (!labels.is_empty()).then(|| {
        format!(
            "Left out, because they write, failed, or did not finish within the limit or before the experiment ended: {}.",
            labels.join(", ")
        )
    })
}
