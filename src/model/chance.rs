//! Random numbers that a stored seed repeats, on every machine and under every version of the libraries: only the raw output
//! of the generator is used, and what becomes of it is written out here.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use sha2::Digest as _;
use sha2::Sha256;

/// How many numbers 32 bits tell apart.
const TWO_TO_32: f64 = 4_294_967_296.0;

/// A number in [0, 1) that depends on the seed and on `names` only. It is not of the stream that they have.
pub fn share_of(seed: u64, names: &[&str]) -> f64 {
    let hash = digest(seed, names).finalize();
    f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / TWO_TO_32
}

/// A stream of random numbers.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed for one purpose: `parts` keep two uses of one seed apart.
    pub fn new(seed: u64, parts: &[&[u8]]) -> Self {
        Self::of(digest(seed, parts))
    }

    /// The stream of a seed for what has these names, whatever other names there are.
    pub fn of_names(seed: u64, names: &[&str]) -> Self {
        Self::of(digest(seed, names))
    }

    /// The stream that a hash of everything it depends on stands for.
    pub fn of(hash: Sha256) -> Self {
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number in [0, 1), of 32 bits.
    pub fn share(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / TWO_TO_32
    }

    /// A number below `bound`, every one as likely, of 64 bits: draws that would favour the small ones are thrown away.
    pub fn below_by_rejection(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.0.next_u64();
            if drawn < fair {
                return usize::try_from(drawn % bound).expect("below a length");
            }
        }
    }

    /// A number below `bound`, which is far below 2^32, of 32 bits: by the high half of a product (Lemire, ACM TOMACS 29,
    /// 2019), whose bias is out of sight there.
    pub fn below_by_product(&mut self, bound: usize) -> usize {
        let product = u64::from(self.0.next_u32()) * bound as u64;
        usize::try_from(product >> 32).expect("below a length")
    }

    /// Puts `items` into random order, by rejection. Fisher and Yates as Durstenfeld has it (CACM 7, 1964), written out
    /// because a library's shuffle may change between versions, and a stored seed must not.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below_by_rejection(last + 1));
        }
    }

    /// The numbers below `n` in random order.
    pub fn shuffled(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

fn digest<T: AsRef<[u8]>>(seed: u64, parts: &[T]) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in parts.iter().map(AsRef::as_ref) {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["one", "two"];

    /// Computed apart from this code, from the definitions of SHA-256 and `ChaCha` with 8 rounds.
    #[test]
    #[expect(clippy::float_cmp, reason = "a quotient by a power of two is exact")]
    fn a_stored_seed_gives_what_it_gave() {
        assert_eq!(share_of(7, &NAMES), 0.225_651_963_148_266_08);
        let stream = || Chance::of_names(7, &NAMES);
        let (mut chance, mut other) = (stream(), Chance::new(7, &NAMES.map(str::as_bytes)));
        let shares = [(); 3].map(|()| chance.share());
        assert_eq!(
            shares,
            [
                0.677_880_588_220_432_4,
                0.439_451_625_337_824_2,
                0.941_440_987_400_710_6
            ]
        );
        assert_eq!(shares, [(); 3].map(|()| other.share()));
        let mut chance = stream();
        assert_eq!(
            [10, 1000, 1_000_000].map(|bound| chance.below_by_product(bound)),
            [6, 439, 941_440]
        );
        let mut chance = stream();
        assert_eq!(
            [10, 1000, (1 << 63) + 1, 1 << 40].map(|bound| chance.below_by_rejection(bound)),
            [1, 924, 2_718_752_652_764_291_361, 279_315_251_242]
        );
        assert_eq!(stream().shuffled(8), [0, 3, 7, 2, 1, 4, 6, 5]);
    }
}
