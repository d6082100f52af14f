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
mod tests;
