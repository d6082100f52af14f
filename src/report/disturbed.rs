//! What else was at work while trials ran, in words.

use crate::model::look::Disturbance;
use crate::model::look::LookCounts;
use crate::model::look::disturbances_of;
use crate::model::text::capitalised;
use crate::model::trial::RecordedTrial;
use crate::model::units::grouped;
use crate::report::data::ReportData;

/// A sentence for each kind of disturbance that was seen, the one that was seen most often first.
pub fn sentences(counts: &LookCounts) -> Vec<String> {
    let mut seen: Vec<(u64, Disturbance)> = counts.of.into_iter().zip(Disturbance::ALL).collect();
    seen.retain(|(n, _)| *n > 0);
    seen.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let sentence = |(n, disturbance): (u64, Disturbance)| {
        format!(
            "{} during {} of {} visits.",
            capitalised(disturbance.happened()),
            grouped(n),
            grouped(counts.n_visits)
        )
    };
    seen.into_iter().map(sentence).collect()
}

/// What was seen while a trial's visit ran: `checkpoint, disk busy`; empty where nothing was.
pub fn mark(data: &ReportData, trial: &RecordedTrial) -> String {
    let shown = disturbances_of(&data.looks, trial).into_iter().map(Disturbance::shown);
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_that_was_seen_has_a_sentence_and_the_most_frequent_is_first() {
        let counts = LookCounts {
            n_visits: 1200,
            of: [3, 0, 0, 40, 0, 0],
        };
        assert_eq!(
            sentences(&counts),
            [
                "Processes waited for a processor for a tenth of the time or more during 40 of 1\u{2009}200 visits.",
                "A checkpoint ran during 3 of 1\u{2009}200 visits."
            ]
        );
        assert!(sentences(&LookCounts::default()).is_empty());
    }
}
