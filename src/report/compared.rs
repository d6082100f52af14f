//! Comparisons with the baseline, ready to be shown.

use crate::analysis::effect::Bound;
use crate::analysis::family::Member;
use crate::analysis::family::Verdict;
use crate::analysis::unpaired::Ratio;
use crate::model::units::three_digits;
use crate::report::table::Figure;

/// One query under one source beside the baseline.
#[derive(Clone, Debug)]
pub struct Compared {
    pub verdict: Verdict,
    /// `1.80×`, or `> 1.80×` where a timeout hides how much.
    pub ratio: Figure,
    /// `1.71× to 1.92×`.
    pub interval: Figure,
    /// The p-value, adjusted for the whole family.
    pub p: Figure,
    /// The smallest ratio that would have shown.
    pub detectable: Figure,
    /// `10`, or `10, 2 cut off` when a timeout on one side leaves the ratio open.
    pub n_rounds: String,
}

impl Compared {
    pub fn new(member: &Member, bound: Bound) -> Self {
        let (effect, judgement) = (&member.effect, &member.judgement);
        Self {
            verdict: judgement.verdict,
            ratio: bounded(effect.ratio, bound),
            interval: open_interval(effect.interval, bound),
            p: p_value(judgement.adjusted_p),
            detectable: match effect.n_censored {
                0 => detectable(judgement.detectable),
                _ => Figure {
                    shown: "unknown: cut off".to_owned(),
                    exact: String::new(),
                },
            },
            n_rounds: match effect.n_censored {
                0 => effect.n_rounds.to_string(),
                n => format!("{}, {n} cut off", effect.n_rounds),
            },
        }
    }
}

/// A factor: `1.80×`.
pub fn ratio(ratio: f64) -> Figure {
    signed("", ratio)
}

/// A factor with what timeouts leave open of it: `> 1.80×`.
pub fn bounded(ratio: f64, bound: Bound) -> Figure {
    match bound {
        Bound::Exact | Bound::Open => signed("", ratio),
        Bound::AtLeast => signed("> ", ratio),
        Bound::AtMost => signed("< ", ratio),
    }
}

/// A factor of which perhaps only one end is known, or none.
pub fn between(ratio: Ratio) -> Figure {
    match (ratio.low > 0.0, ratio.high.is_finite()) {
        (false, false) => nothing(),
        (true, false) => signed("> ", ratio.low),
        (false, true) => signed("< ", ratio.high),
        (true, true) if factor(ratio.low) == factor(ratio.high) => signed("", ratio.low),
        (true, true) => interval(Some((ratio.low, ratio.high))),
    }
}

fn signed(sign: &str, ratio: f64) -> Figure {
    Figure {
        shown: format!("{sign}{}×", factor(ratio)),
        exact: format!("{sign}{ratio}"),
    }
}

/// Both ends of a factor's interval.
pub fn interval(interval: Option<(f64, f64)>) -> Figure {
    interval.map_or_else(nothing, |(low, high)| Figure {
        shown: format!("{}× to {}×", factor(low), factor(high)),
        exact: format!("{low} to {high}"),
    })
}

/// The same of a factor that timeouts leave open: only the end that they say nothing against.
pub fn open_interval(ends: Option<(f64, f64)>, bound: Bound) -> Figure {
    match (ends, bound) {
        (None, _) | (Some(_), Bound::Open) => nothing(),
        (Some(_), Bound::Exact) => interval(ends),
        (Some((low, _)), Bound::AtLeast) => signed("> ", low),
        (Some((_, high)), Bound::AtMost) => signed("< ", high),
    }
}

/// The smallest ratio that would have shown; a dash where none would.
pub fn detectable(ratio: Option<f64>) -> Figure {
    ratio.map_or_else(nothing, self::ratio)
}

fn nothing() -> Figure {
    Figure {
        shown: "–".to_owned(),
        exact: String::new(),
    }
}

/// Three digits, also of small factors.
fn factor(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 0.0995 => three_digits(ratio),
        ratio if ratio >= 0.001 => format!("{ratio:.4}"),
        ratio => format!("{ratio:.1e}"),
    }
}

/// A p-value, never shown as zero.
pub fn p_value(p: f64) -> Figure {
    Figure {
        shown: match p {
            p if p < 0.001 => "< 0.001".to_owned(),
            p if p < 0.1 => format!("{p:.3}"),
            p => format!("{p:.2}"),
        },
        exact: p.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_said_with_three_digits_and_bounds_with_their_direction() {
        for (value, bound, shown) in [
            (1.8, Bound::Exact, "1.80×"),
            (40.14, Bound::Open, "40.1×"),
            (100.0, Bound::AtLeast, "> 100×"),
            (0.5, Bound::AtMost, "< 0.50×"),
            (1.1, Bound::AtMost, "< 1.10×"),
            (0.0123, Bound::Exact, "0.0123×"),
            (0.00001, Bound::Exact, "1.0e-5×"),
        ] {
            assert_eq!(bounded(value, bound).shown, shown);
        }
        let infinite = f64::INFINITY;
        for (low, high, shown) in [
            (1.8, 1.8, "1.80×"),
            (1.8, infinite, "> 1.80×"),
            (0.0, 2.0, "< 2.00×"),
            (1.8, 2.0, "1.80× to 2.00×"),
            (0.0, infinite, "–"),
        ] {
            assert_eq!(between(Ratio { low, high }).shown, shown);
        }
        assert_eq!(interval(Some((0.9, 1.1))).shown, "0.90× to 1.10×");
        assert_eq!(interval(None).shown, "–");
        for (bound, shown) in [
            (Bound::Exact, "0.90× to 1.10×"),
            (Bound::AtLeast, "> 0.90×"),
            (Bound::AtMost, "< 1.10×"),
            (Bound::Open, "–"),
        ] {
            assert_eq!(open_interval(Some((0.9, 1.1)), bound).shown, shown);
        }
    }

    #[test]
    fn a_p_value_is_never_shown_as_zero() {
        let shown = [0.0, 0.000_99, 0.0312, 0.25, 1.0].map(|p| p_value(p).shown);
        assert_eq!(shown, ["< 0.001", "< 0.001", "0.031", "0.25", "1.00"]);
    }
}
