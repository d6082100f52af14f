//! The table of sources: each as a whole beside the baseline, and what it costs.

use crate::analysis::effect::Bound;
use crate::analysis::family::Verdict;
use crate::model::units::bytes_in_words;
use crate::report::compared;
use crate::report::data::ReportData;
use crate::report::table;
use crate::report::table::Figure;

/// The numbers of one source over the whole workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceNumbers {
    pub source_idx: i32,
    /// `None` for the baseline, and where nothing can be compared.
    pub overall: Option<crate::analysis::effect::Overall>,
    pub n_won: usize,
    pub n_lost: usize,
    pub n_undecided: usize,
    /// The sum of the medians of [`n_common`] queries.
    pub total_ms: Option<f64>,
    /// One of them is only known to lie above its limit.
    pub total_is_above: bool,
    pub planning_ms: Option<f64>,
    pub apply_ms: Option<f64>,
    pub statistics_bytes: Option<u64>,
}

/// How many queries have a median under every source: those that totals are of.
pub fn n_common(data: &ReportData) -> usize {
    common(data).len()
}

/// The numbers of every source, in order.
pub fn numbers(data: &ReportData) -> Vec<SourceNumbers> {
    let common = common(data);
    data.sources()
        .map(|(source_idx, _)| of_source(data, source_idx, &common))
        .collect()
}

/// What timeouts leave open of a source's mean over the queries.
pub fn bound(data: &ReportData, source_idx: i32) -> Bound {
    let of_source = data.family.iter().filter(|member| member.source_idx == source_idx);
    Bound::of_all(of_source.map(|member| data.bound(member)))
}

fn common(data: &ReportData) -> Vec<i32> {
    let has_median = |query_idx: i32, source_idx: i32| {
        let summary = data.timed(query_idx, source_idx);
        summary.is_some_and(|summary| summary.median_ms.is_some())
    };
    let queries = data.queries.iter().map(|query| query.query_idx);
    queries
        .filter(|query_idx| data.sources().all(|(source_idx, _)| has_median(*query_idx, source_idx)))
        .collect()
}

fn of_source(data: &ReportData, source_idx: i32, common: &[i32]) -> SourceNumbers {
    let verdicts = data.family.iter().filter(|member| member.source_idx == source_idx);
    let count = |is_it: fn(Verdict) -> bool| {
        verdicts
            .clone()
            .filter(|member| is_it(member.judgement.verdict))
            .count()
    };
    let summaries = common.iter().filter_map(|query_idx| data.timed(*query_idx, source_idx));
    let prepared = data.prepared.iter().find(|prepared| prepared.source_idx == source_idx);
    SourceNumbers {
        source_idx,
        overall: data
            .overall
            .iter()
            .find(|(compared_idx, _)| *compared_idx == source_idx)
            .map(|(_, overall)| *overall),
        n_won: count(|verdict| verdict == Verdict::Faster),
        n_lost: count(|verdict| verdict == Verdict::Slower),
        n_undecided: count(|verdict| !verdict.is_difference()),
        total_ms: (!common.is_empty()).then(|| summaries.clone().filter_map(|summary| summary.median_ms).sum()),
        total_is_above: summaries.clone().any(|summary| summary.median_is_above),
        // Of no queries the sum is zero, which is no time that was measured.
        planning_ms: summaries
            .map(|summary| summary.planning_ms)
            .sum::<Option<f64>>()
            .filter(|_| !common.is_empty()),
        apply_ms: prepared.map(|prepared| prepared.apply_ms),
        statistics_bytes: prepared.and_then(|prepared| prepared.statistics_bytes),
    }
}

/// One source, ready to be shown.
#[derive(Clone, Debug)]
pub struct SourceRow {
    pub source_idx: i32,
    pub source: String,
    /// Why it has no ratio: it is the baseline, or nothing may be compared; empty where it has one.
    pub apart: String,
    pub ratio: Figure,
    /// `3 of 12 queries`; empty where all of them were compared.
    pub compared: String,
    pub interval: Figure,
    /// `3 / 1 / 8`; empty where it has no ratio.
    pub score: String,
    pub total: Figure,
    pub planning: Figure,
    pub preparing: Figure,
    pub statistics: Figure,
}

/// Why a source has no ratio; empty where it has one.
fn apart(data: &ReportData, source_idx: i32) -> String {
    let spec = &data.experiment.spec;
    match data.base_of(source_idx) {
        Some(base_idx) if base_idx == source_idx => "the baseline".to_owned(),
        Some(_) => String::new(),
        None if data.base_idx == 0 && spec.is_twin(source_idx) => "the baseline in a clone with a script".to_owned(),
        None => "not compared: it ran in another clone".to_owned(),
    }
}

/// What has to be known of comparisons when a script ran in a clone of its own; empty when none did.
pub fn about_clones(data: &ReportData) -> String {
    let annexes = data.experiment.spec.annexes();
    let label = |idx: usize| i32::try_from(idx).map_or("", |idx| data.source_label(idx));
    let scripts: Vec<&str> = annexes.iter().map(|annex| label(annex.source_idx)).collect();
    if scripts.is_empty() {
        return String::new();
    }
    let each = if scripts.len() > 1 { "each in" } else { "in" };
    let beside = match data.base_idx {
        0 => String::new(),
        base_idx => format!(
            " Beside {} what ran elsewhere has no ratio.",
            data.source_label(base_idx)
        ),
    };
    format!(
        "{} ran {each} a clone of its own. A script is compared with its twin, the first source measured in that same clone in \
         the same rounds, and with nothing else: no comparison crosses clones.{beside}",
        scripts.join(", ")
    )
}

/// All sources, in order.
pub fn rows(data: &ReportData) -> Vec<SourceRow> {
    let n_queries = data.queries.len();
    let shown = |numbers: &SourceNumbers| {
        let apart = apart(data, numbers.source_idx);
        SourceRow {
            source_idx: numbers.source_idx,
            source: data.source_label(numbers.source_idx).to_owned(),
            ratio: numbers.overall.map_or_else(
                || table::time(None, false),
                |overall| compared::bounded(overall.ratio, bound(data, numbers.source_idx)),
            ),
            compared: match numbers.overall {
                Some(overall) if overall.n_queries < n_queries => {
                    format!("{} of {n_queries} queries", overall.n_queries)
                }
                Some(_) | None => String::new(),
            },
            interval: compared::open_interval(
                numbers.overall.and_then(|overall| overall.interval),
                bound(data, numbers.source_idx),
            ),
            score: if apart.is_empty() {
                format!("{} / {} / {}", numbers.n_won, numbers.n_lost, numbers.n_undecided)
            } else {
                String::new()
            },
            apart,
            total: table::time(numbers.total_ms, numbers.total_is_above),
            planning: table::time(numbers.planning_ms, false),
            preparing: table::time(numbers.apply_ms, false),
            statistics: numbers.statistics_bytes.map_or_else(
                || table::time(None, false),
                |bytes| Figure {
                    shown: bytes_in_words(bytes),
                    exact: bytes.to_string(),
                },
            ),
        }
    };
    numbers(data).iter().map(shown).collect()
}
