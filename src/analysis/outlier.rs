//! Trials that do not look like the others of their sample. They are marked, never left out.

/// Beyond so many standard deviations, as the median absolute deviation estimates them, a trial is an outlier: what
/// hyperfine calls one. It is a high bar, because times are skewed and a mark should mean that something else went on.
const FAR: f64 = 10.0;

/// The median absolute deviation of normal values times this is their standard deviation: 1 / quantile(0.75).
const MAD_TO_STD_DEV: f64 = 1.482_602_218_505_602;

/// Which of these values are outliers by their modified z-score: Iglewicz and Hoaglin, How to Detect and Handle Outliers,
/// ASQC Quality Press 1993, with a bar of 10 standard deviations for their 3.5. Where more than half of the values are
/// equal the deviation is zero and says nothing, so there are none.
pub fn outliers(values: &[f64]) -> Vec<bool> {
    let Some(robust) = Robust::of(values) else {
        return Vec::new();
    };
    let is_far = |value: &f64| robust.deviation > 0.0 && (value - robust.median).abs() > FAR * robust.deviation;
    values.iter().map(is_far).collect()
}

/// Where values lie and how far apart, whatever a few of them do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    pub median: f64,
    /// The median absolute deviation, scaled to the standard deviation of normal values: Rousseeuw and Croux,
    /// "Alternatives to the Median Absolute Deviation", Journal of the American Statistical Association 88, 1993.
    pub deviation: f64,
}

impl Robust {
    /// `None` where there are no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let median = self::median(values.to_vec())?;
        let distances = values.iter().map(|value| (value - median).abs()).collect();
        Some(Self {
            median,
            deviation: MAD_TO_STD_DEV * self::median(distances)?,
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(values[middle - 1], upper)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_far_from_the_others_is_marked_on_either_side() {
        let by_hand = |value: f64| outliers(&[9.0, 9.5, 10.0, 10.5, 11.0, 11.5, 12.0, value])[7];
        // With the eighth value far up the median is 10.75 and the deviations 0.25 0.25 0.75 0.75 1.25 1.25 1.75 and its own:
        // their median is 1, the bar 10.75 + 14.826.
        assert!(!by_hand(25.57) && by_hand(25.58));
        assert!(by_hand(-10.0));
    }

    #[test]
    fn without_a_spread_there_are_no_outliers() {
        assert_eq!(outliers(&[]), Vec::<bool>::new());
        assert_eq!(outliers(&[1.0, 1.0, 1.0, 9.0]), [false; 4]);
        assert_eq!(outliers(&[5.0]), [false]);
    }
}
