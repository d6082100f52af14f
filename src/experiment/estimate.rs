//! What an experiment would take and could show, before it is launched.

use crate::analysis::family;
use crate::experiment::preview::Preview;
use crate::experiment::schedule;
use crate::model::experiment::ClockKind;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::Order;
use crate::model::experiment::SourceSpec;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::units::seconds_in_words;

/// The answer to the form while it is being filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub n_trials: u64,
    /// `3 sources × 12 queries × (10 rounds + 1 warm-up)`.
    pub sum: String,
    /// How long it will take, as far as that can be known.
    pub time: String,
    /// The same in seconds; none before these queries have run once.
    pub expected_s: Option<f64>,
    /// If every trial ran into the timeout.
    pub most_s: f64,
    /// What the person should know before launching.
    pub warnings: Vec<String>,
    /// What sources would change, as far as that is known.
    pub previews: Vec<Preview>,
    /// What is estimated.
    pub spec: ExperimentSpec,
}

/// Below so many seconds an estimate is not worth a number.
const MOMENT_S: f64 = 10.0;

/// `mean_ms` is what a trial of these queries took in earlier experiments, where there were any.
pub fn estimate(spec: &ExperimentSpec, mean_ms: Option<f64>) -> Estimate {
    let (n_sources, n_queries) = (spec.sources.len(), spec.query_positions.len());
    let n_trials = schedule::n_trials(spec);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let total_s = |trial_ms: f64| n_trials as f64 * trial_ms / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "at most an hour")]
    let most_s = total_s(spec.timeout_ms as f64);
    let expected_s = mean_ms.map(total_s);
    let time = match expected_s {
        Some(total_s) if total_s < MOMENT_S => "a few seconds, going by earlier experiments".to_owned(),
        Some(total_s) => format!("about {}, going by earlier experiments", seconds_in_words(total_s)),
        None => format!(
            "not known before these queries have run once; at the most {}, if every trial ran into the timeout",
            seconds_in_words(most_s)
        ),
    };
    Estimate {
        n_trials,
        sum: format!(
            "{} × {} × ({}{}){}",
            counted(n_sources as u64, "source", "sources"),
            counted(n_queries as u64, "query", "queries"),
            counted(spec.iterations.into(), "round", "rounds"),
            match spec.warm_up {
                0 => String::new(),
                n => format!(" + {}", counted(n.into(), "warm-up", "warm-ups")),
            },
            if spec.has_observer {
                format!(
                    ", and {} × ({} × 3 ways + 1 warm-up) for what measuring costs",
                    counted(n_queries as u64, "query", "queries"),
                    counted(spec.n_observed_rounds().into(), "round", "rounds")
                )
            } else {
                String::new()
            },
        ),
        time,
        expected_s,
        most_s,
        warnings: warnings(spec),
        previews: Vec::new(),
        spec: spec.clone(),
    }
}

fn warnings(spec: &ExperimentSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    // Twins are compared with nothing but what they stand beside.
    let n_compared = spec.sources.len().saturating_sub(1 + spec.annexes().len());
    let n_comparisons = spec.query_positions.len() * n_compared;
    if n_comparisons == 0 {
        warnings.push("With one source there is nothing to compare; choose a second one.".to_owned());
    } else if !family::can_show(spec.iterations as usize, n_comparisons) {
        warnings.push(format!(
            "With {} and {}{} no difference can be shown to be more than chance; {} rounds are needed.",
            counted(spec.iterations.into(), "round", "rounds"),
            counted(spec.query_positions.len() as u64, "query", "queries"),
            match n_compared {
                1 => String::new(),
                n => format!(" under {} sources beside the first", grouped(n as u64)),
            },
            family::rounds_needed(n_comparisons),
        ));
    }
    if spec.order == Order::Sequential && spec.sources.len() > 1 {
        warnings.push(
            "In sequential order whatever changes on the machine meanwhile looks like an effect of a source."
                .to_owned(),
        );
    }
    if spec.clock == ClockKind::Client {
        warnings.push("The client clock includes sending the rows, which usually outweighs the plan.".to_owned());
    }
    let is_draw = |source: &SourceSpec| {
        source.draw.is_some() && source.params.get("trials").is_some_and(|trials| trials == "distinct")
    };
    if spec.sources.iter().any(is_draw) {
        warnings.push(
            "The plans of all draws are looked at, but a query is timed only under draws that change its plan: usually \
             there are far fewer trials."
                .to_owned(),
        );
    }
    let annexes = spec.annexes();
    if let Some(first) = spec.sources.first().filter(|_| !annexes.is_empty()) {
        let n_copies = annexes.len() as u64;
        warnings.push(format!(
            "Each script runs in a copy of the dataset of its own, where {} is measured again in the same rounds: {} and {} \
             more.",
            first.label,
            counted(n_copies, "copy", "copies"),
            counted(n_copies, "source", "sources"),
        ));
    }
    if spec.warm_up == 0 {
        warnings.push("Without a warm-up the first round is slower than the others.".to_owned());
    }
    let is_wide = |source: &&SourceSpec| {
        source.name == "random_targets"
            && source.params.get("scale").is_some_and(|scale| scale == "uniform")
            && source
                .params
                .get("high")
                .and_then(|high| high.parse::<u32>().ok())
                .is_some_and(|high| high > 1000)
    };
    if let Some(source) = spec.sources.iter().find(is_wide) {
        warnings.push(format!(
            "{}: nearly all targets of such a wide uniform range are high, so plans hardly change.",
            source.label
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::form::ExperimentForm;

    fn spec(sources: &[&str], iterations: &str, n_queries: i32) -> ExperimentSpec {
        let form = ExperimentForm {
            dataset: "1".into(),
            workload: "1".into(),
            stats_source: sources.iter().map(|source| (*source).to_owned()).collect(),
            iterations: iterations.into(),
            ..ExperimentForm::default()
        };
        ExperimentSpec {
            query_positions: (0..n_queries).collect(),
            ..form.parse(1).unwrap()
        }
    }

    #[test]
    fn five_rounds_of_twelve_queries_cannot_show_a_difference_and_nine_can() {
        let few = estimate(&spec(&["built_in", "none"], "5", 12), None);
        assert_eq!(few.n_trials, 144);
        assert_eq!(few.sum, "2 sources × 12 queries × (5 rounds + 1 warm-up)");
        assert_eq!(
            few.warnings,
            ["With 5 rounds and 12 queries no difference can be shown to be more than chance; 9 rounds are needed."]
        );
        assert!(
            estimate(&spec(&["built_in", "none"], "9", 12), None)
                .warnings
                .is_empty()
        );
    }

    #[test]
    fn what_a_script_takes_is_said_and_its_twin_is_no_comparison() {
        let spec = spec(&["built_in", "custom_sql:script=analyze"], "9", 12);
        let estimate = estimate(&spec, None);
        assert_eq!(estimate.sum, "3 sources × 12 queries × (9 rounds + 1 warm-up)");
        assert_eq!(
            estimate.warnings,
            [
                "Each script runs in a copy of the dataset of its own, where built_in is measured again in the same rounds: \
                 1 copy and 1 source more."
            ]
        );
    }

    #[test]
    fn what_measuring_costs_is_counted_in() {
        let spec = ExperimentSpec {
            has_observer: true,
            ..spec(&["built_in", "none"], "20", 3)
        };
        let asked = estimate(&spec, Some(100.0));
        assert_eq!(asked.n_trials, 2 * 3 * 21 + 3 * 31);
        assert_eq!(
            asked.sum,
            "2 sources × 3 queries × (20 rounds + 1 warm-up), and 3 queries × (10 rounds × 3 ways + 1 warm-up) for what \
             measuring costs"
        );
        assert_eq!(asked.time, "about 22 s, going by earlier experiments");
    }

    #[test]
    fn the_time_is_guessed_only_from_what_was_measured() {
        let spec = spec(&["built_in", "none"], "10", 10);
        assert!(estimate(&spec, None).time.starts_with("not known"));
        assert_eq!(
            estimate(&spec, Some(1000.0)).time,
            "about 4 min, going by earlier experiments"
        );
        assert_eq!(
            estimate(&spec, Some(1.0)).time,
            "a few seconds, going by earlier experiments"
        );
    }
}
