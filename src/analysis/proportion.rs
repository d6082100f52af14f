//! Shares: how often something happens, and how often a sample must miss what it looks for.

/// The 97.5th percentile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 percent interval of a share that was seen `n_hits` times in `n_tries`: Wilson, "Probable Inference, the Law of
/// Succession, and Statistical Inference", Journal of the American Statistical Association 22, 1927. Unlike the textbook's
/// it is right for shares near 0 and 1. From 0 to 1 where there were no tries.
pub fn wilson(n_hits: u32, n_tries: u32) -> (f64, f64) {
    if n_tries == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(n_tries);
    let share = f64::from(n_hits) / n;
    let centre = share + Z * Z / (2.0 * n);
    let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (
        ((centre - reach) / scale).clamp(0.0, share),
        ((centre + reach) / scale).clamp(share, 1.0),
    )
}

/// The probability that `n_drawn` of `n_rows` rows, drawn without putting back, hold none of `n_marked` of them: the
/// hypergeometric C(N - K, n) / C(N, n), the product of (N - K - i) / (N - i) for i below n.
pub fn all_miss(n_rows: u64, n_marked: u64, n_drawn: u64) -> f64 {
    let n_drawn = n_drawn.min(n_rows);
    if n_marked > n_rows - n_drawn {
        return 0.0;
    }
    // The smaller of the two numbers takes the fewer steps: C(N - K, n) / C(N, n) = C(N - n, K) / C(N, K).
    let (steps, others) = if n_marked < n_drawn {
        (n_marked, n_drawn)
    } else {
        (n_drawn, n_marked)
    };
    #[expect(clippy::cast_precision_loss, reason = "no table has 2^52 rows")]
    let ln_of = |step: u64| (-(others as f64) / (n_rows - step) as f64).ln_1p();
    (0..steps).map(ln_of).sum::<f64>().exp()
}

/// What [`all_miss`] comes to where the table is so much larger than the sample that putting back makes no difference:
/// (1 - f)^n with f the share of marked rows.
pub fn all_miss_of_many(n_rows: u64, n_marked: u64, n_drawn: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no table has 2^52 rows")]
    let (share, n) = (n_marked as f64 / n_rows.max(1) as f64, n_drawn as f64);
    (n * (-share).ln_1p()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9 * expected.abs().max(1e-12)
    }

    #[test]
    fn intervals_are_those_of_newcombe() {
        // Newcombe, "Two-sided Confidence Intervals for the Single Proportion", Statistics in Medicine 17, 1998, table I,
        // method 3: score without continuity correction, to four digits.
        for (n_hits, n_tries, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
            (29, 29, 0.8830, 1.0000),
        ] {
            let (l, h) = wilson(n_hits, n_tries);
            assert!(
                (l - low).abs() < 5.1e-5 && (h - high).abs() < 5.1e-5,
                "{n_hits} of {n_tries}: {l} {h}"
            );
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn samples_miss_as_often_as_the_hypergeometric_distribution_says() {
        // Exact fractions by Python: Fraction(comb(N - K, n), comb(N, n)).
        for (n_rows, n_marked, n_drawn, expected) in [
            (1_000_000, 500, 300, 0.860_656_375_770_395_9),
            (1_000_000, 500, 30_000, 2.422_093_759_589_192e-07),
            (50, 5, 10, 0.310_562_782_004_568_7),
        ] {
            let p = all_miss(n_rows, n_marked, n_drawn);
            assert!(is_near(p, expected), "{n_rows} {n_marked} {n_drawn}: {p}");
        }
        assert!(is_near(all_miss(100, 0, 50), 1.0));
        assert!(is_near(all_miss(100, 1, 99), 0.01));
        assert!(all_miss(100, 1, 100).abs() < f64::EPSILON);
        assert!(all_miss(100, 60, 50).abs() < f64::EPSILON);
        assert!(all_miss(100, 1, 1000).abs() < f64::EPSILON);
    }

    #[test]
    fn the_limit_is_met_by_large_tables_and_missed_by_small_ones() {
        // (1 - 500 / 1e6)^300 by Python.
        assert!(
            is_near(all_miss_of_many(1_000_000, 500, 300), 0.860_675_689_718_651_6),
            "{}",
            all_miss_of_many(1_000_000, 500, 300)
        );
        let (exact, limit) = (
            all_miss(1_000_000_000, 5_000, 300_000),
            all_miss_of_many(1_000_000_000, 5_000, 300_000),
        );
        assert!((exact - limit).abs() < 1e-3 * exact, "{exact} {limit}");
        assert!(all_miss_of_many(200, 2, 100) > 1.4 * all_miss(200, 2, 100));
    }
}
