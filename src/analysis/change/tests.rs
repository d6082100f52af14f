use std::time::Duration;

use super::*;
use crate::analysis::effect::tests::normal;
use crate::model::chance::Chance;

const BASE: [u64; 13] = [1012, 998, 1005, 1020, 991, 987, 1003, 1011, 1008, 995, 1001, 990, 1015];
const OTHER: [u64; 14] = [
    1030, 1041, 1025, 1019, 1036, 1044, 1027, 1033, 1022, 1038, 1029, 1040, 1024, 1035,
];

fn throughput(counts: &[u64]) -> Reading {
    Reading::throughput(counts.iter().map(|n| (*n, 1000.0))).unwrap()
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * b.abs().max(1.0)
}

/// `SciPy` 1.17.1: `ttest_ind(other, base, equal_var=False)` has df 22.185 and this `confidence_interval()`; the same test
/// over mean and standard error of the logarithms by the delta method gives the rest.
#[test]
fn a_change_of_throughput_has_the_interval_of_welchs_test() {
    let change = Change::of(&throughput(&BASE), &throughput(&OTHER)).unwrap();
    let sureness = change.sureness.unwrap();
    let (low, high) = sureness.difference;
    assert!(
        is_near(low, 21.587_072_859_968_263) && is_near(high, 36.160_179_887_284_52),
        "{sureness:?}"
    );
    let (low, high) = sureness.ratio;
    assert!(is_near(change.ratio, 1.028_793_889_448_998_3));
    assert!(
        is_near(low, 1.021_408_697_224_411_4) && is_near(high, 1.036_232_479_558_626),
        "{sureness:?}"
    );
    assert!(
        (sureness.p_value / 4.364_878_601_831_757e-8 - 1.0).abs() < 1e-6,
        "{sureness:?}"
    );
    assert!(is_near(change.detectable(0.05).unwrap(), 1.010_237_016_571_53));
}

/// Fourteen seconds of fifty latencies that Python can make too, in nanoseconds that the histogram counts one by one.
fn seconds() -> Vec<Latencies> {
    let second = |second: u64| {
        let mut latencies = Latencies::new();
        for i in 0..50 {
            let ns = 1000 + ((i * 37 + second * 11) % 101) * 10 + 40 * ((second * 7) % 5);
            latencies.record(Duration::from_nanos(ns));
        }
        latencies
    };
    (0..14).map(second).collect()
}

fn merged(seconds: &[Latencies]) -> Latencies {
    let mut all = Latencies::new();
    for second in seconds {
        all.merge(second);
    }
    all
}

fn percentile(percent: f64, seconds: &[Latencies]) -> Option<Reading> {
    let all = merged(seconds);
    let value = all.percentile_ms(percent)?;
    let shares = seconds.iter().map(|second| (second.n_up_to_ms(value), second.len()));
    Reading::percentile(percent, &all, shares)
}

/// `NumPy` and `SciPy`: the share up to the percentile over seconds, its error by `scipy.stats.sem`, the times at
/// p -+ t(0.975, 13) * error.
#[test]
fn a_percentile_has_the_interval_of_woodruff() {
    let seconds = seconds();
    for (percent, value, low, high) in [(50.0, 1570.0, 1540.0, 1610.0), (90.0, 1970.0, 1940.0, 2030.0)] {
        let reading = percentile(percent, &seconds).unwrap();
        assert!(is_near(reading.value * 1e6, value), "{reading:?}");
        let (found_low, found_high) = reading.interval().unwrap();
        // What the rounding of the histogram adds is far below one step of ten.
        assert!(
            (found_low * 1e6 - low).abs() < 2.0 && (found_high * 1e6 - high).abs() < 2.0,
            "{reading:?}"
        );
    }
}

#[test]
fn where_the_interval_reaches_beyond_all_transactions_nothing_is_sure() {
    let seconds = seconds();
    // Of 700, one may take longer than p99.8, and none longer than p99.9.
    for percent in [99.8, 99.9] {
        assert_eq!(percentile(percent, &seconds).unwrap().error, None);
    }
    assert_eq!(percentile(50.0, &[]), None);
}

#[test]
fn the_other_way_round_a_ratio_is_the_inverse() {
    let there = Change::of(&throughput(&BASE), &throughput(&OTHER)).unwrap();
    let back = Change::of(&throughput(&OTHER), &throughput(&BASE)).unwrap();
    let (there_sure, back_sure) = (there.sureness.unwrap(), back.sureness.unwrap());
    assert!(is_near(there.ratio * back.ratio, 1.0) && is_near(there.difference, -back.difference));
    assert!(is_near(there_sure.ratio.0 * back_sure.ratio.1, 1.0));
    assert!(is_near(there_sure.p_value, back_sure.p_value));
}

#[test]
fn verdicts_know_what_is_wanted_and_what_could_have_been_seen() {
    let (base, other) = (throughput(&BASE), throughput(&OTHER));
    let verdict = |base: &Reading, other: &Reading, wanted| judge(&[(Change::of(base, other).unwrap(), wanted)])[0];
    assert_eq!(verdict(&base, &other, Wanted::More).verdict, Verdict::Faster);
    assert_eq!(verdict(&base, &other, Wanted::Less).verdict, Verdict::Slower);
    assert_eq!(verdict(&other, &base, Wanted::More).verdict, Verdict::Slower);
    assert_eq!(verdict(&base, &base, Wanted::More).verdict, Verdict::NoDifference);
    // Seven seconds have no error, and ten that go up and down by half could not have shown a change of 1.5.
    let few = throughput(&BASE[..7]);
    let few = verdict(&base, &few, Wanted::More);
    assert_eq!(
        (few.verdict, few.adjusted_p, few.detectable),
        (Verdict::TooFew, None, None)
    );
    let wild = throughput(&[400, 1600, 500, 1400, 700, 1500, 300, 1700, 600, 1300]);
    let wild = verdict(&wild, &wild, Wanted::More);
    assert_eq!(wild.verdict, Verdict::TooFew);
    assert!(wild.detectable.is_some_and(|ratio| ratio > 1.5));
}

#[test]
fn a_standstill_is_not_compared() {
    let nothing = throughput(&[0; 12]);
    assert_eq!((nothing.value, nothing.error), (0.0, None));
    assert_eq!(Change::of(&nothing, &throughput(&BASE)), None);
    assert!(Reading::throughput(std::iter::empty()).is_none());
}

#[test]
fn levels_that_are_the_same_are_called_different_at_most_once_in_twenty_families() {
    let mut chance = Chance::new(5, &[b"changes"]);
    let mut level = || {
        let count = |_| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "about a thousand"
            )]
            let n = (1000.0 + 30.0 * normal(&mut chance)).round() as u64;
            n
        };
        throughput(&(0..60).map(count).collect::<Vec<u64>>())
    };
    let n_wrong = (0..300)
        .filter(|_| {
            let pairs = [(); 3].map(|()| (Change::of(&level(), &level()).unwrap(), Wanted::More));
            judge(&pairs).iter().any(|judged| judged.verdict.is_difference())
        })
        .count();
    // Three standard deviations of a count of 300 at 0.05 are 11.
    assert!(n_wrong <= 26, "{n_wrong} of 300");
}
