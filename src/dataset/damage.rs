//! Dumps of every format with damage in them, made at random: reading one ends, in words for its person, and never in
//! something that was not in the file. `make fuzz` tries many more than the suite.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;
use proptest::test_runner::TestRunner;

use crate::dataset::error::RestoreError;
use crate::dataset::truncation::ROOMY;
use crate::dataset::truncation::Whole;
use crate::dataset::truncation::every_format;
use crate::dataset::truncation::read_whole;
use crate::sql::split::Piece;
use crate::testing::bench::Bench;

/// What tells a compressed file, in the longest case.
const MAGIC_BYTES: usize = 4;

/// One injury. Places count from the start of the file or from its end, near which formats keep what matters most.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Place, u8),
    Overwrite(Place, Vec<u8>),
    Insert(Place, Vec<u8>),
    Remove(Place, usize),
    /// The same bytes twice.
    Repeat(Place, usize),
    Cut(Place),
    /// The start of another file in place of the own one.
    Head(Index, usize),
    Append(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Place {
    Anywhere(Index),
    FromStart(usize),
    FromEnd(usize),
}

impl Place {
    fn of(&self, len: usize) -> usize {
        match self {
            Place::Anywhere(index) => index.index(len),
            Place::FromStart(at) => (*at).min(len - 1),
            Place::FromEnd(at) => len - 1 - (*at).min(len - 1),
        }
    }
}

impl Damage {
    fn inflict(&self, bytes: &mut Vec<u8>, others: &[Whole]) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        let range = |place: &Place, n: usize| place.of(len)..len.min(place.of(len) + n);
        match self {
            Damage::Flip(place, bit) => bytes[place.of(len)] ^= 1 << bit,
            Damage::Overwrite(place, with) => {
                let range = range(place, with.len());
                let n_bytes = range.len();
                bytes[range].copy_from_slice(&with[..n_bytes]);
            }
            Damage::Insert(place, what) => drop(bytes.splice(range(place, 0), what.iter().copied())),
            Damage::Remove(place, n) => drop(bytes.drain(range(place, *n))),
            Damage::Repeat(place, n) => {
                let range = range(place, *n);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, copy);
            }
            Damage::Cut(place) => bytes.truncate(place.of(len)),
            Damage::Head(other, n) => {
                let head = other.get(others).bytes.iter().take(*n).copied();
                let end = len.min(*n);
                bytes.splice(..end, head);
            }
            Damage::Append(what) => bytes.extend(what),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = || {
        prop_oneof![
            2 => any::<Index>().prop_map(Place::Anywhere),
            2 => (0_usize..600).prop_map(Place::FromStart),
            1 => (0_usize..600).prop_map(Place::FromEnd),
        ]
    };
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..9),
            prop::collection::vec(prop::sample::select(vec![0_u8, 0x7f, 0x80, 0xff]), 1..9),
            Just(vec![0; 1024]),
        ]
    };
    prop_oneof![
        6 => (place(), 0_u8..8).prop_map(|(place, bit)| Damage::Flip(place, bit)),
        4 => (place(), bytes()).prop_map(|(place, bytes)| Damage::Overwrite(place, bytes)),
        1 => (place(), bytes()).prop_map(|(place, bytes)| Damage::Insert(place, bytes)),
        1 => (place(), 1_usize..2000).prop_map(|(place, n)| Damage::Remove(place, n)),
        1 => (place(), 1_usize..2000).prop_map(|(place, n)| Damage::Repeat(place, n)),
        1 => place().prop_map(Damage::Cut),
        1 => (any::<Index>(), 1_usize..2000).prop_map(|(other, n)| Damage::Head(other, n)),
        1 => bytes().prop_map(Damage::Append),
    ]
}

/// What a restore would see of a dump.
fn seen(pieces: &[Piece]) -> Vec<u8> {
    let mut seen = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Statement(statement) | Piece::CopyStart(statement) => {
                seen.extend(statement.text.as_bytes());
                seen.push(b'\n');
            }
            Piece::CopyData(data) => seen.extend(data),
            Piece::CopyEnd { n_rows, .. } => seen.extend(format!("{n_rows} rows\n").as_bytes()),
            Piece::PsqlLine(_) => {}
        }
    }
    seen
}

struct Hospital {
    runtime: tokio::runtime::Runtime,
    pg_restore: std::path::PathBuf,
    dir: tempfile::TempDir,
}

impl Hospital {
    fn read(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let path = self.dir.path().join("dump");
        std::fs::write(&path, bytes).unwrap();
        let read = self.runtime.block_on(read_whole(&path, &self.pg_restore, ROOMY));
        match read {
            Ok(pieces) => Ok(seen(&pieces)),
            Err(RestoreError::Lost(fault)) => panic!("the file's fault was taken for ours: {fault:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn examine(&self, whole: &Whole, healthy: &[u8], damage: &[Damage], others: &[Whole]) -> TestCaseResult {
        let mut bytes = whole.bytes.clone();
        for one in damage {
            one.inflict(&mut bytes, others);
        }
        match self.read(&bytes) {
            // With the head of another format it is a file of that format.
            Ok(seen) if whole.has_checksum && bytes.starts_with(&whole.bytes[..MAGIC_BYTES]) => {
                prop_assert!(
                    seen == healthy,
                    "{}: something else was read and taken for whole",
                    whole.name
                );
            }
            Ok(_) => {}
            Err(sentence) => prop_assert!(sentence.ends_with('.'), "{}: {sentence}", whole.name),
        }
        Ok(())
    }
}

#[test]
fn a_damaged_dump_of_any_format_is_refused_in_words_or_is_read_as_it_was() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (bench, all) = runtime.block_on(async {
        let bench = Bench::open().await;
        let all = every_format(&bench).await;
        (bench, all)
    });
    let hospital = Hospital {
        pg_restore: bench.house.restorer.pg_restore.clone().unwrap(),
        runtime,
        dir: tempfile::tempdir().unwrap(),
    };
    let healthy: Vec<Vec<u8>> = all.iter().map(|whole| hospital.read(&whole.bytes).unwrap()).collect();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = (any::<Index>(), prop::collection::vec(damage(), 1..4));
    let result = runner.run(&strategy, |(which, damage)| {
        let idx = which.index(all.len());
        hospital.examine(&all[idx], &healthy[idx], &damage, &all)
    });
    hospital.runtime.block_on(bench.close());
    if let Err(error) = result {
        panic!("{error}");
    }
}
