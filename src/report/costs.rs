//! The planner's cost beside the time that was measured: how well the one foretells the other.

use crate::analysis::family::Verdict;
use crate::analysis::rank;
use crate::report::compared;
use crate::report::data::ReportData;
use crate::report::table::Figure;

/// A cost that moves by this factor moves a lot.
const LARGE: f64 = 10.0;
/// One that stays within this factor has not moved.
const SMALL: f64 = 1.1;

/// How the ranks of costs and medians of one source agree over the queries.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    pub source_idx: i32,
    pub n_queries: usize,
    /// Spearman's correlation, from -1 to 1.
    pub correlation: Option<f64>,
}

/// A query whose cost and time did not move together between the baseline and a source.
#[derive(Clone, Debug)]
pub struct Surprise {
    pub query_idx: i32,
    pub query: String,
    pub source_idx: i32,
    pub source: String,
    pub cost_ratio: Figure,
    pub time_ratio: Figure,
    pub verdict: Verdict,
}

/// Cost and median of every query that has both, under one source. A median among timeouts counts as its limit.
pub fn pairs(data: &ReportData, source_idx: i32) -> Vec<(f64, f64)> {
    let pair = |query_idx: i32| {
        let cost = data.summary(query_idx, source_idx)?.cost?;
        Some((cost, data.timed(query_idx, source_idx)?.median_ms?))
    };
    data.queries.iter().filter_map(|query| pair(query.query_idx)).collect()
}

/// Of every source, in order.
pub fn agreements(data: &ReportData) -> Vec<Agreement> {
    let of_source = |(source_idx, _)| {
        let pairs = pairs(data, source_idx);
        Agreement {
            source_idx,
            n_queries: pairs.len(),
            correlation: rank::correlation(&pairs),
        }
    };
    data.sources().map(of_source).collect()
}

/// Where the cost moved tenfold or more and the time shows no difference.
pub fn cost_alone(data: &ReportData) -> Vec<Surprise> {
    surprises(data, |cost_ratio, _, verdict| {
        verdict == Verdict::NoDifference && !(1.0 / LARGE..LARGE).contains(&cost_ratio)
    })
}

/// Where the time differs, and the cost has not moved or says the opposite.
pub fn time_alone(data: &ReportData) -> Vec<Surprise> {
    surprises(data, |cost_ratio, time_ratio, verdict| {
        let has_not_moved = (1.0 / SMALL..=SMALL).contains(&cost_ratio);
        verdict.is_difference() && (has_not_moved || (cost_ratio > 1.0) != (time_ratio > 1.0))
    })
}

/// The largest movement first.
fn surprises(data: &ReportData, is_one: impl Fn(f64, f64, Verdict) -> bool) -> Vec<Surprise> {
    let mut found: Vec<(f64, Surprise)> = Vec::new();
    for member in &data.family {
        let cost_of = |source_idx: i32| data.summary(member.query_idx, source_idx)?.cost;
        let base = data.base_of(member.source_idx).and_then(cost_of);
        let (Some(base), Some(cost)) = (base, cost_of(member.source_idx)) else {
            continue;
        };
        let (cost_ratio, time_ratio, verdict) = (cost / base, member.effect.ratio, member.judgement.verdict);
        if cost_ratio.is_finite() && cost_ratio > 0.0 && is_one(cost_ratio, time_ratio, verdict) {
            let surprise = Surprise {
                query_idx: member.query_idx,
                query: data.query_label(member.query_idx).to_owned(),
                source_idx: member.source_idx,
                source: data.source_label(member.source_idx).to_owned(),
                cost_ratio: compared::ratio(cost_ratio),
                time_ratio: compared::bounded(time_ratio, data.bound(member)),
                verdict,
            };
            found.push((cost_ratio.ln().abs().max(time_ratio.ln().abs()), surprise));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().map(|(_, surprise)| surprise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::Effect;
    use crate::analysis::family::Judgement;
    use crate::analysis::family::Member;
    use crate::model::experiment::SummaryRecord;
    use crate::model::ids::ExperimentId;
    use crate::report::table::tests::summary;
    use crate::testing::world::World;

    async fn data(world: &World, id: ExperimentId) -> ReportData {
        let data = ReportData::load(&mut *world.conn().await, world.viewer, id).await;
        data.unwrap().unwrap()
    }

    fn member(query_idx: i32, ratio: f64, verdict: Verdict) -> Member {
        Member {
            query_idx,
            source_idx: 1,
            effect: Effect {
                n_rounds: 10,
                n_censored: 0,
                ratio,
                interval: None,
                log_error: None,
                p_value: 0.5,
            },
            judgement: Judgement {
                adjusted_p: 0.5,
                detectable: None,
                verdict,
            },
        }
    }

    #[tokio::test]
    async fn queries_whose_cost_and_time_go_apart_are_named_the_largest_first() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["built_in", "none"]).await;
        let mut data = data(&world, id).await;
        let cases = [
            (0, 100.0, 2000.0, 1.0, Verdict::NoDifference),
            (1, 100.0, 4.0, 1.0, Verdict::NoDifference),
            (2, 100.0, 900.0, 1.0, Verdict::NoDifference),
            (3, 100.0, 9000.0, 1.0, Verdict::TooNoisy),
            (4, 100.0, 105.0, 2.0, Verdict::Slower),
            (5, 100.0, 50.0, 3.0, Verdict::Slower),
            (6, 100.0, 200.0, 2.0, Verdict::Slower),
            (7, 100.0, 100.0, 0.2, Verdict::Faster),
        ];
        for (query_idx, base, other, ratio, verdict) in cases {
            for (source_idx, cost) in [(0, base), (1, other)] {
                data.summaries.push(SummaryRecord {
                    query_idx,
                    source_idx,
                    cost: Some(cost),
                    ..summary(1.0, false)
                });
            }
            data.family.push(member(query_idx, ratio, verdict));
        }
        let queries = |found: Vec<Surprise>| -> Vec<i32> { found.iter().map(|surprise| surprise.query_idx).collect() };
        assert_eq!(queries(cost_alone(&data)), [1, 0]);
        assert_eq!(queries(time_alone(&data)), [7, 5, 4]);
        assert_eq!(agreements(&data)[0].correlation, None, "of one query");
    }
}
