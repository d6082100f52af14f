//! Axes as numbers: where a value lies and which values get a tick.

use super::font::Face;
use super::numerals::OneTwoFive;
use super::numerals::Shown;
use super::numerals::Unit;
use super::numerals::as_count;
use super::numerals::as_f64;

/// How a length stands for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero up: a bar twice as long is twice as much.
    Linear,
    /// By decades. What is not above zero lies on the edge.
    Log,
}

/// Below this (a picosecond, in milliseconds) a number counts as zero, above `LARGEST` as no number: neither can be
/// measured, and ticks between them always exist.
const SMALLEST: f64 = 1e-9;
const LARGEST: f64 = 1e18;

/// Whether a number can be shown at all; what cannot is left out as if it had not been there.
pub(super) fn is_drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

/// An axis over a closed range of values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    unit: Option<&'static str>,
    ticks: Vec<Tick>,
}

impl Axis {
    /// An axis over the drawable values among `values`, with about `n_ticks` ticks at round numbers. Without any value
    /// it goes from 0 (or 1) to one step.
    pub fn new(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>, n_ticks: usize) -> Self {
        let values: Vec<f64> = values.filter(|value| is_drawable(*value)).collect();
        let highest = values.iter().copied().fold(0.0, f64::max);
        match scale {
            Scale::Linear => Self::linear(highest, unit, n_ticks),
            Scale::Log => {
                let positive = values.iter().copied().filter(|value| *value > SMALLEST);
                Self::log(positive.fold(f64::INFINITY, f64::min), highest, unit, n_ticks)
            }
        }
    }

    /// An axis of shares, from nothing to the whole.
    pub fn shares() -> Self {
        let ticks = [0_u8, 25, 50, 75, 100].map(|percent| Tick {
            value: f64::from(percent) / 100.0,
            label: format!("{percent} %"),
        });
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high: 1.0,
            unit: None,
            ticks: ticks.into(),
        }
    }

    fn linear(highest: f64, unit: Unit, n_ticks: usize) -> Self {
        let highest = if highest > SMALLEST { highest } else { 1.0 };
        let shown = Shown::choose(unit, highest);
        let top = highest / shown.factor;
        let mut step_mark = OneTwoFive::at_least(top / as_f64(n_ticks.max(1)));
        if unit == Unit::Whole || (unit == Unit::Count && top >= 2.0) {
            // There is no half client, and hardly a use for half of what is counted in dozens.
            step_mark = step_mark.max(OneTwoFive(0));
        }
        let step = step_mark.value();
        let n_steps = (top / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=as_count(n_steps))
            .map(|tick_idx| {
                let value = as_f64(tick_idx) * step;
                Tick {
                    value: value * shown.factor,
                    label: shown.write(value, step_mark.decimals()),
                }
            })
            .collect();
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high: n_steps * step * shown.factor,
            unit: shown.unit,
            ticks,
        }
    }

    fn log(lowest: f64, highest: f64, unit: Unit, n_ticks: usize) -> Self {
        let (lowest, highest) = if lowest <= highest {
            (lowest, highest)
        } else {
            (1.0, 10.0)
        };
        let shown = Shown::choose_log(unit, lowest, highest);
        // A bar must have some length, so the axis begins clearly below the least value.
        let first = OneTwoFive::at_most(lowest / shown.factor * 0.8);
        let last = OneTwoFive::at_least(highest / shown.factor).max(OneTwoFive(first.0 + 1));
        let marked = marked_on_log(first, last, n_ticks);
        Self {
            scale: Scale::Log,
            low: first.value() * shown.factor,
            high: last.value() * shown.factor,
            unit: shown.unit,
            ticks: marked
                .into_iter()
                .map(|mark| Tick {
                    value: mark.value() * shown.factor,
                    label: shown.write_alone(mark),
                })
                .collect(),
        }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high end; what lies outside is moved to the nearer end.
    pub fn position(&self, value: f64) -> f64 {
        let position = match self.scale {
            Scale::Linear => value / self.high,
            Scale::Log if value <= self.low => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        position.clamp(0.0, 1.0)
    }

    pub fn ticks(&self) -> &[Tick] {
        &self.ticks
    }

    /// The room that its labels take, in CSS pixels.
    pub fn widest_tick(&self, face: &Face) -> f64 {
        let widths = self.ticks.iter().map(|tick| face.width(&tick.label));
        widths.fold(0.0, f64::max)
    }

    /// The title with the unit in which the ticks are written, and a warning where lengths do not add up.
    pub fn title(&self, what: &str) -> String {
        match (self.unit, self.scale) {
            (Some(unit), Scale::Linear) => format!("{what} ({unit})"),
            (Some(unit), Scale::Log) => format!("{what} ({unit}, log scale)"),
            (None, Scale::Linear) => what.to_owned(),
            (None, Scale::Log) => format!("{what} (log scale)"),
        }
    }
}

/// Whole numbers from 1 to `last` at 1-2-5 steps, at most `n_ticks` + 1 of them: the ticks of an axis of rounds.
pub(super) fn round_ticks(last: u32, n_ticks: usize) -> Vec<u32> {
    let step = OneTwoFive::at_least(f64::from(last) / as_f64(n_ticks.max(1)))
        .value()
        .max(1.0);
    let mut ticks = vec![1];
    ticks.extend(
        (1..)
            .map(|step_idx| as_count(f64::from(step_idx) * step))
            .map_while(|round| u32::try_from(round).ok().filter(|round| *round <= last))
            .filter(|round| *round > 1),
    );
    ticks
}

/// The marks of a logarithmic axis: 1, 2 and 5 of each decade where they fit, else decades, else every so many decades.
fn marked_on_log(first: OneTwoFive, last: OneTwoFive, n_ticks: usize) -> Vec<OneTwoFive> {
    let all = first.0..=last.0;
    let n_marks = as_count(f64::from(last.0 - first.0)) + 1;
    if n_marks <= n_ticks.max(3) {
        return all.map(OneTwoFive).collect();
    }
    let decades: Vec<OneTwoFive> = all.map(OneTwoFive).filter(|mark| mark.is_decade()).collect();
    let stride = decades.len().div_ceil(n_ticks.max(1)).max(1);
    decades.into_iter().step_by(stride).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(scale: Scale, unit: Unit, values: &[f64], n_ticks: usize) -> Axis {
        Axis::new(scale, unit, values.iter().copied(), n_ticks)
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_numbers_in_the_unit_of_the_whole_axis() {
        let cases: [(f64, usize, &[&str], &str); 8] = [
            (87.0, 5, &["0", "20", "40", "60", "80", "100"], "time (ms)"),
            (100.0, 5, &["0", "20", "40", "60", "80", "100"], "time (ms)"),
            (0.35, 4, &["0", "100", "200", "300", "400"], "time (µs)"),
            (0.0007, 4, &["0", "0.2", "0.4", "0.6", "0.8"], "time (µs)"),
            (1_500.0, 4, &["0", "0.5", "1.0", "1.5"], "time (s)"),
            (90_000.0, 3, &["0", "50", "100"], "time (s)"),
            (600_000.0, 5, &["0", "2", "4", "6", "8", "10"], "time (min)"),
            (0.0, 2, &["0", "0.5", "1.0"], "time (ms)"),
        ];
        for (highest, n_ticks, ticks, title) in cases {
            let axis = axis(Scale::Linear, Unit::Milliseconds, &[highest], n_ticks);
            assert_eq!(labels(&axis), ticks, "{highest}");
            assert_eq!(axis.title("time"), title, "{highest}");
        }
    }

    #[test]
    fn counts_and_sizes_have_ticks_of_their_own_kind() {
        for (unit, highest, n_ticks, ticks, title) in [
            (Unit::Count, 4.0, 9, &["0", "1", "2", "3", "4"][..], "it"),
            (Unit::Count, 0.4, 2, &["0", "0.2", "0.4"], "it"),
            (Unit::Whole, 1.0, 9, &["0", "1"], "it"),
            (Unit::Whole, 3.0, 9, &["0", "1", "2", "3"], "it"),
            (Unit::Count, 24_000.0, 3, &["0", "10k", "20k", "30k"], "it"),
            (Unit::Percent, 9.0, 2, &["0", "5", "10"], "it (%)"),
            (Unit::Bytes, 3.0e6, 3, &["0", "1", "2", "3"], "it (MiB)"),
            (Unit::Bytes, 900.0, 2, &["0", "500", "1,000"], "it (bytes)"),
        ] {
            let axis = axis(Scale::Linear, unit, &[highest], n_ticks);
            assert_eq!((labels(&axis), axis.title("it").as_str()), (ticks.to_vec(), title));
        }
    }

    #[test]
    fn log_ticks_are_decades_or_one_two_five_where_there_is_room() {
        let cases: [(&[f64], usize, &[&str], &str); 5] = [
            (&[1.0, 100.0], 4, &["1", "10", "100"], "time (ms, log scale)"),
            (&[30.0, 80.0], 8, &["20", "50", "100"], "time (ms, log scale)"),
            (&[0.02, 3.0], 4, &["10", "100", "1,000"], "time (µs, log scale)"),
            (&[200.0, 60_000.0], 6, &["0.1", "1", "10", "100"], "time (s, log scale)"),
            (
                &[1e-3, 1e6],
                5,
                &["0.001", "0.1", "10", "1,000", "100,000"],
                "time (ms, log scale)",
            ),
        ];
        for (values, n_ticks, ticks, title) in cases {
            let axis = axis(Scale::Log, Unit::Milliseconds, values, n_ticks);
            assert_eq!(labels(&axis), ticks, "{values:?}");
            assert_eq!(axis.title("time"), title, "{values:?}");
        }
    }

    #[test]
    fn costs_have_no_unit_and_short_numbers() {
        let linear = axis(Scale::Linear, Unit::Cost, &[1.4e6], 3);
        assert_eq!(labels(&linear), ["0", "0.5M", "1.0M", "1.5M"]);
        assert_eq!(linear.title("cost"), "cost");
        let log = axis(Scale::Log, Unit::Cost, &[8.0, 2e10], 5);
        assert_eq!(labels(&log), ["10", "1k", "100k", "10M", "1G"]);
        assert_eq!(
            labels(&axis(Scale::Linear, Unit::Cost, &[9_000.0], 3)),
            ["0", "5,000", "10,000"]
        );
    }

    #[test]
    fn positions_are_shares_of_the_axis_and_end_at_its_ends() {
        let linear = axis(Scale::Linear, Unit::Milliseconds, &[100.0], 5);
        let log = axis(Scale::Log, Unit::Milliseconds, &[2.0, 100.0], 5);
        for (axis, value, position) in [
            (&linear, 25.0, 0.25),
            (&linear, -5.0, 0.0),
            (&linear, 1e9, 1.0),
            (&log, 0.0, 0.0),
            (&log, 1.0, 0.0),
            (&log, 10.0, 0.5),
            (&log, 100.0, 1.0),
        ] {
            assert!((axis.position(value) - position).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn the_least_value_of_a_log_axis_is_still_above_its_foot() {
        for lowest in [1.0, 1.1, 2.0, 4.9, 5.0, 9.99, 10.0] {
            let axis = axis(Scale::Log, Unit::Milliseconds, &[lowest, lowest * 3.0], 5);
            assert!(axis.position(lowest) > 0.05, "{lowest}");
        }
    }

    #[test]
    fn rounds_are_counted_from_one_in_round_steps() {
        assert_eq!(round_ticks(1, 8), [1]);
        assert_eq!(round_ticks(6, 8), [1, 2, 3, 4, 5, 6]);
        assert_eq!(round_ticks(20, 8), [1, 5, 10, 15, 20]);
        assert_eq!(round_ticks(10_000, 6), [1, 2_000, 4_000, 6_000, 8_000, 10_000]);
        assert!(round_ticks(u32::MAX, 8).len() <= 9);
    }

    proptest! {
        #[test]
        fn ticks_rise_and_lie_on_the_axis_whatever_the_values(
            values in prop::collection::vec(any::<f64>(), 0..20),
            n_ticks in 1usize..12,
            log in any::<bool>(),
            cost in any::<bool>(),
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let unit = if cost { Unit::Cost } else { Unit::Milliseconds };
            let axis = axis(scale, unit, &values, n_ticks);
            let ticks = axis.ticks();
            prop_assert!(!ticks.is_empty() && ticks.len() <= n_ticks.max(3) + 1, "{}", ticks.len());
            prop_assert!(ticks.is_sorted_by(|a, b| a.value < b.value && a.label != b.label));
            for tick in ticks {
                prop_assert!(tick.value.is_finite() && (0.0..=1.0).contains(&axis.position(tick.value)));
                prop_assert!(tick.label.len() <= 28, "{}", tick.label);
            }
            for value in values.into_iter().filter(|value| is_drawable(*value)) {
                prop_assert!(axis.position(value).is_finite());
            }
        }

        #[test]
        fn a_larger_value_never_lies_lower(a in 0.0..1e6f64, b in 0.0..1e6f64, log in any::<bool>()) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let axis = axis(scale, Unit::Milliseconds, &[a, b], 5);
            prop_assert!(axis.position(a.min(b)) <= axis.position(a.max(b)));
        }
    }
}
