//! A line the size of a word: how the runs of one configuration went, one after the other.

use crate::model::units::three_digits;

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;
/// Room for the line's own width and the dot at its end.
const MARGIN: f64 = 3.0;

/// The line as an SVG's attributes, and what it shows in words.
pub struct Sparkline {
    pub points: String,
    /// Where the line ends.
    pub last: (String, String),
    pub label: String,
}

impl Sparkline {
    /// Numbers in their order, from zero up so that the line's height means something; none of fewer than two.
    pub fn new(throughputs: &[f64]) -> Option<Self> {
        let most = throughputs.iter().copied().fold(0.0, f64::max);
        if throughputs.len() < 2 || most <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
        let place = |idx: usize, throughput: f64| {
            let x = MARGIN + (WIDTH - 2.0 * MARGIN) * idx as f64 / (throughputs.len() - 1) as f64;
            let y = HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * throughput / most;
            (format!("{x:.1}"), format!("{y:.1}"))
        };
        let places = throughputs.iter().enumerate().map(|(idx, one)| place(idx, *one));
        let places: Vec<(String, String)> = places.collect();
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let numbers: Vec<String> = throughputs.iter().copied().map(three_digits).collect();
        Some(Self {
            points: points.join(" "),
            last: places.into_iter().next_back()?,
            label: format!("Transactions a second, run by run: {}", numbers.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_starts_at_zero_and_ends_at_the_newest_run() {
        let line = Sparkline::new(&[50.0, 100.0, 0.0]).unwrap();
        assert_eq!(line.points, "3.0,12.0 48.0,3.0 93.0,21.0");
        assert_eq!(line.last, ("93.0".to_owned(), "21.0".to_owned()));
        assert!(line.label.ends_with("50.0, 100, 0"), "{}", line.label);
    }

    #[test]
    fn one_run_or_nothing_done_is_no_line() {
        assert!(Sparkline::new(&[50.0]).is_none());
        assert!(Sparkline::new(&[0.0, 0.0]).is_none());
    }
}
