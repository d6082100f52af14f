//! One level of a benchmark beside another: how much its throughput and its percentiles differ, and how sure that is.

use statrs::distribution::ContinuousCDF as _;
use statrs::distribution::StudentsT;

use crate::analysis::batch_means::Part;
use crate::analysis::batch_means::Rate;
use crate::analysis::batch_means::RateError;
use crate::analysis::family::FALSE_ALARMS;
use crate::analysis::holm;
use crate::analysis::latency::Latencies;
use crate::analysis::latency::PRECISION;

/// How often a change of the size that is called detectable is detected.
const POWER: f64 = 0.8;

/// A comparison that could only have seen a change beyond this factor says nothing.
const TOO_NOISY: f64 = 1.5;

/// One number of a level, with how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// `None` where the seconds are too few for it.
    pub error: Option<Error>,
}

/// Standard errors of the logarithm of a number, downwards and upwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    down: f64,
    up: f64,
    freedom: f64,
}

impl Estimate {
    /// Transactions a second, from the transactions and the length in milliseconds of each second. `None` without any.
    pub fn throughput(seconds: impl Iterator<Item = (u64, f64)>) -> Option<Self> {
        let parts = seconds.map(|(n, span_ms)| Part {
            above: as_f64(n),
            below: span_ms / 1000.0,
        });
        let rate = Rate::of(&parts.collect::<Vec<Part>>())?;
        // By the delta method, the error of a logarithm is the relative error.
        let error = rate.error.filter(|_| rate.value > 0.0).map(|error| {
            let relative = error.standard_error / rate.value;
            Error {
                down: relative,
                up: relative,
                freedom: error.freedom(),
            }
        });
        Some(Self {
            value: rate.value,
            error,
        })
    }

    /// A percentile in milliseconds of all transactions, from how many of each second took at most so long, of how many.
    /// `None` without transactions.
    ///
    /// The share of transactions up to that time is a rate over seconds, and the times at both ends of that share's
    /// interval are those of the percentile's: Woodruff, "Confidence Intervals for Medians and Other Position Measures",
    /// Journal of the American Statistical Association 47, 1952. Where nothing took longer, and where the interval reaches
    /// beyond all transactions, there is no error.
    pub fn percentile(percent: f64, all: &Latencies, seconds: impl Iterator<Item = (u64, u64)>) -> Option<Self> {
        let value = all.percentile_ms(percent)?;
        let parts = seconds.map(|(n_up_to, n)| Part {
            above: as_f64(n_up_to),
            below: as_f64(n),
        });
        let rate = Rate::of(&parts.collect::<Vec<Part>>()).filter(|rate| rate.value < 1.0);
        let error = rate.and_then(|rate| rate.error).and_then(|error| {
            let reach = 100.0 * t_quantile(0.975, error.freedom()) * error.standard_error;
            Self::woodruff(percent, reach, all, error)
        });
        Some(Self { value, error })
    }

    fn woodruff(percent: f64, reach: f64, all: &Latencies, error: RateError) -> Option<Error> {
        let is_inside = percent - reach > 0.0 && percent + reach < 100.0;
        let value = all.percentile_ms(percent)?;
        let low = all.percentile_ms(percent - reach).filter(|low| *low > 0.0)?;
        let high = all.percentile_ms(percent + reach)?;
        let t = t_quantile(0.975, error.freedom());
        // A histogram tells times apart to its precision only; a time anywhere in a bucket has this deviation.
        let rounding = PRECISION / 12.0_f64.sqrt();
        is_inside.then(|| Error {
            down: ((value / low).ln() / t).hypot(rounding),
            up: ((high / value).ln() / t).hypot(rounding),
            freedom: error.freedom(),
        })
    }

    /// The 95 percent interval.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let error = self.error?;
        let t = t_quantile(0.975, error.freedom);
        let (low, high) = (self.value * (-t * error.down).exp(), self.value * (t * error.up).exp());
        Some((low, high))
    }
}

/// What a number of one level is beside the same of another, the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    pub base: f64,
    pub other: f64,
    /// The other over the baseline.
    pub ratio: f64,
    /// The other less the baseline, in its unit.
    pub difference: f64,
    pub sureness: Option<Sureness>,
}

/// How sure a change is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sureness {
    /// Of 95 percent.
    pub ratio: (f64, f64),
    pub difference: (f64, f64),
    /// Of no change at all, by itself.
    pub p_value: f64,
    /// The standard error of the logarithm of the ratio, and its degrees of freedom.
    error: f64,
    freedom: f64,
}

impl Change {
    /// Compares two numbers. `None` where the baseline is nothing or either is no positive number.
    ///
    /// The errors of both sides are put together by the side on which each counts: Zou and Donner, "Construction of
    /// Confidence Limits about Effect Measures: A General Approach", Statistics in Medicine 27(10), 2008; with the degrees of
    /// freedom of Welch, "The Generalization of 'Student's' Problem when Several Different Population Variances are
    /// Involved", Biometrika 34, 1947. Of a throughput, that is Welch's interval.
    pub fn of(base: &Estimate, other: &Estimate) -> Option<Self> {
        let (from, to) = (base.value, other.value);
        if !(from > 0.0 && to > 0.0 && from.is_finite() && to.is_finite()) {
            return None;
        }
        Some(Self {
            base: from,
            other: to,
            ratio: to / from,
            difference: to - from,
            sureness: base
                .error
                .zip(other.error)
                .and_then(|(before, after)| sureness((from, before), (to, after))),
        })
    }

    /// The smallest ratio above 1 that so many seconds of such noise would have shown in four of five comparisons, at this
    /// chance of a false alarm: Lachin, "Introduction to Sample Size Determination and Power Analysis for Clinical Trials",
    /// Controlled Clinical Trials 2, 1981.
    pub fn detectable(&self, level: f64) -> Option<f64> {
        let Sureness { error, freedom, .. } = self.sureness?;
        let reach = t_quantile(1.0 - level / 2.0, freedom) + t_quantile(POWER, freedom);
        Some((reach * error).exp()).filter(|ratio| ratio.is_finite())
    }
}

fn sureness((from, before): (f64, Error), (to, after): (f64, Error)) -> Option<Sureness> {
    let down = |of_other: f64, of_base: f64| Side::of((of_other * after.down, &after), (of_base * before.up, &before));
    let up = |of_other: f64, of_base: f64| Side::of((of_other * after.up, &after), (of_base * before.down, &before));
    let (low, high) = (down(1.0, 1.0), up(1.0, 1.0));
    let logarithm = (to / from).ln();
    // What speaks against no change is the error on the side where no change lies.
    let facing = if logarithm > 0.0 { low } else { high };
    let p_value = if logarithm.abs() > 0.0 {
        2.0 * students_t(facing.freedom)?.sf(logarithm.abs() / facing.error)
    } else {
        1.0
    };
    let sureness = Sureness {
        ratio: ((logarithm - low.reach()).exp(), (logarithm + high.reach()).exp()),
        difference: (to - from - down(to, from).reach(), to - from + up(to, from).reach()),
        p_value,
        error: facing.error,
        freedom: facing.freedom,
    };
    sureness.error.is_finite().then_some(sureness)
}

/// The error of a difference of two numbers towards one side.
#[derive(Clone, Copy)]
struct Side {
    error: f64,
    freedom: f64,
}

impl Side {
    /// From both errors towards it.
    fn of((other, of_other): (f64, &Error), (base, of_base): (f64, &Error)) -> Self {
        let (other, base) = (other.powi(2), base.powi(2));
        let variance = other + base;
        let freedom = variance.powi(2) / (other.powi(2) / of_other.freedom + base.powi(2) / of_base.freedom);
        Self {
            error: variance.sqrt(),
            // Without any noise on both sides there is nothing to divide by.
            freedom: if freedom.is_finite() {
                freedom
            } else {
                of_other.freedom + of_base.freedom
            },
        }
    }

    fn reach(&self) -> f64 {
        t_quantile(0.975, self.freedom) * self.error
    }
}

/// Whether more of a number is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Of a throughput.
    More,
    /// Of a latency.
    Less,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// Usually the truth.
    NoDifference,
    /// There is no error to speak of, or even a large change could have gone unseen.
    TooFew,
}

impl Verdict {
    /// The words in tables and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifference => "no detectable difference",
            Self::TooFew => "too few seconds to tell",
        }
    }

    /// Whether it says that there is a difference.
    pub fn is_difference(self) -> bool {
        match self {
            Self::Faster | Self::Slower => true,
            Self::NoDifference | Self::TooFew => false,
        }
    }
}

/// What is said of a change as one of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Adjusted for all of them (Holm); none where there is no error.
    pub adjusted_p: Option<f64>,
    /// The smallest ratio above 1 that would have shown.
    pub detectable: Option<f64>,
}

/// Judges changes together, in the order given: the chance that even one of them is called a difference by mistake is that of
/// a single test.
pub fn judge(changes: &[(Change, Wanted)]) -> Vec<Judgement> {
    let p_values: Vec<f64> = changes
        .iter()
        .filter_map(|(change, _)| Some(change.sureness?.p_value))
        .collect();
    let level = FALSE_ALARMS / as_f64(p_values.len().max(1) as u64);
    let mut adjusted = holm::adjust(&p_values).into_iter();
    changes
        .iter()
        .map(|(change, wanted)| {
            let adjusted_p = change.sureness.and_then(|_| adjusted.next());
            let detectable = change.detectable(level);
            let verdict = match adjusted_p {
                Some(p) if p < FALSE_ALARMS => match (wanted, change.ratio > 1.0) {
                    (Wanted::More, true) | (Wanted::Less, false) => Verdict::Faster,
                    (Wanted::More, false) | (Wanted::Less, true) => Verdict::Slower,
                },
                Some(_) if detectable.is_some_and(|ratio| ratio <= TOO_NOISY) => Verdict::NoDifference,
                Some(_) | None => Verdict::TooFew,
            };
            Judgement {
                verdict,
                adjusted_p,
                detectable,
            }
        })
        .collect()
}

fn students_t(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

/// The quantile of Student's distribution; infinite where the degrees of freedom are none.
fn t_quantile(share: f64, freedom: f64) -> f64 {
    students_t(freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(share))
}

#[expect(clippy::cast_precision_loss, reason = "no level has 2^52 transactions")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
