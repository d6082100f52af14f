//! How well the planner's cost foretells the time, as the page of an experiment shows it.

use crate::report::costs;
use crate::report::costs::Agreement;
use crate::report::costs::Surprise;
use crate::report::data::ReportData;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::pages::results::compared;
use crate::web::urls;

/// Surprises shown of each kind; the exports have every ratio.
const MOST: usize = 20;
/// Below so many queries a correlation is easily chance: of all orders of five queries 12 percent reach 0.7, of six 7.
const FEW: usize = 6;

/// The section about cost, ready to be shown.
pub struct CostsView {
    pub rows: Vec<AgreementRow>,
    /// The page with the scatter chart.
    pub chart_address: String,
    pub lists: Vec<Surprises>,
}

/// How cost and time agree under one source.
pub struct AgreementRow {
    pub source_idx: i32,
    pub source: String,
    pub correlation: String,
    pub words: &'static str,
    pub n_queries: usize,
}

/// One kind of surprise.
pub struct Surprises {
    pub title: String,
    pub rows: Vec<SurpriseRow>,
    pub n_left_out: usize,
}

/// A query whose cost and time went apart.
pub struct SurpriseRow {
    pub address: String,
    pub class: &'static str,
    pub surprise: Surprise,
}

impl CostsView {
    /// None where no query has both a cost and a time.
    pub fn new(data: &ReportData, params: ChartParams) -> Option<Self> {
        let agreements = costs::agreements(data);
        if agreements.iter().all(|agreement| agreement.n_queries == 0) {
            return None;
        }
        let scatter = ChartParams {
            chart_type: ChartType::Scatter,
            ..params
        };
        let base = data.source_label(data.base_idx);
        let lists = [
            (
                format!("The cost moved tenfold or more beside {base}, the time did not"),
                costs::cost_alone(data),
            ),
            (
                format!("The time differs from {base}, the cost did not move, or moved the other way"),
                costs::time_alone(data),
            ),
        ];
        Some(Self {
            rows: agreements.iter().map(|agreement| row(data, agreement)).collect(),
            chart_address: format!("{}#chart", urls::result_view(data.experiment.id, &scatter.to_query())),
            lists: lists
                .into_iter()
                .map(|(title, found)| surprises(data, title, found))
                .collect(),
        })
    }
}

fn row(data: &ReportData, agreement: &Agreement) -> AgreementRow {
    AgreementRow {
        source_idx: agreement.source_idx,
        source: data.source_label(agreement.source_idx).to_owned(),
        correlation: agreement
            .correlation
            .map_or_else(|| "–".to_owned(), |rho| format!("{rho:.2}").replace('-', "−")),
        words: words(agreement.n_queries, agreement.correlation),
        n_queries: agreement.n_queries,
    }
}

fn words(n_queries: usize, correlation: Option<f64>) -> &'static str {
    match correlation {
        _ if n_queries < FEW => "too few queries to tell",
        None => "all costs or all times are the same",
        Some(rho) if rho >= 0.9 => "a dearer query is nearly always a slower one",
        Some(rho) if rho >= 0.7 => "a dearer query is mostly a slower one",
        Some(rho) if rho >= 0.4 => "cost says something about time",
        Some(rho) if rho > -0.4 => "cost says next to nothing about time",
        Some(_) => "a dearer query is often a faster one",
    }
}

fn surprises(data: &ReportData, title: String, mut found: Vec<Surprise>) -> Surprises {
    let n_left_out = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    let rows = found.into_iter().map(|surprise| SurpriseRow {
        address: urls::result_query(data.experiment.id, surprise.query_idx),
        class: compared::class(surprise.verdict),
        surprise,
    });
    Surprises {
        title,
        rows: rows.collect(),
        n_left_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_is_said_in_words_only_of_enough_queries_and_with_its_direction() {
        for (n_queries, correlation, said) in [
            (5, Some(1.0), "too few queries to tell"),
            (12, None, "all costs or all times are the same"),
            (12, Some(0.95), "a dearer query is nearly always a slower one"),
            (12, Some(-0.1), "cost says next to nothing about time"),
            (12, Some(-0.8), "a dearer query is often a faster one"),
        ] {
            assert_eq!(words(n_queries, correlation), said);
        }
    }
}
