//! Charts of one measure of several benchmarks: which measure an address means, and the picture of it.

use crate::analysis::change::Verdict;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::readings::Measure;
use crate::report::chart::XyChart;
use crate::web::middleware::preferences::Preferences;
use crate::web::pages::picture::Sources;

/// Throughput, or the percentile that the word names; throughput for any other word.
pub(super) fn read(word: &str, percentiles: &Percentiles) -> Measure {
    let measures = all(percentiles).into_iter();
    let mut named = measures.filter(|measure| measure.title() == word);
    named.next().unwrap_or(Measure::Throughput)
}

/// Throughput first, then the percentiles.
fn all(percentiles: &Percentiles) -> Vec<Measure> {
    let percentiles = percentiles.as_slice().iter().map(|one| Measure::Percentile(*one));
    std::iter::once(Measure::Throughput).chain(percentiles).collect()
}

/// The percentiles of an address. Where it names none, those that the browser prefers; and those, too, where it cannot be
/// read, with the reason.
pub(super) fn percentiles(text: &str) -> (Percentiles, Option<String>) {
    let preferred = || Preferences::current().percentiles;
    match Percentiles::parse(text) {
        Ok(_) if names_none(text) => (preferred(), None),
        Ok(percentiles) => (percentiles, None),
        Err(problem) => (preferred(), Some(problem)),
    }
}

fn names_none(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// Whether an address that names no percentiles means these.
pub(super) fn go_without_saying(percentiles: &Percentiles) -> bool {
    let usual = Percentiles::default();
    *percentiles == usual && Preferences::current().percentiles == usual
}

/// A chart of one measure, and links to the others.
pub(super) struct MeasureView {
    pub switches: Vec<MeasureSwitch>,
    pub alt: String,
    pub note: &'static str,
    pub width: u32,
    pub height: u32,
    pub light: String,
    pub light_2x: String,
    pub dark: String,
    pub dark_2x: String,
}

pub(super) struct MeasureSwitch {
    pub label: String,
    pub address: String,
    pub is_current: bool,
}

impl MeasureView {
    /// `page` and `picture` make addresses with a query begun, to which a measure is added.
    pub fn new(
        chart: &XyChart,
        measure: Measure,
        percentiles: &Percentiles,
        (page, picture): (&str, &str),
        (alt, note): (String, &'static str),
    ) -> Self {
        // The page stands without its picture; the picture's own address then says what is wrong.
        let (width, height) = chart.default_size().unwrap_or((880, 420));
        let Sources {
            light,
            light_2x,
            dark,
            dark_2x,
        } = Sources::new(&format!("{picture}&measure={}", measure.title()));
        let switches = all(percentiles).into_iter().map(|to| MeasureSwitch {
            label: to.title(),
            address: format!("{page}&measure={}#chart", to.title()),
            is_current: to == measure,
        });
        Self {
            switches: switches.collect(),
            alt,
            note,
            width,
            height,
            light,
            light_2x,
            dark,
            dark_2x,
        }
    }
}

/// The class of a verdict's mark. No arrows: of a throughput, faster is up.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "good",
        Verdict::Slower => "bad",
        Verdict::NoDifference => "same",
        Verdict::TooFew => "noisy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_a_measure_that_is_shown_and_any_other_means_throughput() {
        let (chosen, problem) = percentiles("50, 99.9");
        assert_eq!(problem, None);
        assert_eq!(read("p99.9", &chosen), Measure::Percentile(99.9));
        for word in ["throughput", "p95", "", "p"] {
            assert_eq!(read(word, &chosen), Measure::Throughput, "{word}");
        }
        assert!(percentiles("a hundred").1.is_some());
    }
}
