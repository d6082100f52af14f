//! Latencies as bytes, to be stored and sent.
//!
//! All numbers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `PGL1` |
//! | 8 | how many took more than an hour |
//! | 8, 8 | least and largest time in nanoseconds (all ones and 0 without any) |
//! | 16, 16 | sum of the times and of their squares |
//! | the rest but 8 | the histogram in the uncompressed V2 format of `HdrHistogram`, which its tools in other languages read |
//! | 8 | the first bytes of the SHA-256 of all before |

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::Serializer as _;
use hdrhistogram::serialization::V2Serializer;
use sha2::Digest as _;
use sha2::Sha256;

use super::DIGITS;
use super::LONGEST_NS;
use super::Latencies;

const MARK: &[u8; 4] = b"PGL1";

/// What stands before the histogram.
const HEAD_LEN: usize = 4 + 8 + 8 + 8 + 16 + 16;

/// The header of a V2 histogram: cookie and length of the counts, and from byte 8 on what all of ours have in common.
const V2_HEADER_LEN: usize = 40;

const CHECK_LEN: usize = 8;

/// More transactions than any level makes, and few enough to be exact in a `f64`.
const MOST_TRANSACTIONS: u64 = 1 << 53;

/// These bytes are not latencies, or were changed on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The stored latencies are damaged")]
pub struct DamagedLatencies;

impl Latencies {
    /// A few kilobytes, the same for the same latencies.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend(self.n_above_an_hour.to_be_bytes());
        bytes.extend(self.min_ns.to_be_bytes());
        bytes.extend(self.max_ns.to_be_bytes());
        bytes.extend(self.sum_ns.to_be_bytes());
        bytes.extend(self.sum_of_squares.to_be_bytes());
        let written = V2Serializer::new().serialize(&self.histogram, &mut bytes);
        written.expect("a vector takes all, and no count comes near 2^63");
        let check = checksum(&bytes);
        bytes.extend(check);
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote. Never takes more memory than new latencies and the bytes themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedLatencies> {
        read(bytes).ok_or(DamagedLatencies)
    }

    /// Whether the numbers beside the histogram can be those of what it holds.
    fn adds_up(&self) -> bool {
        let Self {
            histogram,
            min_ns,
            max_ns,
            ..
        } = self;
        if histogram.is_empty() {
            return *self == Self::new();
        }
        let counted = |ns: u64| ns.min(LONGEST_NS);
        histogram.len() <= MOST_TRANSACTIONS
            && histogram.equivalent(histogram.min(), counted(*min_ns))
            && histogram.equivalent(histogram.max(), counted(*max_ns))
            && min_ns <= max_ns
            && self.n_above_an_hour <= histogram.count_at(LONGEST_NS)
            && (self.n_above_an_hour > 0) == (*max_ns > LONGEST_NS)
    }
}

fn read(bytes: &[u8]) -> Option<Latencies> {
    let (bytes, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_LEN)?)?;
    if checksum(bytes) != check {
        return None;
    }
    let (head, v2) = bytes.split_at_checked(HEAD_LEN)?;
    let mut rest = head.strip_prefix(MARK)?;
    let latencies = Latencies {
        n_above_an_hour: u64::from_be_bytes(take(&mut rest)?),
        min_ns: u64::from_be_bytes(take(&mut rest)?),
        max_ns: u64::from_be_bytes(take(&mut rest)?),
        sum_ns: u128::from_be_bytes(take(&mut rest)?),
        sum_of_squares: u128::from_be_bytes(take(&mut rest)?),
        histogram: read_histogram(v2)?,
    };
    latencies.adds_up().then_some(latencies)
}

/// Reads a histogram with our bounds. The header is read first: the library makes room for whatever bounds and length it
/// finds there.
fn read_histogram(v2: &[u8]) -> Option<Histogram<u64>> {
    let (header, counts) = v2.split_at_checked(V2_HEADER_LEN)?;
    let mut parts = &header[4..];
    let counts_len = u32::from_be_bytes(take(&mut parts)?);
    let is_ours = usize::try_from(counts_len) == Ok(counts.len())
        && u32::from_be_bytes(take(&mut parts)?) == 0
        && u32::from_be_bytes(take(&mut parts)?) == u32::from(DIGITS)
        && u64::from_be_bytes(take(&mut parts)?) == 1
        && u64::from_be_bytes(take(&mut parts)?) == LONGEST_NS;
    // Nine times all ones is a number that the library cannot negate; no count comes near it.
    if !is_ours || counts.windows(9).any(|nine| nine == [0xff; 9]) {
        return None;
    }
    Deserializer::new().deserialize(&mut &*v2).ok()
}

/// The next bytes of a number.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (number, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*number)
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let digest = Sha256::digest(bytes);
    *digest.first_chunk().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::any_ns;
    use super::super::tests::of;
    use super::*;

    /// Bytes that somebody has put a right checksum under.
    fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
        let check = checksum(&bytes);
        bytes.extend(check);
        bytes
    }

    /// All but the checksum.
    fn unsigned(latencies: &Latencies) -> Vec<u8> {
        let mut bytes = latencies.to_bytes();
        bytes.truncate(bytes.len() - CHECK_LEN);
        bytes
    }

    #[test]
    fn none_at_all_can_be_stored_too() {
        let none = Latencies::new();
        assert_eq!(Latencies::from_bytes(&none.to_bytes()), Ok(none));
    }

    #[test]
    fn latencies_are_small_as_bytes() {
        let n_bytes = of(&(0..10_000).map(|idx| 1_000_000 + idx * 500).collect::<Vec<u64>>())
            .to_bytes()
            .len();
        assert!(n_bytes < 10_000, "{n_bytes}");
    }

    #[test]
    fn the_histogram_within_is_read_by_the_tools_of_hdrhistogram() {
        let bytes = of(&[5_000_000, 5_000_000]).to_bytes();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[HEAD_LEN..]).unwrap();
        assert_eq!((histogram.len(), histogram.count_at(5_000_000)), (2, 2));
    }

    #[test]
    fn a_hostile_histogram_takes_no_memory_and_does_not_panic() {
        let good = unsigned(&of(&[5_000_000]));
        let hostile = |at: usize, with: &[u8]| {
            let mut bytes = good.clone();
            bytes[HEAD_LEN + at..][..with.len()].copy_from_slice(with);
            Latencies::from_bytes(&signed(bytes))
        };
        assert!(hostile(0, &[]).is_ok());
        // A length of 4 GB, five digits, a highest value of 2^64 - 1.
        assert_eq!(hostile(4, &[0xff; 4]), Err(DamagedLatencies));
        assert_eq!(hostile(12, &5u32.to_be_bytes()), Err(DamagedLatencies));
        assert_eq!(hostile(24, &[0xff; 8]), Err(DamagedLatencies));
        // A count that is the least of all numbers, which has no opposite.
        let mut bytes = good;
        bytes[HEAD_LEN + 4..][..4].copy_from_slice(&9u32.to_be_bytes());
        bytes.truncate(HEAD_LEN + V2_HEADER_LEN);
        bytes.extend([0xff; 9]);
        assert_eq!(Latencies::from_bytes(&signed(bytes)), Err(DamagedLatencies));
    }

    #[test]
    fn numbers_that_cannot_belong_together_are_refused() {
        let mut wrong = of(&[5_000_000, 7_000_000]);
        wrong.max_ns = 9_000_000;
        assert_eq!(Latencies::from_bytes(&wrong.to_bytes()), Err(DamagedLatencies));
        let mut wrong = of(&[5_000_000]);
        wrong.n_above_an_hour = 1;
        assert_eq!(Latencies::from_bytes(&wrong.to_bytes()), Err(DamagedLatencies));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read_again(times_ns in vec(prop_oneof![any_ns(), any::<u64>()], 0..200)) {
            let latencies = of(&times_ns);
            assert_eq!(Latencies::from_bytes(&latencies.to_bytes()), Ok(latencies));
        }

        #[test]
        fn one_changed_byte_is_found(times_ns in vec(any_ns(), 0..20), at: prop::sample::Index, by in 1..=255u8) {
            let mut bytes = of(&times_ns).to_bytes();
            let idx = at.index(bytes.len());
            bytes[idx] ^= by;
            assert_eq!(Latencies::from_bytes(&bytes), Err(DamagedLatencies));
        }

        #[test]
        fn half_of_them_is_refused(times_ns in vec(any_ns(), 0..20), at: prop::sample::Index) {
            let bytes = of(&times_ns).to_bytes();
            assert_eq!(Latencies::from_bytes(&bytes[..at.index(bytes.len())]), Err(DamagedLatencies));
        }

        #[test]
        fn hostile_counts_are_refused_or_read(counts in vec(any::<u8>(), 0..60)) {
            let mut bytes = unsigned(&of(&[5_000_000]));
            bytes.truncate(HEAD_LEN + V2_HEADER_LEN);
            let counts_len = u32::try_from(counts.len()).unwrap();
            bytes[HEAD_LEN + 4..][..4].copy_from_slice(&counts_len.to_be_bytes());
            bytes.extend(counts);
            if let Ok(latencies) = Latencies::from_bytes(&signed(bytes)) {
                assert!(latencies.percentile_ms(99.0).is_some());
            }
        }
    }
}
