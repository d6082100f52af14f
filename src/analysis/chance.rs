//! Random numbers that a stored seed repeats, on every machine and under every version of the libraries.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use sha2::Digest as _;
use sha2::Sha256;

/// A stream of random numbers.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed for one purpose: `parts` keep two uses of one seed apart.
    pub fn new(seed: u64, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        for part in parts {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::of(hash)
    }

    /// The stream that a hash of everything it depends on stands for.
    pub fn of(hash: Sha256) -> Self {
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number below `bound`, every one as likely: draws that would favour the small ones are thrown away.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.0.next_u64();
            if drawn < fair {
                return usize::try_from(drawn % bound).expect("below a length");
            }
        }
    }

    /// The numbers below `n` in random order. Fisher and Yates as Durstenfeld has it (CACM 7, 1964), written out because a
    /// library's shuffle may change between versions, and a stored seed must not.
    pub fn shuffled(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, from the definitions of SHA-256 and ChaCha with 8 rounds.
    #[test]
    fn a_stored_seed_gives_what_it_gave() {
        let parts: [&[u8]; 2] = [b"one", b"two"];
        let mut chance = Chance::new(7, &parts);
        let below: Vec<usize> = [10, 1000, (1 << 63) + 1, 1 << 40]
            .into_iter()
            .map(|bound| chance.below(bound))
            .collect();
        assert_eq!(below, [1, 924, 2_718_752_652_764_291_361, 279_315_251_242]);
        assert_eq!(Chance::new(7, &parts).shuffled(8), [0, 3, 7, 2, 1, 4, 6, 5]);
    }
}
