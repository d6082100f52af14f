//! Writes the sample dataset, a synthetic online shop, as the plain dump that `pg_dump --no-owner` would make of it.
//! It does not restore it, and it reads neither the clock nor the machine: same spec, same bytes.
//!
//! `samples/dump.sql` is scale 1 with seed 1; a test below holds it to that.

mod chance;
mod day;
mod shop;
mod words;

use std::fmt;
use std::io;
use std::io::Write;

use shop::Customer;
use shop::Order;
use shop::Product;
use shop::Shop;
use words::CATEGORIES;
use words::COUNTRIES;

/// `pg_dump` writes tables before their rows, and what guards the rows after them.
const TABLES: &str = include_str!("tables.sql");
const CONSTRAINTS: &str = include_str!("constraints.sql");

/// Which shop to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleSpec {
    /// How many times the customers, products and orders of `samples/dump.sql`, which is 1. 0 is a shop before its
    /// first day; above 89 478 order numbers outgrow the `integer` of their column.
    pub scale: u32,
    /// Every random choice follows from it; shops of different seeds share nothing but their shape.
    pub seed: u64,
}

/// Writes the dump in small pieces (so give it a buffered writer) and in constant memory whatever the scale.
/// An error is the writer's own.
pub fn write_sample(spec: SampleSpec, out: &mut impl Write) -> io::Result<()> {
    let SampleSpec { scale, seed } = spec;
    let shop = Shop::new(spec);
    write!(out, "--\n-- PostgreSQL database dump\n--\n\n")?;
    write!(
        out,
        "-- A synthetic shop, made by pgassay sample --scale {scale} --seed {seed}\n\n"
    )?;
    write!(out, "{TABLES}\n\n")?;
    write_categories(out)?;
    write_cities(out)?;
    write_countries(out)?;
    write_customers(&shop, out)?;
    write_order_lines(&shop, out)?;
    write_orders(&shop, out)?;
    write_payments(&shop, out)?;
    write_products(&shop, out)?;
    write_reviews(&shop, out)?;
    write_shipments(&shop, out)?;
    write!(out, "{CONSTRAINTS}\n\n--\n-- PostgreSQL database dump complete\n--\n\n")
}

fn write_categories(out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "category", "category_id, name, department")?;
    for (category, category_id) in CATEGORIES.iter().zip(1..) {
        writeln!(out, "{category_id}\t{}\t{}", category.name, category.department)?;
    }
    end_copy(out)
}

fn write_cities(out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "city", "city_id, country_id, name")?;
    let cities = COUNTRIES
        .iter()
        .zip(1..)
        .flat_map(|(country, country_id)| country.cities.iter().map(move |city| (country_id, city)));
    for ((country_id, city), city_id) in cities.zip(1..) {
        writeln!(out, "{city_id}\t{country_id}\t{city}")?;
    }
    end_copy(out)
}

fn write_countries(out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "country", "country_id, code, name, zone")?;
    for (country, country_id) in COUNTRIES.iter().zip(1..) {
        let zone = country.zone.label();
        writeln!(out, "{country_id}\t{}\t{}\t{zone}", country.code, country.name)?;
    }
    end_copy(out)
}

fn write_customers(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(
        out,
        "customer",
        "customer_id, full_name, segment, country_id, city_id, signed_up",
    )?;
    for customer_id in 1..=shop.n_customers {
        let Customer {
            full_name,
            segment,
            country_id,
            city_id,
            signed_up,
        } = shop.customer(customer_id);
        let segment = segment.label();
        writeln!(
            out,
            "{customer_id}\t{full_name}\t{segment}\t{country_id}\t{city_id}\t{signed_up}"
        )?;
    }
    end_copy(out)
}

fn write_order_lines(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "order_line", "order_id, line_no, product_id, quantity")?;
    for (order_id, order) in shop.orders() {
        for (line, line_no) in order.lines.iter().zip(1..) {
            writeln!(out, "{order_id}\t{line_no}\t{}\t{}", line.product_id, line.quantity)?;
        }
    }
    end_copy(out)
}

fn write_orders(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(
        out,
        "orders",
        "order_id, customer_id, placed_on, channel, status, coupon",
    )?;
    for (order_id, order) in shop.orders() {
        let Order {
            customer_id,
            placed_on,
            channel,
            ..
        } = order;
        let status = order.status.label();
        let coupon = OrNull(order.coupon);
        writeln!(
            out,
            "{order_id}\t{customer_id}\t{placed_on}\t{channel}\t{status}\t{coupon}"
        )?;
    }
    end_copy(out)
}

fn write_payments(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "payment", "payment_id, order_id, method, amount, paid_on")?;
    let payments = shop
        .orders()
        .filter_map(|(order_id, order)| Some((order_id, order.lines, order.payment?)));
    for ((order_id, lines, payment), payment_id) in payments.zip(1_u64..) {
        let amount = Money {
            cents: shop.amount_cents(&lines),
        };
        writeln!(
            out,
            "{payment_id}\t{order_id}\t{}\t{amount}\t{}",
            payment.method, payment.paid_on
        )?;
    }
    end_copy(out)
}

fn write_products(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "product", "product_id, category_id, name, brand, price")?;
    for product_id in 1..=shop.n_products {
        let Product {
            category_id,
            name,
            brand,
            price_cents,
        } = shop.product(product_id);
        let price = Money { cents: price_cents };
        writeln!(out, "{product_id}\t{category_id}\t{name}\t{brand}\t{price}")?;
    }
    end_copy(out)
}

fn write_reviews(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(out, "review", "review_id, product_id, customer_id, rating, written_on")?;
    let reviews = shop
        .orders()
        .filter_map(|(_, order)| Some((order.customer_id, order.review?)));
    for ((customer_id, review), review_id) in reviews.zip(1_u64..) {
        writeln!(
            out,
            "{review_id}\t{}\t{customer_id}\t{}\t{}",
            review.product_id, review.rating, review.written_on
        )?;
    }
    end_copy(out)
}

fn write_shipments(shop: &Shop, out: &mut impl Write) -> io::Result<()> {
    begin_copy(
        out,
        "shipment",
        "shipment_id, order_id, carrier, shipped_on, delivered_on, returned_on",
    )?;
    let shipments = shop
        .orders()
        .filter_map(|(order_id, order)| Some((order_id, order.shipment?)));
    for ((order_id, shipment), shipment_id) in shipments.zip(1_u64..) {
        let delivered_on = OrNull(shipment.delivered_on);
        let returned_on = OrNull(shipment.returned_on);
        writeln!(
            out,
            "{shipment_id}\t{order_id}\t{}\t{}\t{delivered_on}\t{returned_on}",
            shipment.carrier, shipment.shipped_on
        )?;
    }
    end_copy(out)
}

fn begin_copy(out: &mut impl Write, table: &str, columns: &str) -> io::Result<()> {
    write!(
        out,
        "--\n-- Data for Name: {table}; Type: TABLE DATA; Schema: public; Owner: -\n--\n\n\
         COPY public.{table} ({columns}) FROM stdin;\n"
    )
}

fn end_copy(out: &mut impl Write) -> io::Result<()> {
    write!(out, "\\.\n\n\n")
}

/// A value as COPY writes it.
struct OrNull<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("\\N"),
        }
    }
}

/// Written in euros with two decimals.
struct Money {
    cents: u64,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

#[cfg(test)]
mod tests {
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
}
