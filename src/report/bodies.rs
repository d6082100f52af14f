//! The numbers of an experiment as JSON tells them, in the file that holds everything and to programs: the same names and
//! the same units in both.

use chrono::DateTime;
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use crate::analysis::family::Member;
use crate::model::experiment::NoiseGrade;
use crate::model::experiment::Params;
use crate::model::experiment::Segment;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SummaryRecord;
use crate::model::look::Disturbance;
use crate::model::look::disturbances_of;
use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::StatisticsObject;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::report::costs;
use crate::report::data::ReportData;
use crate::report::sources;

/// A query of an experiment.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentQuery)]
pub struct QueryBody<'a> {
    label: &'a str,
    /// Where it begins in the file of the workload.
    line: u64,
    sql: &'a str,
    /// `reads` or `writes`.
    class: &'static str,
}

/// The numbers of one query under one source.
#[derive(Serialize, ToSchema)]
#[schema(as = Summary)]
#[expect(clippy::struct_excessive_bools, reason = "every quantile may be a limit")]
pub struct SummaryBody<'a> {
    source: &'a str,
    query: &'a str,
    /// Measured trials.
    n: i32,
    n_finished: i32,
    n_timed_out: i32,
    n_failed: i32,
    mean_ms: Option<f64>,
    stddev_ms: Option<f64>,
    median_ms: Option<f64>,
    /// The median lies above `median_ms`, which is then the timeout; and so for the others.
    median_is_above: bool,
    min_ms: Option<f64>,
    min_is_above: bool,
    p95_ms: Option<f64>,
    p95_is_above: bool,
    /// The 95 percent interval of the median.
    median_low_ms: Option<f64>,
    median_low_is_above: bool,
    median_high_ms: Option<f64>,
    median_high_is_above: bool,
    /// The robust standard deviation as a share of the median.
    relative_deviation: Option<f64>,
    noise: Option<NoiseGrade>,
    n_outliers: i32,
    planning_ms: Option<f64>,
    /// As the planner counts.
    cost: Option<f64>,
    /// The letter of the plan among those of the query.
    plan: Option<&'a str>,
    message: Option<&'a str>,
    /// The source with the same plan whose times stand for it, where nothing was timed.
    same_plan_as: Option<&'a str>,
}

/// One query under one source beside the baseline.
#[derive(Serialize, ToSchema)]
#[schema(as = Comparison)]
pub struct ComparisonBody<'a> {
    source: &'a str,
    query: &'a str,
    /// Rounds that say something.
    n_rounds: usize,
    /// Rounds in which one of the two timed out.
    n_censored: usize,
    /// The geometric mean of the source's time over the baseline's: above 1 the source is slower.
    ratio: f64,
    /// Its 95 percent interval.
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    /// The standard error of the ratio's logarithm.
    log_error: Option<f64>,
    /// Of the permutation test, by itself.
    p: f64,
    /// The same adjusted for all comparisons beside this baseline.
    adjusted_p: f64,
    /// The smallest ratio above 1 that so many rounds of such noise would have shown.
    detectable_ratio: Option<f64>,
    verdict: &'static str,
}

/// One source over the whole workload.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentSource)]
pub struct SourceBody<'a> {
    /// What summaries, comparisons and trials call it.
    label: &'a str,
    name: &'a str,
    #[schema(value_type = BTreeMap<String, String>)]
    params: &'a Params,
    /// Which one it is of a set of draws.
    draw: Option<u32>,
    snapshot_sha256: Option<&'a str>,
    n_statistics: Option<u64>,
    /// What preparing it took.
    apply_ms: Option<f64>,
    statistics_bytes: Option<u64>,
    targets: Option<&'a [ColumnTarget]>,
    /// The geometric mean over the queries of its time over the baseline's, with its 95 percent interval.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    n_queries_compared: Option<usize>,
    n_won: usize,
    n_lost: usize,
    n_undecided: usize,
    /// The sum of the medians of all queries that have one under every source.
    total_ms: Option<f64>,
    total_is_above: bool,
    planning_ms: Option<f64>,
    cost_time_rank_correlation: Option<f64>,
    notes: Option<&'a [SourceNote]>,
    objects: Option<&'a [StatisticsObject]>,
}

/// A stretch of measuring without interruption.
#[derive(Serialize, ToSchema)]
#[schema(as = Segment)]
pub struct SegmentBody<'a> {
    segment: i32,
    /// From 1.
    first_trial: i32,
    reason: &'a str,
    #[schema(value_type = String, format = DateTime)]
    started_at: DateTime<Utc>,
}

/// One execution of one query under one source in one round.
#[derive(Serialize, ToSchema)]
#[schema(as = Trial)]
pub struct TrialBody<'a> {
    source: &'a str,
    query: &'a str,
    round: i32,
    /// Its place in the schedule, from 1.
    trial: i32,
    segment: i32,
    outcome: OutcomeWord,
    /// The time taken; of a trial that timed out, the limit.
    execution_ms: Option<f64>,
    planning_ms: Option<f64>,
    /// As the planner counts.
    cost_estimate: Option<f64>,
    /// What the server says that execution took, where the client's clock was read.
    server_ms: Option<f64>,
    /// What else was at work.
    seen: Vec<Disturbance>,
    /// The letter of the plan among those of the query; none before the experiment settled.
    plan: Option<&'a str>,
    message: Option<&'a str>,
}

/// The queries, in order.
pub fn queries(data: &ReportData) -> Vec<QueryBody<'_>> {
    let bodies = data.queries.iter().map(|query| QueryBody {
        label: &query.label,
        line: query.line,
        sql: &query.sql,
        class: query.class.word(),
    });
    bodies.collect()
}

/// The summaries, by query, then source; none before the experiment settled.
pub fn summaries(data: &ReportData) -> Vec<SummaryBody<'_>> {
    data.summaries
        .iter()
        .map(|summary| summary_body(data, summary))
        .collect()
}

/// Everything beside the baseline, by query, then source; nothing before the experiment settled.
pub fn comparisons(data: &ReportData) -> Vec<ComparisonBody<'_>> {
    data.family.iter().map(|member| comparison_body(data, member)).collect()
}

/// The sources, in order.
pub fn sources(data: &ReportData) -> Vec<SourceBody<'_>> {
    data.sources()
        .zip(sources::numbers(data))
        .zip(costs::agreements(data))
        .map(|(((source_idx, source), numbers), agreement)| {
            let overall = numbers.overall;
            let interval = overall.and_then(|overall| overall.interval);
            let prepared = data.prepared.iter().find(|prepared| prepared.source_idx == source_idx);
            SourceBody {
                label: &source.label,
                name: &source.name,
                params: &source.params,
                draw: source.draw,
                snapshot_sha256: prepared.map(|prepared| prepared.snapshot_sha256.as_str()),
                n_statistics: prepared.map(|prepared| prepared.n_statistics),
                apply_ms: prepared.map(|prepared| prepared.apply_ms),
                statistics_bytes: numbers.statistics_bytes,
                targets: prepared.map(|prepared| prepared.targets.as_slice()),
                ratio: overall.map(|overall| overall.ratio),
                ratio_low: interval.map(|(low, _)| low),
                ratio_high: interval.map(|(_, high)| high),
                n_queries_compared: overall.map(|overall| overall.n_queries),
                n_won: numbers.n_won,
                n_lost: numbers.n_lost,
                n_undecided: numbers.n_undecided,
                total_ms: numbers.total_ms,
                total_is_above: numbers.total_is_above,
                planning_ms: numbers.planning_ms,
                cost_time_rank_correlation: agreement.correlation,
                notes: prepared.map(|prepared| prepared.notes.as_slice()),
                objects: prepared.map(|prepared| prepared.objects.as_slice()),
            }
        })
        .collect()
}

/// The stretches in which it ran, in order.
pub fn segments(data: &ReportData) -> Vec<SegmentBody<'_>> {
    let bodies = data.segments.iter().map(|segment: &Segment| SegmentBody {
        segment: segment.segment_no,
        first_trial: segment.first_trial + 1,
        reason: &segment.reason,
        started_at: segment.started_at,
    });
    bodies.collect()
}

/// One trial.
pub fn trial<'a>(data: &'a ReportData, trial: &'a RecordedTrial) -> TrialBody<'a> {
    TrialBody {
        source: data.source_label(trial.source_idx),
        query: data.query_label(trial.query_idx),
        round: trial.round,
        trial: trial.trial_idx + 1,
        segment: trial.segment_no,
        outcome: trial.outcome,
        execution_ms: trial.execution_ms,
        planning_ms: trial.planning_ms,
        cost_estimate: trial.cost,
        server_ms: trial.server_ms,
        seen: disturbances_of(&data.looks, trial),
        plan: letter(data, trial.query_idx, trial.source_idx),
        message: trial.message.as_deref(),
    }
}

/// The letter of a plan among those of its query.
pub fn letter(data: &ReportData, query_idx: i32, source_idx: i32) -> Option<&str> {
    data.summary(query_idx, source_idx)?.plan_letter.as_deref()
}

fn summary_body<'a>(data: &'a ReportData, summary: &'a SummaryRecord) -> SummaryBody<'a> {
    SummaryBody {
        source: data.source_label(summary.source_idx),
        query: data.query_label(summary.query_idx),
        n: summary.n,
        n_finished: summary.n_finished,
        n_timed_out: summary.n_timed_out,
        n_failed: summary.n_failed,
        mean_ms: summary.mean_ms,
        stddev_ms: summary.stddev_ms,
        median_ms: summary.median_ms,
        median_is_above: summary.median_is_above,
        min_ms: summary.min_ms,
        min_is_above: summary.min_is_above,
        p95_ms: summary.p95_ms,
        p95_is_above: summary.p95_is_above,
        median_low_ms: summary.low_ms,
        median_low_is_above: summary.low_is_above,
        median_high_ms: summary.high_ms,
        median_high_is_above: summary.high_is_above,
        relative_deviation: summary.relative_deviation,
        noise: summary.noise,
        n_outliers: summary.n_outliers,
        planning_ms: summary.planning_ms,
        cost: summary.cost,
        plan: summary.plan_letter.as_deref(),
        message: summary.message.as_deref(),
        same_plan_as: summary.same_plan_as.map(|source_idx| data.source_label(source_idx)),
    }
}

fn comparison_body<'a>(data: &'a ReportData, member: &Member) -> ComparisonBody<'a> {
    let (effect, judgement) = (&member.effect, &member.judgement);
    ComparisonBody {
        source: data.source_label(member.source_idx),
        query: data.query_label(member.query_idx),
        n_rounds: effect.n_rounds,
        n_censored: effect.n_censored,
        ratio: effect.ratio,
        ratio_low: effect.interval.map(|(low, _)| low),
        ratio_high: effect.interval.map(|(_, high)| high),
        log_error: effect.log_error,
        p: effect.p_value,
        adjusted_p: judgement.adjusted_p,
        detectable_ratio: judgement.detectable,
        verdict: judgement.verdict.word(),
    }
}
