//! What an experiment found, in a sentence or two for lists.

use std::collections::BTreeSet;

use crate::analysis::effect::Bound;
use crate::analysis::family;
use crate::analysis::family::Member;
use crate::analysis::family::Verdict;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SummaryRecord;
use crate::model::units::counted;
use crate::model::units::three_digits;

/// Of all comparisons with the first source, or why there are none. None where nothing was measured.
pub fn headline(
    spec: &ExperimentSpec,
    queries: &[ExperimentQuery],
    summaries: &[SummaryRecord],
    members: &[Member],
) -> Option<String> {
    let base = &spec.sources.first()?.label;
    if members.is_empty() {
        return nothing_compared(spec, base, summaries);
    }
    let largest = |members: &mut dyn Iterator<Item = &Member>| {
        let member = members.max_by(|a, b| a.effect.ratio.ln().abs().total_cmp(&b.effect.ratio.ln().abs()))?;
        largest_in_words(member, spec, queries, summaries)
    };
    let of_verdict = |verdict: Verdict| members.iter().filter(move |member| member.judgement.verdict == verdict);
    let (n_slower, n_faster) = (of_verdict(Verdict::Slower).count(), of_verdict(Verdict::Faster).count());
    let compared = counted(members.len() as u64, "comparison", "comparisons");
    if n_slower + n_faster > 0 {
        let largest = largest(&mut members.iter().filter(|member| member.judgement.verdict.is_difference()))?;
        let differ = match (n_slower, n_faster) {
            (n, 0) => format!("{n} slower"),
            (0, n) => format!("{n} faster"),
            (slower, faster) => format!("{slower} slower and {faster} faster"),
        };
        return Some(format!("{differ} in {compared} with {base}. The largest: {largest}."));
    }
    let n_rounds = members.iter().map(|member| member.effect.n_rounds).max()?;
    if !family::can_show(n_rounds, members.len()) {
        return Some(format!(
            "{} cannot tell any difference from chance in {compared} with {base}; {} are needed. The largest seen: {}.",
            counted(n_rounds as u64, "round", "rounds"),
            family::rounds_needed(members.len()),
            largest(&mut members.iter())?,
        ));
    }
    let noisy = match of_verdict(Verdict::TooNoisy).count() {
        0 => String::new(),
        n => format!(", {n} of them too noisy to tell"),
    };
    Some(format!("No detectable difference from {base} in {compared}{noisy}."))
}

/// Why there is no comparison, query by query counted.
fn nothing_compared(spec: &ExperimentSpec, base: &str, summaries: &[SummaryRecord]) -> Option<String> {
    if summaries.iter().all(|summary| summary.n == 0) {
        return None;
    }
    if spec.sources.len() == 1 {
        return Some(format!(
            "Only {base} was measured, so there is nothing to compare it with."
        ));
    }
    let query_idxs: BTreeSet<i32> = summaries.iter().map(|summary| summary.query_idx).collect();
    let (mut n_failed, mut n_timed_out, mut n_same, mut n_cut) = (0, 0, 0, 0);
    for query_idx in query_idxs {
        let of_query = summaries.iter().filter(|summary| summary.query_idx == query_idx);
        let has = |is_so: fn(&SummaryRecord) -> bool| of_query.clone().any(is_so);
        if has(|summary| summary.n_failed > 0) {
            n_failed += 1;
        } else if has(|summary| summary.n_timed_out > 0) {
            n_timed_out += 1;
        } else if has(|summary| summary.same_plan_as.is_some()) {
            n_same += 1;
        } else {
            n_cut += 1;
        }
    }
    let reasons = [
        (n_failed, "a trial failed"),
        (n_timed_out, "all rounds timed out on both sides"),
        (n_same, "the plan is the same under all sources and was timed once"),
        (n_cut, "no round was measured under two sources"),
    ];
    let reasons = reasons.into_iter().filter(|(n, _)| *n > 0);
    let reasons: Vec<String> = reasons
        .map(|(n, why)| format!("in {} {why}", counted(n, "query", "queries")))
        .collect();
    Some(format!(
        "No query could be compared with {base}: {}.",
        reasons.join(", ")
    ))
}

/// `q7 is 40.1× slower under none, by another plan`.
fn largest_in_words(
    member: &Member,
    spec: &ExperimentSpec,
    queries: &[ExperimentQuery],
    summaries: &[SummaryRecord],
) -> Option<String> {
    let query = queries.iter().find(|query| query.query_idx == member.query_idx)?;
    let source = spec.sources.get(usize::try_from(member.source_idx).ok()?)?;
    let (factor, word) = if member.effect.ratio >= 1.0 {
        (member.effect.ratio, "slower")
    } else {
        (member.effect.ratio.recip(), "faster")
    };
    let summary_of = |source_idx: i32| {
        let mut of_query = summaries.iter().filter(|summary| summary.query_idx == member.query_idx);
        of_query.find(|summary| summary.source_idx == source_idx)
    };
    let letter_of = |source_idx: i32| summary_of(source_idx)?.plan_letter.as_deref();
    let plans = match (
        spec.stand_in(0, member.source_idx).and_then(letter_of),
        letter_of(member.source_idx),
    ) {
        (Some(base), Some(other)) if base == other => "by the same plan",
        (Some(_), Some(_)) => "by another plan",
        _ => "by an unknown plan",
    };
    let bound = match (
        member.bound(
            spec.stand_in(0, member.source_idx).and_then(summary_of),
            summary_of(member.source_idx),
        ),
        word,
    ) {
        (Bound::Exact, _) => "",
        (Bound::AtLeast, "slower") | (Bound::AtMost, "faster") => "at least ",
        (Bound::AtLeast | Bound::AtMost, _) => "at most ",
        (Bound::Open, _) => "about ",
    };
    Some(format!(
        "{} is {bound}{}× {word} under {}, {plans}",
        query.label,
        three_digits(factor),
        source.label
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::Effect;
    use crate::analysis::family::judge;
    use crate::model::experiment::tests::spec;
    use crate::model::workload::QueryClass;

    fn queries(n: i32) -> Vec<ExperimentQuery> {
        let query = |query_idx: i32| ExperimentQuery {
            query_idx,
            label: format!("q{}", query_idx + 1),
            line: 1,
            sql: "select 1".to_owned(),
            class: QueryClass::Reads,
        };
        (0..n).map(query).collect()
    }

    fn said(ratios: &[f64], n_rounds: usize, log_error: f64, p_value: f64) -> String {
        let effects: Vec<Effect> = ratios
            .iter()
            .map(|ratio| Effect {
                n_rounds,
                n_censored: 0,
                ratio: *ratio,
                interval: None,
                log_error: Some(log_error),
                p_value,
            })
            .collect();
        let members: Vec<Member> = (0..)
            .zip(effects.iter().zip(judge(&effects)))
            .map(|(query_idx, (effect, judgement))| Member {
                query_idx,
                source_idx: 1,
                effect: *effect,
                judgement,
            })
            .collect();
        headline(&spec(&[("built_in", None), ("none", None)]), &queries(3), &[], &members).unwrap_or_default()
    }

    #[test]
    fn differences_are_counted_and_the_largest_is_named() {
        assert_eq!(
            said(&[2.0, 0.1, 1.5], 12, 0.01, 1e-4),
            "2 slower and 1 faster in 3 comparisons with built_in. The largest: q2 is 10.0× faster under none, by an \
             unknown plan."
        );
    }

    #[test]
    fn too_few_rounds_and_no_difference_are_different_things() {
        assert_eq!(
            said(&[2.0, 0.9, 1.0], 5, 0.01, 1.0 / 16.0),
            "5 rounds cannot tell any difference from chance in 3 comparisons with built_in; 7 are needed. The largest \
             seen: q1 is 2.00× slower under none, by an unknown plan."
        );
        assert_eq!(
            said(&[1.01, 0.99, 1.0], 12, 0.01, 0.5),
            "No detectable difference from built_in in 3 comparisons."
        );
        assert_eq!(
            said(&[1.1, 0.99, 1.0], 12, 0.4, 0.5),
            "No detectable difference from built_in in 3 comparisons, 3 of them too noisy to tell."
        );
        assert_eq!(said(&[], 12, 0.4, 0.5), "");
    }

    #[test]
    fn where_nothing_can_be_compared_the_reason_is_told() {
        let summary = |query_idx, source_idx, n_failed, n_timed_out, same_plan_as: Option<i32>| SummaryRecord {
            source_idx,
            query_idx,
            n: if same_plan_as.is_some() { 0 } else { 3 },
            n_finished: 0,
            n_timed_out,
            n_failed,
            mean_ms: None,
            stddev_ms: None,
            median_ms: None,
            median_is_above: false,
            min_ms: None,
            min_is_above: false,
            p95_ms: None,
            p95_is_above: false,
            low_ms: None,
            low_is_above: false,
            high_ms: None,
            high_is_above: false,
            relative_deviation: None,
            noise: None,
            n_outliers: 0,
            planning_ms: None,
            cost: None,
            plan_letter: None,
            message: None,
            same_plan_as,
        };
        let both = spec(&[("built_in", None), ("none", None)]);
        let alone = spec(&[("built_in", None)]);
        let of = |spec: &ExperimentSpec, summaries: &[SummaryRecord]| headline(spec, &queries(4), summaries, &[]);
        let failed = [
            summary(0, 0, 0, 0, None),
            summary(0, 1, 3, 0, None),
            summary(1, 0, 0, 3, None),
            summary(1, 1, 0, 3, None),
            summary(2, 0, 0, 0, None),
            summary(2, 1, 0, 0, Some(0)),
            summary(3, 0, 0, 0, None),
        ];
        assert_eq!(
            of(&both, &failed).unwrap(),
            "No query could be compared with built_in: in 1 query a trial failed, in 1 query all rounds timed out on both \
             sides, in 1 query the plan is the same under all sources and was timed once, in 1 query no round was measured \
             under two sources."
        );
        assert_eq!(
            of(&alone, &failed[..1]).unwrap(),
            "Only built_in was measured, so there is nothing to compare it with."
        );
        let unmeasured = SummaryRecord {
            n: 0,
            ..failed[0].clone()
        };
        assert_eq!(of(&both, &[unmeasured]), None);
    }
}
