//! How far the planner's row estimates were off in an experiment: as a table, and as a chart by the number of joins.

use crate::analysis::estimates;
use crate::analysis::estimates::FarOff;
use crate::analysis::estimates::MOST_JOINS;
use crate::model::estimate::NodeEstimate;
use crate::report::chart::ShareChart;
use crate::report::chart::ShareGroup;
use crate::report::charts;
use crate::report::data::ReportData;

/// The estimates of all queries under one source.
#[derive(Clone, Debug)]
pub struct SourceEstimates {
    pub source_idx: i32,
    /// The greatest factor and the geometric mean of all; none when nothing could be compared.
    pub worst_and_mean: Option<(f64, f64)>,
    pub by_joins: Vec<FarOff>,
}

impl SourceEstimates {
    /// All numbers of joins together.
    pub fn total(&self) -> FarOff {
        let add = |total: FarOff, part: &FarOff| FarOff {
            n_joins: 0,
            n_nodes: total.n_nodes + part.n_nodes,
            n_over: total.n_over + part.n_over,
            n_under: total.n_under + part.n_under,
        };
        self.by_joins.iter().fold(FarOff::default(), add)
    }
}

/// For each source, in order.
pub fn by_source(data: &ReportData) -> Vec<SourceEstimates> {
    let of_source = |source_idx: i32| {
        let plans = data.plans.iter().filter(move |plan| plan.source_idx == source_idx);
        plans.flat_map(|plan| &plan.estimates)
    };
    data.sources()
        .map(|(source_idx, _)| {
            let all: Vec<&NodeEstimate> = of_source(source_idx).collect();
            SourceEstimates {
                source_idx,
                worst_and_mean: estimates::worst_and_mean(all.iter().copied()),
                by_joins: estimates::by_joins(all.iter().copied()),
            }
        })
        .collect()
}

/// The numbers of joins that occur under any source, fewest first.
pub fn joins(sources: &[SourceEstimates]) -> Vec<usize> {
    let mut joins: Vec<usize> = sources
        .iter()
        .flat_map(|source| source.by_joins.iter().map(|counted| counted.n_joins))
        .collect();
    joins.sort_unstable();
    joins.dedup();
    joins
}

/// `2`, or `8 or more`.
pub fn joins_in_words(n_joins: usize) -> String {
    if n_joins == MOST_JOINS {
        format!("{n_joins} or more")
    } else {
        n_joins.to_string()
    }
}

/// The shares of far-off estimates by the number of joins below the node, too high upwards and too low downwards.
pub fn chart(data: &ReportData) -> ShareChart {
    let sources = by_source(data);
    let groups = joins(&sources).into_iter().map(|n_joins| ShareGroup {
        label: joins_in_words(n_joins),
        shares: sources
            .iter()
            .map(|source| {
                let counted = source.by_joins.iter().find(|counted| counted.n_joins == n_joins)?;
                Some((counted.share_over(), counted.share_under()))
            })
            .collect(),
    });
    ShareChart {
        title: "Share of estimates that are at least 10× off".to_owned(),
        up_title: "too many rows expected".to_owned(),
        down_title: "too few rows expected".to_owned(),
        x_title: "Joins at and below the node".to_owned(),
        sources: charts::keys(data),
        groups: groups.collect(),
    }
}
