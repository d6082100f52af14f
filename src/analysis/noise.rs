//! How much the trials of one sample differ, in a word.

use crate::analysis::outlier::Robust;
use crate::model::experiment::NoiseGrade;

/// Where each grade ends, as a share of the median: up to 2 percent ten rounds show a difference of a few percent, at 10 an
/// effect of a tenth drowns in a single trial, and from 30 on neighbouring trials hardly say the same thing.
const GRADES: [(f64, NoiseGrade); 3] = [
    (0.02, NoiseGrade::Quiet),
    (0.10, NoiseGrade::Fair),
    (0.30, NoiseGrade::Noisy),
];

/// The scaled median absolute deviation as a share of the median, in which a few odd trials do not count: Arachchige,
/// Prendergast and Staudte, "Robust Analogs to the Coefficient of Variation", Journal of Applied Statistics 49(2), 2022.
/// `None` below three values and where the median is zero.
pub fn relative_deviation(values: &[f64]) -> Option<f64> {
    let Robust { median, deviation } = Robust::of(values)?;
    (values.len() >= 3 && median > 0.0).then(|| deviation / median)
}

/// The word for it.
pub fn grade(relative_deviation: f64) -> NoiseGrade {
    let found = GRADES.iter().find(|(end, _)| relative_deviation <= *end);
    found.map_or(NoiseGrade::VeryNoisy, |(_, grade)| *grade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_scipy() {
        // SciPy 1.17.1: median_abs_deviation(x, scale='normal') / median(x) of these times.
        let times = [10.0, 10.4, 9.8, 10.1, 10.6, 9.9, 10.2, 55.0];
        assert!((relative_deviation(&times).unwrap() - 0.036_517_296_022_305_475).abs() < 1e-12);
    }

    #[test]
    fn grades_follow_each_other_and_one_odd_trial_does_not_count() {
        for (share, grade) in [
            (0.0, NoiseGrade::Quiet),
            (0.02, NoiseGrade::Quiet),
            (0.03, NoiseGrade::Fair),
            (0.2, NoiseGrade::Noisy),
            (0.5, NoiseGrade::VeryNoisy),
        ] {
            assert_eq!(super::grade(share), grade, "{share}");
        }
        assert_eq!(relative_deviation(&[5.0, 5.0, 5.0, 900.0]), Some(0.0));
    }

    #[test]
    fn what_has_no_spread_to_speak_of_has_no_grade() {
        for values in [&[][..], &[1.0, 2.0], &[0.0, 0.0, 0.0]] {
            assert_eq!(relative_deviation(values), None);
        }
    }
}
