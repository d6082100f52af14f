//! Chance in whole numbers: every draw comes from a seed, a table and a row number, and is the same on any machine.
//! Only the generator's raw output is used, because `rand` may change how it maps that to ranges between releases.

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The random choices behind one row.
///
/// A row has a stream of its own, so that any row can be made again without those before it: an order line can ask
/// what its product costs, and nothing is kept in memory.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The choices behind row `row` of the table whose number is `table`; different tables are independent.
    pub fn of(seed: u64, table: u8, row: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = table;
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(row);
        Self(generator)
    }

    /// A number in `0..n`. The bias of the multiplication is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(n);
        u64::try_from(product >> 64).expect("the upper half of a product of two u64 is a u64")
    }

    /// A number in `lowest..=highest`.
    pub fn between(&mut self, lowest: u64, highest: u64) -> u64 {
        lowest + self.below(highest - lowest + 1)
    }

    /// True in `n` of 1000 cases.
    pub fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// Any item of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below_len(items.len())]
    }

    /// An item of a list that is ordered from the most to the least frequent, with its index.
    pub fn pick_zipf<'a, T>(&mut self, items: &'a [T]) -> (usize, &'a T) {
        let n = u64::try_from(items.len()).expect("lists here are short");
        let idx = usize::try_from(self.zipf(n) - 1).expect("an index of a list that exists");
        (idx, &items[idx])
    }

    /// A rank in `1..=n` whose probability is proportional to 1 / rank (Zipf's law with exponent 1).
    ///
    /// By rejection, without a table: each octave `2^k .. 2^(k+1)` weighs the same, a rank within it is drawn evenly
    /// and kept with probability `2^k / rank`, which leaves 1 / rank; ranks above `n` are drawn again.
    pub fn zipf(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a rank among none");
        let n_octaves = u64::from(n.ilog2()) + 1;
        loop {
            let first = 1 << self.below(n_octaves);
            let rank = first + self.below(first);
            if rank <= n && self.below(rank) < first {
                return rank;
            }
        }
    }

    fn below_len(&mut self, len: usize) -> usize {
        let n = u64::try_from(len).expect("lists here are short");
        usize::try_from(self.below(n)).expect("an index of a list that exists")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zipf_gives_rank_r_a_share_of_one_in_r() {
        const N_DRAWS: u32 = 60_000;
        let mut chance = Chance::of(7, 0, 0);
        let mut n_by_rank = [0_u32; 11];
        for _ in 0..N_DRAWS {
            n_by_rank[usize::try_from(chance.zipf(10)).unwrap()] += 1;
        }
        // The tenth harmonic number is 7381 / 2520.
        for rank in 1..=10_u32 {
            let expected = f64::from(N_DRAWS) * 2520.0 / 7381.0 / f64::from(rank);
            let got = f64::from(n_by_rank[rank as usize]);
            assert!(
                (got - expected).abs() < 5.0 * expected.sqrt(),
                "rank {rank}: {got} draws, expected {expected}"
            );
        }
    }

    #[test]
    fn a_row_has_the_same_choices_whenever_it_is_asked_for() {
        let draws = |seed, table, row| {
            let mut chance = Chance::of(seed, table, row);
            [(); 4].map(|()| chance.below(u64::MAX))
        };
        assert_eq!(draws(1, 2, 3), draws(1, 2, 3));
        assert_ne!(draws(1, 2, 3), draws(2, 2, 3));
        assert_ne!(draws(1, 2, 3), draws(1, 3, 3));
        assert_ne!(draws(1, 2, 3), draws(1, 2, 4));
    }

    proptest! {
        #[test]
        fn draws_stay_within_their_bounds(seed: u64, n in 1_u64..1_000_000_000) {
            let mut chance = Chance::of(seed, 0, 0);
            prop_assert!(chance.below(n) < n);
            prop_assert!((1..=n).contains(&chance.zipf(n)));
            prop_assert!((n..=2 * n).contains(&chance.between(n, 2 * n)));
        }
    }
}
