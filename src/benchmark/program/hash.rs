//! pgbench's hash functions and its pseudorandom permutation (`src/bin/pgbench/pgbench.c`, since version 15).

use crate::benchmark::program::random::Random;

const MURMUR_MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// MurmurHash2 by Austin Appleby, of eight bytes (`MurmurHash64A`).
pub fn murmur2(value: i64, seed: i64) -> i64 {
    let part = value.cast_unsigned().wrapping_mul(MURMUR_MULTIPLIER);
    let part = (part ^ (part >> 47)).wrapping_mul(MURMUR_MULTIPLIER);
    let hash = seed.cast_unsigned() ^ MURMUR_MULTIPLIER.wrapping_mul(8);
    let hash = (hash ^ part).wrapping_mul(MURMUR_MULTIPLIER);
    let hash = (hash ^ (hash >> 47)).wrapping_mul(MURMUR_MULTIPLIER);
    (hash ^ (hash >> 47)).cast_signed()
}

/// FNV-1a by Fowler, Noll and Vo, of eight bytes, the lowest first.
pub fn fnv1a(value: i64, seed: i64) -> i64 {
    let hash = value
        .to_le_bytes()
        .iter()
        .fold(FNV_BASIS ^ seed.cast_unsigned(), |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
        });
    hash.cast_signed()
}

/// Where `value` comes to in the permutation of 0 to `size - 1` that the seed names. `size` is greater than 0.
///
/// Six rounds; in each the lower and the upper part of the range, both a power of two long, are multiplied by an odd
/// number, XORed and rotated, and then all is moved around.
pub fn permute(value: i64, size: i64, seed: i64) -> i64 {
    if size < 2 {
        return 0;
    }
    let mut random = Random::from_seed(seed.cast_unsigned());
    let size = size.cast_unsigned();
    let part = Part::of(size);
    let mut place = value.cast_unsigned() % size;
    for _ in 0..6 {
        place = part.shuffle(place, &mut random);
        place = size - 1 - part.shuffle(size - 1 - place, &mut random);
        place = (place + random.up_to(size - 1)) % size;
    }
    place.cast_signed()
}

/// The numbers of so many bits: the largest part of the range that is a power of two long.
#[derive(Clone, Copy)]
struct Part {
    n_bits: u32,
    mask: u64,
}

impl Part {
    fn of(size: u64) -> Self {
        let n_bits = size.ilog2();
        Self {
            n_bits,
            mask: (1 << n_bits) - 1,
        }
    }

    /// Numbers outside stay where they are.
    fn shuffle(self, place: u64, random: &mut Random) -> u64 {
        let multiplier = (random.bits() & self.mask) | 1;
        let flips = random.bits() & self.mask;
        if place > self.mask {
            return place;
        }
        let place = (place.wrapping_mul(multiplier) ^ flips) & self.mask;
        ((place << 1) & self.mask) | (place >> (self.n_bits - 1))
    }
}
