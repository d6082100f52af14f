//! The built-in programs, in pgbench's language and on the tables of pgbench, and what they need to know of them.

use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::Operation;
use crate::model::benchmark::ProgramText;

/// Rows that a range read sums up.
const RANGE_ROWS: u64 = 100;

/// How strongly a Zipf distribution prefers its first rows: the exponent. pgbench's documentation uses it in its example.
const ZIPF_EXPONENT: &str = "1.07";

/// How strongly a gaussian distribution prefers the middle: half the table is as many standard deviations wide.
const GAUSSIAN_WIDTH: &str = "2.5";

/// Bytes of the text in each row of `pgassay_rows`.
const FILLER_BYTES: usize = 84;

/// What is chosen beside the operation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub keys: KeyDistribution,
    /// Of 100 transactions of a read/write mix, how many read.
    pub read_percent: u32,
    /// Rows of one insert.
    pub insert_rows: u32,
}

/// The programs of a built-in operation; none for those that somebody brings.
pub fn programs(operation: Operation, shape: Shape) -> Option<Vec<ProgramText>> {
    let one = |text: String| vec![program(operation.word(), text, 1)];
    Some(match operation {
        Operation::PointRead => one(point_read(shape.keys)),
        Operation::RangeRead => one(range_read(shape.keys)),
        Operation::Update => one(update(shape.keys)),
        Operation::ReadWrite => {
            let reads = program("point_read", point_read(shape.keys), shape.read_percent);
            let writes = program("update", update(shape.keys), 100_u32.saturating_sub(shape.read_percent));
            let both = [reads, writes].into_iter();
            both.filter(|program| program.weight > 0).collect()
        }
        Operation::Insert => one(insert(shape.insert_rows)),
        Operation::DeleteInsert => one(delete_insert(shape.keys)),
        Operation::TpcbLike => one(tpcb_like(shape.keys)),
        Operation::Programs | Operation::Workload => return None,
    })
}

/// The variables that built-in programs take from the size of their tables.
pub fn variables(generated: GeneratedSpec) -> Vec<(String, String)> {
    [
        ("table_rows", generated.table_rows),
        ("n_branches", generated.n_branches()),
        ("n_tellers", generated.n_tellers()),
        // pgbench's own, for programs that count on it.
        ("scale", generated.n_branches()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec()
}

/// Whether a level leaves its tables other than it found them, as far as that can be told without running it.
pub fn writes(operation: Operation) -> bool {
    match operation {
        Operation::PointRead | Operation::RangeRead => false,
        Operation::Update
        | Operation::ReadWrite
        | Operation::Insert
        | Operation::DeleteInsert
        | Operation::TpcbLike
        | Operation::Programs
        | Operation::Workload => true,
    }
}

fn program(name: &str, text: String, weight: u32) -> ProgramText {
    ProgramText {
        name: name.to_owned(),
        text,
        weight,
        is_plain_sql: false,
    }
}

/// Sets `aid` to the key of a row, so that `n_behind` more follow it.
fn key(keys: KeyDistribution, n_behind: u64) -> String {
    let last = match n_behind {
        0 => ":table_rows".to_owned(),
        n => format!(":table_rows - {n}"),
    };
    match keys {
        KeyDistribution::Uniform => format!("\\set aid random(1, {last})\n"),
        KeyDistribution::Gaussian => format!("\\set aid random_gaussian(1, {last}, {GAUSSIAN_WIDTH})\n"),
        // The rows that are asked for most shall not lie beside each other.
        KeyDistribution::Zipf => {
            format!("\\set rank random_zipfian(1, {last}, {ZIPF_EXPONENT})\n\\set aid 1 + permute(:rank, {last})\n")
        }
    }
}

fn point_read(keys: KeyDistribution) -> String {
    let key = key(keys, 0);
    format!("{key}select abalance from pgbench_accounts where aid = :aid;\n")
}

fn range_read(keys: KeyDistribution) -> String {
    let (key, behind) = (key(keys, RANGE_ROWS - 1), RANGE_ROWS - 1);
    format!("{key}select sum(abalance) from pgbench_accounts where aid between :aid and :aid + {behind};\n")
}

fn update(keys: KeyDistribution) -> String {
    let key = key(keys, 0);
    format!("{key}{DELTA}update pgbench_accounts set abalance = abalance + :delta where aid = :aid;\n")
}

const DELTA: &str = "\\set delta random(-5000, 5000)\n";

fn insert(n_rows: u32) -> String {
    let filler = "x".repeat(FILLER_BYTES);
    let row = format!("(:client_id, :value, '{filler}')");
    let rows = vec![row; n_rows as usize].join(",\n    ");
    format!("\\set value random(1, 1000000)\ninsert into pgassay_rows (client_id, value, filler) values\n    {rows};\n")
}

/// Two clients may meet at one row; the one that comes second finds it there again.
fn delete_insert(keys: KeyDistribution) -> String {
    let key = key(keys, 0);
    let per_branch = GeneratedSpec::ROWS_PER_BRANCH;
    format!(
        "{key}begin;\n\
         delete from pgbench_accounts where aid = :aid;\n\
         insert into pgbench_accounts (aid, bid, abalance, filler) values (:aid, 1 + (:aid - 1) / {per_branch}, 0, '') \
         on conflict do nothing;\n\
         commit;\n"
    )
}

/// The transaction that pgbench runs by default, after the TPC's benchmark B of 1990: an account, its teller and its branch
/// move by the same amount, and a line says so.
fn tpcb_like(keys: KeyDistribution) -> String {
    let key = key(keys, 0);
    format!(
        "{key}\\set bid random(1, :n_branches)\n\
         \\set tid random(1, :n_tellers)\n\
         {DELTA}\
         begin;\n\
         update pgbench_accounts set abalance = abalance + :delta where aid = :aid;\n\
         select abalance from pgbench_accounts where aid = :aid;\n\
         update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;\n\
         update pgbench_branches set bbalance = bbalance + :delta where bid = :bid;\n\
         insert into pgbench_history (tid, bid, aid, delta, mtime) values (:tid, :bid, :aid, :delta, current_timestamp);\n\
         commit;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(keys: KeyDistribution) -> Shape {
        Shape {
            keys,
            read_percent: 90,
            insert_rows: 3,
        }
    }

    #[test]
    fn a_read_write_mix_has_the_weights_that_were_asked_for() {
        let weights = |read_percent| {
            let shape = Shape {
                read_percent,
                ..shape(KeyDistribution::Uniform)
            };
            let programs = programs(Operation::ReadWrite, shape).unwrap();
            let weights = programs.iter().map(|program| (program.name.clone(), program.weight));
            weights.collect::<Vec<_>>()
        };
        assert_eq!(weights(90), [("point_read".to_owned(), 90), ("update".to_owned(), 10)]);
        assert_eq!(weights(100), [("point_read".to_owned(), 100)]);
        assert_eq!(weights(0), [("update".to_owned(), 100)]);
    }

    #[test]
    fn an_insert_sends_all_its_rows_in_one_statement() {
        let programs = programs(Operation::Insert, shape(KeyDistribution::Uniform)).unwrap();
        assert_eq!(programs[0].text.matches("(:client_id, :value, 'xxx").count(), 3);
        assert_eq!(programs[0].text.matches(';').count(), 1);
    }

    #[test]
    fn branches_are_those_of_pgbench() {
        let of = |table_rows| GeneratedSpec {
            table_rows,
            batch_size: 1000,
            loading: crate::model::benchmark::Loading::Copy,
        };
        assert_eq!((of(1_000_000).n_branches(), of(1_000_000).n_tellers()), (10, 100));
        assert_eq!((of(1_000).n_branches(), of(100_001).n_branches()), (1, 2));
    }
}
