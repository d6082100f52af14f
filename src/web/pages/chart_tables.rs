//! The numbers of each kind of chart as a table: its heads, and its rows with their name in front.

use std::collections::HashMap;

use crate::analysis::summary::Quantile;
use crate::analysis::summary::five_numbers;
use crate::analysis::summary::quantile;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::units::ms_in_words;
use crate::report::charts;
use crate::report::charts::Metric;
use crate::report::data::ReportData;
use crate::report::disturbed;
use crate::report::estimates;
use crate::report::estimates::SourceEstimates;
use crate::report::table;

/// Heads and rows.
pub type Shown = (Vec<String>, Vec<Vec<String>>);

/// A row for each query, a column for each source.
pub fn bars(data: &ReportData, metric: Metric) -> Shown {
    let heads = std::iter::once("Query".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let cell = |query_idx: i32, source_idx: i32| {
        let Some(summary) = data.summary(query_idx, source_idx) else {
            return "–".to_owned();
        };
        // Of the finished trials: around a limit it would say nothing.
        let deviation = |is_above: bool| {
            let known = summary.stddev_ms.filter(|_| !is_above);
            known.map(|ms| format!(" ± {}", ms_in_words(ms))).unwrap_or_default()
        };
        match metric {
            _ if summary.same_plan_as.is_some() && metric != Metric::Cost => table::median_in_words(data, summary),
            Metric::Median => {
                let median = table::median_in_words(data, summary);
                format!("{median}{}", deviation(summary.median_is_above))
            }
            Metric::Mean => {
                let (mean_ms, is_above) = table::mean_of_all(summary);
                format!("{}{}", table::time_in_words(mean_ms, is_above), deviation(is_above))
            }
            Metric::Cost => table::cost(summary.cost).shown,
        }
    };
    let rows = data.queries.iter().map(|query| {
        let cells = data.sources().map(|(source_idx, _)| cell(query.query_idx, source_idx));
        std::iter::once(query.label.clone()).chain(cells).collect()
    });
    (heads.collect(), rows.collect())
}

/// A row for each round, a column for each source.
pub fn rounds(data: &ReportData, trials: &[RecordedTrial]) -> Shown {
    let heads = std::iter::once("Round".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let measured: HashMap<(i32, i32), &RecordedTrial> = trials
        .iter()
        .filter(|trial| trial.kind == TrialKind::Measured)
        .map(|trial| ((trial.round, trial.source_idx), trial))
        .collect();
    let cell = |round: i32, source_idx: i32| {
        let Some(trial) = measured.get(&(round, source_idx)) else {
            return "–".to_owned();
        };
        let shown = match (trial.outcome, trial.execution_ms) {
            (OutcomeWord::Finished, Some(ms)) => ms_in_words(ms),
            (outcome, _) => outcome.word().to_owned(),
        };
        match disturbed::mark(data, trial) {
            seen if seen.is_empty() => shown,
            seen => format!("{shown} ({seen})"),
        }
    };
    let n_rounds = i32::try_from(data.experiment.spec.iterations).unwrap_or(0);
    let rows = (1..=n_rounds).map(|round| {
        let cells = data.sources().map(|(source_idx, _)| cell(round, source_idx));
        std::iter::once(round.to_string()).chain(cells).collect()
    });
    (heads.collect(), rows.collect())
}

/// A row for each source with the five numbers of its box.
pub fn boxes(data: &ReportData, query_idx: i32, trials: &[RecordedTrial]) -> Shown {
    let heads = [
        "Source",
        "Lower whisker",
        "First quartile",
        "Median",
        "Third quartile",
        "Upper whisker",
    ];
    let rows = data.sources().map(|(source_idx, source)| {
        let five = five_numbers(&charts::sample(trials, query_idx, source_idx));
        let cells = match five {
            None => vec!["–".to_owned(); heads.len() - 1],
            Some(five) => [
                five.low_ms,
                five.first_quartile_ms,
                five.median_ms,
                five.third_quartile_ms,
                five.high_ms,
            ]
            .map(ms_in_words)
            .into(),
        };
        std::iter::once(source.label.clone()).chain(cells).collect()
    });
    (heads.map(str::to_owned).into(), rows.collect())
}

/// A row for each source: after how long so many of its trials had finished.
pub fn shares(data: &ReportData, query_idx: i32, trials: &[RecordedTrial]) -> Shown {
    const PERCENTS: [usize; 6] = [5, 25, 50, 75, 90, 95];
    let heads = std::iter::once("Source".to_owned()).chain(PERCENTS.map(|percent| format!("{percent} %")));
    let rows = data.sources().map(|(source_idx, source)| {
        let sample = charts::sample(trials, query_idx, source_idx);
        let cell = |percent: usize| {
            let (ms, is_above) = Quantile::parts(quantile(&sample, percent));
            table::time_in_words(ms, is_above)
        };
        std::iter::once(source.label.clone())
            .chain(PERCENTS.map(cell))
            .collect()
    });
    (heads.collect(), rows.collect())
}

/// A row for each query: its cost and its median under each source.
pub fn costs(data: &ReportData) -> Shown {
    let heads = std::iter::once("Query".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let rows = data.queries.iter().map(|query| {
        let cells = data.sources().map(|(source_idx, _)| {
            let summary = data.summary(query.query_idx, source_idx);
            summary.map_or_else(
                || "–".to_owned(),
                |summary| {
                    let median = table::median_in_words(data, summary);
                    format!("cost {}, {median}", table::cost(summary.cost).shown)
                },
            )
        });
        std::iter::once(query.label.clone()).chain(cells).collect()
    });
    (heads.collect(), rows.collect())
}

/// A row for each number of joins: how many estimates of each source are far off.
pub fn estimates(data: &ReportData) -> Shown {
    let heads = std::iter::once("Joins".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let sources = estimates::by_source(data);
    let cell = |source: &SourceEstimates, n_joins: usize| {
        let counted = source.by_joins.iter().find(|counted| counted.n_joins == n_joins);
        counted.map_or("–".to_owned(), |counted| {
            format!(
                "{} too high, {} too low of {}",
                counted.n_over, counted.n_under, counted.n_nodes
            )
        })
    };
    let rows = estimates::joins(&sources).into_iter().map(|n_joins| {
        let cells = sources.iter().map(|source| cell(source, n_joins));
        std::iter::once(estimates::joins_in_words(n_joins))
            .chain(cells)
            .collect()
    });
    (heads.collect(), rows.collect())
}
