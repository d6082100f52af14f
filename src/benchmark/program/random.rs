//! PostgreSQL's generator of random numbers (`src/common/pg_prng.c`, since version 15), and pgbench's distributions over it.

use std::f64::consts::PI;

/// xoroshiro128** 1.0 by Blackman and Vigna (<https://prng.di.unimi.it/>), seeded by splitmix64 as PostgreSQL seeds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: [u64; 2],
}

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        let mut seed = seed;
        Self {
            state: [split_mix(&mut seed), split_mix(&mut seed)],
        }
    }

    /// The generator that pgbench gives to its client of this number, counted from 0, under `--random-seed`.
    pub fn of_client(seed: u64, client_id: u32) -> Self {
        let mut seeds = Self::from_seed(seed);
        for _ in 0..client_id {
            seeds.bits();
        }
        Self::from_seed(seeds.bits())
    }

    /// 64 of them.
    pub fn bits(&mut self) -> u64 {
        let [first, second] = self.state;
        let mixed = first ^ second;
        self.state = [first.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37)];
        first.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
    }

    /// A whole number from 0 to `most`, each as likely as the others: those beyond are drawn again.
    pub fn up_to(&mut self, most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        loop {
            let drawn = self.bits() >> most.leading_zeros();
            if drawn <= most {
                return drawn;
            }
        }
    }

    /// At least 0 and less than 1, in steps of 2^-52.
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 12) as f64 * (0.5_f64).powi(52)
    }

    /// `getrand` of pgbench.
    pub fn uniform(&mut self, range: Range) -> i64 {
        range
            .low
            .wrapping_add_unsigned(self.up_to(range.low.abs_diff(range.high)))
    }

    /// `getExponentialRand` of pgbench: the density falls from the first number to the last by the factor e^-parameter.
    pub fn exponential(&mut self, range: Range, parameter: f64) -> i64 {
        let cut = (-parameter).exp();
        let uniform = 1.0 - self.fraction();
        range.at(-(cut + (1.0 - cut) * uniform).ln() / parameter)
    }

    /// `getGaussianRand` of pgbench: the range is cut out of a normal distribution, `parameter` standard deviations to
    /// either side of its middle. Numbers are made normal by the method of Box and Muller, and drawn again beyond.
    pub fn gaussian(&mut self, range: Range, parameter: f64) -> i64 {
        loop {
            let (first, second) = (1.0 - self.fraction(), 1.0 - self.fraction());
            let deviation = (-2.0 * first.ln()).sqrt() * (2.0 * PI * second).sin();
            if deviation >= -parameter && deviation < parameter {
                return range.at((deviation + parameter) / (parameter * 2.0));
            }
        }
    }

    /// `getZipfianRand` of pgbench: the k-th number of the range is k^-exponent times as likely as the first. By rejection,
    /// after Luc Devroye, "Non-Uniform Random Variate Generation", Springer 1986, pages 550 and 551, where `step` is b.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as in pgbench"
    )]
    pub fn zipfian(&mut self, range: Range, exponent: f64) -> i64 {
        if range.len() <= 1 {
            return range.low;
        }
        let step = 2.0_f64.powf(exponent - 1.0);
        loop {
            let (u, v) = (self.fraction(), self.fraction());
            let x = u.powf(-1.0 / (exponent - 1.0)).floor();
            let t = (1.0 + 1.0 / x).powf(exponent - 1.0);
            if v * x * (t - 1.0) / (step - 1.0) <= t / step && x <= range.len() as f64 {
                return range.low + (x as i64 - 1);
            }
        }
    }
}

/// So many numbers that they can be counted by an i64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    low: i64,
    high: i64,
}

impl Range {
    /// From the one to the other, both included; nothing if there are none or too many between them.
    pub fn new(low: i64, high: i64) -> Option<Self> {
        high.checked_sub(low)?.checked_add(1).filter(|len| *len > 0)?;
        Some(Self { low, high })
    }

    fn len(self) -> i64 {
        self.high - self.low + 1
    }

    /// The number at this fraction of it.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as in pgbench"
    )]
    fn at(self, fraction: f64) -> i64 {
        self.low.wrapping_add((self.len() as f64 * fraction) as i64)
    }
}

fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_neither_empty_nor_too_large() {
        assert_eq!(Range::new(2, 1), None);
        assert_eq!(Range::new(0, i64::MAX), None);
        assert_eq!(Range::new(i64::MIN, i64::MAX), None);
        assert!(Range::new(i64::MIN, -2).is_some());
        assert!(Range::new(i64::MAX, i64::MAX).is_some());
    }

    proptest! {
        #[test]
        fn numbers_stay_in_their_range(seed in any::<u64>(), low in any::<i64>(), len in 1_i64..1 << 52, small in 1_i64..1000) {
            let mut random = Random::from_seed(seed);
            for len in [len, small] {
                let Some(range) = low.checked_add(len - 1).and_then(|high| Range::new(low, high)) else {
                    continue;
                };
                let drawn = [
                    random.uniform(range),
                    random.exponential(range, 0.5),
                    random.gaussian(range, 2.0),
                    random.zipfian(range, 1.5),
                ];
                for number in drawn {
                    prop_assert!(number >= range.low && number <= range.high, "{:?}", drawn);
                }
            }
        }
    }
}
