//! Chance from a seed and names: the same on every machine, and for one name whatever other names there are.

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use sha2::Digest as _;
use sha2::Sha256;

/// A number in [0, 1) that depends on the seed and on `parts` only.
pub fn share(seed: u64, parts: &[&str]) -> f64 {
    let digest = digest(seed, parts);
    let bits = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(bits) / 4_294_967_296.0
}

/// Where many numbers are needed of the same names.
pub fn generator(seed: u64, parts: &[&str]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(digest(seed, parts))
}

fn digest(seed: u64, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    /// Computed apart from this code, from the definitions of SHA-256 and ChaCha with 8 rounds.
    #[test]
    #[expect(clippy::float_cmp, reason = "a quotient by a power of two is exact")]
    fn a_stored_seed_gives_what_it_gave() {
        assert_eq!(share(7, &["one", "two"]), 0.225_651_963_148_266_08);
        let mut stream = generator(7, &["one", "two"]);
        let shares = [(); 3].map(|()| f64::from(stream.next_u32()) / 4_294_967_296.0);
        assert_eq!(
            shares,
            [
                0.677_880_588_220_432_4,
                0.439_451_625_337_824_2,
                0.941_440_987_400_710_6
            ]
        );
    }
}
