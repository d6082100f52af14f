//! From trials to what measuring costs: each query plain, and by EXPLAIN ANALYZE without and with per-node timing.

use std::collections::BTreeMap;

use crate::analysis::effect::Effect;
use crate::analysis::effect::Pair;
use crate::analysis::resample::Resampling;
use crate::analysis::summary::Observed;
use crate::analysis::summary::Quantile;
use crate::analysis::summary::summarize;
use crate::model::experiment::TaxRecord;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;

/// What measuring each query costs, by query. Left out is every query of which a trial timed out or failed: how much longer
/// it would have taken is not known. The seed decides the resamples behind the intervals and nothing else.
pub fn taxes(n_queries: usize, trials: &[RecordedTrial], seed: u64) -> Vec<TaxRecord> {
    let mut observed: BTreeMap<i32, Vec<&RecordedTrial>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.kind.is_of_observer()) {
        observed.entry(trial.query_idx).or_default().push(trial);
    }
    let mut resampling = Resampling::new(seed);
    let queries = (0_i32..).take(n_queries);
    queries
        .filter_map(|query_idx| tax(query_idx, observed.get(&query_idx)?, &mut resampling))
        .collect()
}

/// The times of one query in one way, by round.
#[derive(Default)]
struct Times {
    client: BTreeMap<i32, f64>,
    server: BTreeMap<i32, f64>,
}

fn tax(query_idx: i32, trials: &[&RecordedTrial], resampling: &mut Resampling) -> Option<TaxRecord> {
    let (mut plain, mut off, mut on) = (Times::default(), Times::default(), Times::default());
    for trial in trials {
        let ms = trial.execution_ms.filter(|_| trial.outcome == OutcomeWord::Finished)?;
        let times = match trial.kind {
            TrialKind::Plain => &mut plain,
            TrialKind::TimingOff => &mut off,
            TrialKind::TimingOn => &mut on,
            TrialKind::WarmUp | TrialKind::Measured => continue,
        };
        times.client.insert(trial.round, ms);
        times.server.extend(trial.server_ms.map(|ms| (trial.round, ms)));
    }
    // The last round of an experiment that was stopped may lack some.
    let is_whole = |round: &i32| off.client.contains_key(round) && on.client.contains_key(round);
    let rounds: Vec<i32> = plain.client.keys().copied().filter(is_whole).collect();
    let of_rounds = |times: &BTreeMap<i32, f64>| -> Vec<f64> {
        let found = rounds.iter().filter_map(|round| times.get(round));
        found.copied().collect()
    };
    let plain = of_rounds(&plain.client);
    let (off_client, off_server) = (of_rounds(&off.client), of_rounds(&off.server));
    let (on_client, on_server) = (of_rounds(&on.client), of_rounds(&on.server));
    let off = Effect::of(&pairs(&plain, &off_client), resampling)?;
    let on = Effect::of(&pairs(&plain, &on_client), resampling)?;
    Some(TaxRecord {
        query_idx,
        n_rounds: i32::try_from(rounds.len()).unwrap_or(i32::MAX),
        plain_ms: median(&plain)?,
        off_ms: median(&off_client)?,
        off_server_ms: median(&off_server)?,
        off_ratio: off.ratio,
        off_low: off.interval.map(|(low, _)| low),
        off_high: off.interval.map(|(_, high)| high),
        on_ms: median(&on_client)?,
        on_server_ms: median(&on_server)?,
        on_ratio: on.ratio,
        on_low: on.interval.map(|(low, _)| low),
        on_high: on.interval.map(|(_, high)| high),
    })
}

fn pairs(plain: &[f64], other: &[f64]) -> Vec<Pair> {
    let finished = |ms: &f64| Observed::Finished { ms: *ms };
    plain.iter().map(finished).zip(other.iter().map(finished)).collect()
}

fn median(times: &[f64]) -> Option<f64> {
    let sample: Vec<Observed> = times.iter().map(|ms| Observed::Finished { ms: *ms }).collect();
    Quantile::parts(summarize(&sample).median_ms).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(query_idx: i32, round: i32, kind: TrialKind, ms: f64, server_ms: Option<f64>) -> RecordedTrial {
        RecordedTrial {
            trial_idx: 0,
            kind,
            round,
            source_idx: 0,
            query_idx,
            segment_no: 1,
            outcome: OutcomeWord::Finished,
            execution_ms: Some(ms),
            planning_ms: None,
            cost: None,
            server_ms,
            message: None,
        }
    }

    const PLAIN: [f64; 6] = [10.2, 9.8, 10.5, 11.9, 10.1, 10.0];
    const OFF: [f64; 6] = [10.9, 10.1, 11.2, 12.4, 10.0, 10.6];
    const ON: [f64; 6] = [18.7, 17.9, 19.6, 22.1, 18.2, 18.5];

    /// Round by round, the ways in another order each time.
    fn rounds(query_idx: i32) -> Vec<RecordedTrial> {
        let mut trials = Vec::new();
        for (round, ((plain, off), on)) in (1..).zip(PLAIN.into_iter().zip(OFF).zip(ON)) {
            let mut ways = vec![
                trial(query_idx, round, TrialKind::TimingOn, on, Some(on - 0.5)),
                trial(query_idx, round, TrialKind::Plain, plain, None),
                trial(query_idx, round, TrialKind::TimingOff, off, Some(off - 0.5)),
            ];
            ways.rotate_left(usize::try_from(round).unwrap() % 3);
            trials.extend(ways);
        }
        trials
    }

    #[test]
    fn the_tax_is_the_one_of_scipy() {
        let mut trials = rounds(1);
        trials.push(trial(1, 1, TrialKind::Measured, 1e6, None));
        let taxes = taxes(2, &trials, 7);
        let [tax] = taxes.as_slice() else { panic!("{taxes:?}") };
        assert_eq!((tax.query_idx, tax.n_rounds), (1, 6));
        // SciPy 1.17.1 of PLAIN, OFF and ON: stats.gmean(np.divide(OFF, PLAIN)), np.median(PLAIN), and so on.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12 * b;
        let SciPy { ratios, medians } = SCIPY;
        assert!(near(tax.off_ratio, ratios.0) && near(tax.on_ratio, ratios.1), "{tax:?}");
        assert!(near(tax.plain_ms, medians.0) && near(tax.off_ms, medians.1), "{tax:?}");
        assert!(
            near(tax.on_ms, medians.2) && near(tax.on_server_ms, medians.2 - 0.5),
            "{tax:?}"
        );
        let (low, high) = (tax.on_low.unwrap(), tax.on_high.unwrap());
        // NumPy 2.4.6, 2,000,000 resamples of np.log(np.divide(ON, PLAIN)) by the bootstrap-t; ours has 1999 and six values,
        // so its ends vary by a tenth of its width.
        let width = BOOTSTRAP_T.1 - BOOTSTRAP_T.0;
        assert!(
            (low - BOOTSTRAP_T.0).abs() < width / 4.0 && (high - BOOTSTRAP_T.1).abs() < width / 4.0,
            "{tax:?}"
        );
    }

    struct SciPy {
        ratios: (f64, f64),
        medians: (f64, f64, f64),
    }

    const SCIPY: SciPy = SciPy {
        ratios: (1.042_641_308_266_477_6, 1.839_149_511_815_866_3),
        medians: (10.15, 10.75, 18.6),
    };

    const BOOTSTRAP_T: (f64, f64) = (1.809_06, 1.860_54);

    #[test]
    fn a_query_of_which_something_was_cut_off_has_no_tax_and_a_round_that_is_not_whole_does_not_count() {
        let mut trials = rounds(0);
        trials.pop();
        trials.extend(rounds(1));
        let last = trials.len() - 1;
        trials[last].outcome = OutcomeWord::TimedOut;
        let taxes = taxes(3, &trials, 7);
        assert_eq!(
            taxes
                .iter()
                .map(|tax| (tax.query_idx, tax.n_rounds))
                .collect::<Vec<_>>(),
            [(0, 5)]
        );
        assert!(super::taxes(3, &[trial(0, 1, TrialKind::Plain, 1.0, None)], 7).is_empty());
    }
}
