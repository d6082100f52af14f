//! The sample is what it says it is.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fs;

use super::*;

const REPOSITORY_SAMPLE: SampleSpec = SampleSpec { scale: 1, seed: 1 };

/// The rows of the repository's dump by table, each a list of fields.
struct Tables<'a>(HashMap<&'a str, Vec<Vec<&'a str>>>);

impl<'a> Tables<'a> {
    fn of(dump: &'a str) -> Self {
        let mut tables = HashMap::new();
        for block in dump.split("\nCOPY public.").skip(1) {
            let (head, rows) = block.split_once(" FROM stdin;\n").unwrap();
            let (table, _) = head.split_once(' ').unwrap();
            let rows = rows.lines().take_while(|&row| row != "\\.");
            tables.insert(table, rows.map(|row| row.split('\t').collect()).collect());
        }
        Self(tables)
    }

    fn rows(&self, table: &str) -> &[Vec<&'a str>] {
        &self.0[table]
    }

    fn column(&self, table: &str, idx: usize) -> impl Iterator<Item = &'a str> {
        self.rows(table).iter().map(move |row| row[idx])
    }

    /// What the column `value_idx` holds for each value of the column `key_idx`, which must be a key.
    fn lookup(&self, table: &str, key_idx: usize, value_idx: usize) -> HashMap<&'a str, &'a str> {
        let rows = self.rows(table).iter();
        let lookup: HashMap<_, _> = rows.map(|row| (row[key_idx], row[value_idx])).collect();
        assert_eq!(lookup.len(), self.rows(table).len(), "column {key_idx} of {table}");
        lookup
    }

    /// How often each value of a column occurs, the most frequent first.
    fn frequencies(&self, table: &str, idx: usize) -> Vec<(&'a str, usize)> {
        let mut n_by_value = HashMap::new();
        for value in self.column(table, idx) {
            *n_by_value.entry(value).or_insert(0) += 1;
        }
        let mut frequencies: Vec<_> = n_by_value.into_iter().collect();
        frequencies.sort_by_key(|&(value, n)| (std::cmp::Reverse(n), value));
        frequencies
    }
}

fn repository_file(name: &str) -> String {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/{}"), name);
    fs::read_to_string(path).unwrap()
}

/// Takes as many bytes as it has room for and fails on the next.
struct Head {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_taken = bytes.len().min(self.room);
        self.bytes.extend(&bytes[..n_taken]);
        self.room -= n_taken;
        Ok(n_taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first rows of a dump, all of them drawn: the customers begin after some ten thousand bytes.
fn customers_of(spec: SampleSpec) -> Vec<u8> {
    let mut head = Head {
        bytes: Vec::new(),
        room: 60_000,
    };
    let error = write_sample(spec, &mut head).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    let customers_at = head.bytes.windows(20).position(|part| part == b"COPY public.customer");
    head.bytes.split_off(customers_at.unwrap())
}

#[test]
fn the_generator_still_makes_the_bytes_in_the_repository() {
    let mut made = Vec::new();
    write_sample(REPOSITORY_SAMPLE, &mut made).unwrap();
    let made = String::from_utf8(made).unwrap();
    let kept = repository_file("dump.sql");
    let difference = made
        .lines()
        .zip(kept.lines())
        .zip(1..)
        .find(|((made, kept), _)| made != kept);
    assert_eq!(difference, None, "the first line that differs, with its number");
    assert!(made == kept, "one is the beginning of the other");
}

#[test]
fn same_seed_same_bytes_and_other_seed_other_bytes() {
    let other_seed = SampleSpec {
        seed: 2,
        ..REPOSITORY_SAMPLE
    };
    assert_eq!(customers_of(REPOSITORY_SAMPLE), customers_of(REPOSITORY_SAMPLE));
    assert_ne!(customers_of(REPOSITORY_SAMPLE), customers_of(other_seed));
}

#[test]
fn scale_0_is_a_shop_with_shelves_and_nobody_in_it() {
    let mut made = Vec::new();
    write_sample(SampleSpec { scale: 0, seed: 1 }, &mut made).unwrap();
    let made = String::from_utf8(made).unwrap();
    let tables = Tables::of(&made);
    let mut filled: Vec<_> = tables
        .0
        .iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(table, _)| *table)
        .collect();
    filled.sort_unstable();
    assert_eq!(filled, ["category", "city", "country"]);
}

#[test]
fn the_repository_dump_is_small_and_each_table_has_its_rows() {
    let dump = repository_file("dump.sql");
    assert!(dump.len() < 4_000_000, "{} bytes", dump.len());
    let tables = Tables::of(&dump);
    let expected = [
        ("category", 16..=16),
        ("city", 105..=105),
        ("country", 24..=24),
        ("customer", 4_000..=4_000),
        ("order_line", 55_000..=62_000),
        ("orders", 24_000..=24_000),
        ("payment", 22_000..=24_000),
        ("product", 1_200..=1_200),
        ("review", 4_000..=5_000),
        ("shipment", 22_000..=24_000),
    ];
    assert_eq!(tables.0.len(), expected.len());
    for (table, n_rows) in expected {
        assert!(
            n_rows.contains(&tables.rows(table).len()),
            "{table}: {}",
            tables.rows(table).len()
        );
    }
}

#[test]
fn every_reference_finds_its_row() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let references = [
        ("city", 1, "country"),
        ("customer", 3, "country"),
        ("customer", 4, "city"),
        ("order_line", 0, "orders"),
        ("order_line", 2, "product"),
        ("orders", 1, "customer"),
        ("payment", 1, "orders"),
        ("product", 1, "category"),
        ("review", 1, "product"),
        ("review", 2, "customer"),
        ("shipment", 1, "orders"),
    ];
    for (table, idx, referenced) in references {
        let keys = tables.lookup(referenced, 0, 0);
        assert!(
            tables.column(table, idx).all(|id| keys.contains_key(id)),
            "{table} to {referenced}"
        );
    }
}

#[test]
fn a_city_decides_the_country() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let country_of = tables.lookup("city", 0, 1);
    assert!(tables.rows("customer").iter().all(|row| country_of[row[4]] == row[3]));
}

#[test]
fn a_brand_other_than_the_houses_belongs_to_one_category() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let rows = tables.rows("product").iter();
    let pairs: HashSet<_> = rows
        .map(|row| (row[3], row[1]))
        .filter(|(brand, _)| *brand != words::HOUSE_BRAND)
        .collect();
    let brands: HashSet<_> = pairs.iter().map(|(brand, _)| brand).collect();
    assert!(brands.len() > 30);
    assert_eq!(pairs.len(), brands.len());
}

#[test]
fn products_and_customers_are_skewed() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let by_product = tables.frequencies("order_line", 2);
    assert_eq!(by_product[0].0, "848", "queries.sql names the bestseller");
    // Under Zipf's law with exponent 1 the tenth sells a tenth of the first, give or take its noise.
    assert!((8..=12).contains(&(by_product[0].1 / by_product[9].1)));
    let by_customer = tables.frequencies("orders", 1);
    assert!(by_customer[0].1 > 50 * by_customer[by_customer.len() / 2].1);
}

#[test]
fn disputes_are_rare_and_coupons_and_returns_mostly_missing() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let by_status = tables.frequencies("orders", 4);
    assert_eq!(by_status.len(), 6);
    assert!(by_status[0].0 == "delivered" && by_status[0].1 > 21_600);
    assert!(by_status[5].0 == "disputed" && by_status[5].1 < 24);
    for (table, idx) in [("orders", 5), ("shipment", 5)] {
        let n_missing = tables.column(table, idx).filter(|&field| field == "\\N").count();
        let n_rows = tables.rows(table).len();
        assert!(n_missing * 100 > n_rows * 95 && n_missing < n_rows, "{table}");
    }
}

#[test]
fn dates_follow_each_other_and_end_with_2025() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let placed_on = tables.lookup("orders", 0, 2);
    let signed_up = tables.lookup("customer", 0, 5);
    assert!(tables.column("orders", 2).is_sorted());
    for row in tables.rows("orders") {
        assert!(signed_up[row[1]] <= row[2], "{row:?}");
    }
    for row in tables.rows("payment") {
        assert!(placed_on[row[1]] <= row[4] && row[4] <= "2025-12-31", "{row:?}");
    }
    for row in tables.rows("shipment") {
        let days = [placed_on[row[1]], row[3], row[4], row[5]];
        let known = days.into_iter().filter(|&day| day != "\\N");
        assert!(
            known.clone().is_sorted() && known.max() <= Some("2025-12-31"),
            "{row:?}"
        );
    }
}

#[test]
fn a_payment_is_what_the_ordered_products_cost() {
    let dump = repository_file("dump.sql");
    let tables = Tables::of(&dump);
    let cents = |money: &str| money.replace('.', "").parse::<u64>().unwrap();
    let price = tables.lookup("product", 0, 4);
    let mut cost_cents = HashMap::new();
    for row in tables.rows("order_line") {
        *cost_cents.entry(row[0]).or_insert(0) += row[3].parse::<u64>().unwrap() * cents(price[row[2]]);
    }
    for row in tables.rows("payment") {
        assert_eq!(cents(row[3]), cost_cents[row[1]], "{row:?}");
    }
}

#[test]
fn there_are_twelve_queries_each_with_a_label_of_its_own_and_its_question() {
    let queries = repository_file("queries.sql");
    let parts: Vec<_> = queries.split("-- name: ").skip(1).collect();
    let labels: HashSet<_> = parts.iter().filter_map(|part| part.lines().next()).collect();
    assert_eq!((parts.len(), labels.len()), (12, 12));
    for part in parts {
        let question = part.lines().nth(1).unwrap();
        assert!(question.starts_with("-- ") && question.ends_with('?'), "{part}");
        assert!(part.trim_end().ends_with(';'), "{part}");
    }
}
