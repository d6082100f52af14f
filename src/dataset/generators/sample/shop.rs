//! The synthetic shop as a pure function: each row follows from the seed and its own number, so that two tables that
//! speak of one order agree without either being kept.
//!
//! What is put in on purpose, because planners stumble over it:
//!
//! * skew: products sell by Zipf's law, and business customers, who are one in fifty and place a quarter of the orders,
//!   order by it;
//! * functional dependency: a customer's city decides the country;
//! * correlation: a brand belongs to one category (but for the house brand), days of shipping follow the day of the
//!   order, and an order's status follows from its age;
//! * rare and missing values: few disputes, hardly any coupons or returns.

use super::SampleSpec;
use super::chance::Chance;
use super::day::CLOSING;
use super::day::Day;
use super::day::FIRST_SIGN_UP;
use super::words::ADJECTIVES;
use super::words::CATEGORIES;
use super::words::COMPANY_FORMS;
use super::words::COUNTRIES;
use super::words::COUPONS;
use super::words::FAMILY_NAMES;
use super::words::GIVEN_NAMES;
use super::words::HOUSE_BRAND;
use super::words::Zone;

const CUSTOMERS_PER_SCALE: u64 = 4_000;
const PRODUCTS_PER_SCALE: u64 = 1_200;
const ORDERS_PER_SCALE: u64 = 24_000;

/// Every fiftieth customer is a business, from number 7 on; the first of them orders most.
const BUSINESS_EVERY: u64 = 50;
const FIRST_BUSINESS: u64 = 7;
/// Every sixth customer signs up and never orders. No business is among them: their numbers are odd.
const IDLE_EVERY: u64 = 6;

/// Tables whose rows are drawn; the numbers are part of the bytes of every sample.
const PRODUCT: u8 = 1;
const CUSTOMER: u8 = 2;
const ORDER: u8 = 3;

/// Everything needed to make any row again.
pub struct Shop {
    seed: u64,
    pub n_customers: u64,
    pub n_products: u64,
    n_orders: u64,
}

pub struct Product {
    pub category_id: usize,
    pub name: String,
    pub brand: &'static str,
    pub price_cents: u64,
}

pub struct Customer {
    pub full_name: String,
    pub segment: Segment,
    pub country_id: usize,
    pub city_id: usize,
    pub signed_up: Day,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    Consumer,
    Business,
}

impl Segment {
    pub fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Business => "business",
        }
    }
}

/// An order and everything that came of it. What happened after the closing day has not happened.
pub struct Order {
    pub customer_id: u64,
    pub placed_on: Day,
    pub channel: &'static str,
    pub status: Status,
    pub coupon: Option<&'static str>,
    pub lines: Vec<OrderLine>,
    pub payment: Option<Payment>,
    pub shipment: Option<Shipment>,
    pub review: Option<Review>,
}

/// Pending -> Shipped -> Delivered | Returned | Disputed
///    |
///    +--> Cancelled
#[derive(Clone, Copy)]
pub enum Status {
    Pending,
    Cancelled,
    Shipped,
    Delivered,
    Returned,
    Disputed,
}

impl Status {
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Disputed => "disputed",
        }
    }
}

pub struct OrderLine {
    pub product_id: u64,
    pub quantity: u64,
}

pub struct Payment {
    pub method: &'static str,
    pub paid_on: Day,
}

pub struct Shipment {
    pub carrier: &'static str,
    pub shipped_on: Day,
    pub delivered_on: Option<Day>,
    pub returned_on: Option<Day>,
}

/// Of the first product of an order.
pub struct Review {
    pub product_id: u64,
    pub rating: u64,
    pub written_on: Day,
}

impl Shop {
    /// The shop of a spec; nothing is drawn until a row is asked for.
    pub fn new(spec: SampleSpec) -> Self {
        let scale = u64::from(spec.scale);
        Self {
            seed: spec.seed,
            n_customers: scale * CUSTOMERS_PER_SCALE,
            n_products: scale * PRODUCTS_PER_SCALE,
            n_orders: scale * ORDERS_PER_SCALE,
        }
    }

    /// All orders with their numbers, from the first day to the last.
    pub fn orders(&self) -> impl Iterator<Item = (u64, Order)> {
        (1..=self.n_orders).map(|order_id| (order_id, self.order(order_id)))
    }

    /// Product `product_id`, which counts from 1.
    pub fn product(&self, product_id: u64) -> Product {
        let mut chance = Chance::of(self.seed, PRODUCT, product_id);
        let (category_idx, category) = chance.pick_zipf(CATEGORIES);
        let brand = if chance.per_mille(80) {
            HOUSE_BRAND
        } else {
            *chance.pick_zipf(&category.brands).1
        };
        let name = format!("{} {}", chance.pick(ADJECTIVES), chance.pick(&category.nouns));
        Product {
            category_id: category_idx + 1,
            name,
            brand,
            price_cents: price_cents(&mut chance, category.cheapest_cents, category.dearest_cents),
        }
    }

    /// Customer `customer_id`, which counts from 1 in the order of signing up.
    pub fn customer(&self, customer_id: u64) -> Customer {
        let mut chance = Chance::of(self.seed, CUSTOMER, customer_id);
        let (country_idx, country) = chance.pick_zipf(COUNTRIES);
        let (city_idx, _) = chance.pick_zipf(country.cities);
        let n_cities_before: usize = COUNTRIES[..country_idx]
            .iter()
            .map(|country| country.cities.len())
            .sum();
        let segment = segment(customer_id);
        let family_name = chance.pick(FAMILY_NAMES);
        let full_name = match segment {
            Segment::Consumer => format!("{} {family_name}", chance.pick(GIVEN_NAMES)),
            Segment::Business => format!("{family_name} {}", chance.pick(COMPANY_FORMS)),
        };
        Customer {
            full_name,
            segment,
            country_id: country_idx + 1,
            city_id: n_cities_before + city_idx + 1,
            signed_up: self.signed_up(customer_id),
        }
    }

    /// What the lines of an order cost together. Apart from [`Self::orders`], because it makes each product again.
    pub fn amount_cents(&self, lines: &[OrderLine]) -> u64 {
        lines
            .iter()
            .map(|line| line.quantity * self.product(line.product_id).price_cents)
            .sum()
    }

    fn order(&self, order_id: u64) -> Order {
        let mut chance = Chance::of(self.seed, ORDER, order_id);
        let order_idx = order_id - 1;
        let placed_on = Day::of_order(order_idx, self.n_orders);
        let customer_id = self.buyer(&mut chance, order_idx);
        let segment = segment(customer_id);
        let zone = COUNTRIES[self.customer(customer_id).country_id - 1].zone;
        let lines = self.lines(&mut chance, segment);
        let (status, shipment) = fate(&mut chance, placed_on, zone);
        let payment = match status {
            Status::Pending | Status::Cancelled => None,
            Status::Shipped | Status::Delivered | Status::Returned | Status::Disputed => {
                payment(&mut chance, placed_on, segment)
            }
        };
        Order {
            customer_id,
            placed_on,
            channel: channel(&mut chance, segment),
            status,
            coupon: coupon(&mut chance, placed_on, segment),
            payment,
            review: shipment
                .as_ref()
                .and_then(|shipment| review(&mut chance, placed_on, shipment, &lines)),
            shipment,
            lines,
        }
    }

    /// A third of the customers came in the two years before the shop opened, the others one by one as orders did.
    fn n_signed_up(&self, order_idx: u64) -> u64 {
        let n_early = self.n_customers / 3;
        n_early + (self.n_customers - n_early) * order_idx / self.n_orders
    }

    /// The inverse of [`Self::n_signed_up`], as a day.
    fn signed_up(&self, customer_id: u64) -> Day {
        let n_early = self.n_customers / 3;
        if customer_id <= n_early {
            return FIRST_SIGN_UP.plus((customer_id - 1) * 730 / n_early);
        }
        let order_idx = ((customer_id - n_early) * self.n_orders).div_ceil(self.n_customers - n_early);
        Day::of_order(order_idx, self.n_orders)
    }

    fn buyer(&self, chance: &mut Chance, order_idx: u64) -> u64 {
        let n_signed_up = self.n_signed_up(order_idx);
        if chance.per_mille(250) {
            let rank = chance.zipf(n_signed_up / BUSINESS_EVERY);
            return (rank - 1) * BUSINESS_EVERY + FIRST_BUSINESS;
        }
        let customer_id = chance.between(1, n_signed_up);
        if customer_id.is_multiple_of(IDLE_EVERY) {
            customer_id - 1
        } else {
            customer_id
        }
    }

    fn lines(&self, chance: &mut Chance, segment: Segment) -> Vec<OrderLine> {
        let n_lines = chance.zipf(6);
        (0..n_lines)
            .map(|_| {
                let quantity = match segment {
                    Segment::Consumer => chance.zipf(4),
                    Segment::Business => chance.zipf(40),
                };
                let rank = chance.zipf(self.n_products);
                OrderLine {
                    product_id: scattered(rank, self.n_products),
                    quantity,
                }
            })
            .collect()
    }
}

fn segment(customer_id: u64) -> Segment {
    if customer_id % BUSINESS_EVERY == FIRST_BUSINESS {
        Segment::Business
    } else {
        Segment::Consumer
    }
}

/// Spreads ranks over the numbers `1..=n`, so that popular products do not sit on the same page.
fn scattered(rank: u64, n: u64) -> u64 {
    // A prime that divides no table size within reach, so that different ranks get different numbers.
    const STEP: u128 = 2_147_483_647;
    let number = u128::from(rank) * STEP % u128::from(n);
    u64::try_from(number).expect("a remainder of a u64") + 1
}

/// Prices end in 99 cents and follow the cube of a uniform number: many cheap, few dear.
fn price_cents(chance: &mut Chance, cheapest_cents: u64, dearest_cents: u64) -> u64 {
    let part = chance.between(0, 1000);
    let cents = cheapest_cents + (dearest_cents - cheapest_cents) * part.pow(3) / 1_000_000_000;
    cents - cents % 100 + 99
}

/// What had become of an order by the closing day, and its parcel if one was sent.
fn fate(chance: &mut Chance, placed_on: Day, zone: Zone) -> (Status, Option<Shipment>) {
    if chance.per_mille(25) {
        return (Status::Cancelled, None);
    }
    let is_late = chance.per_mille(15);
    let n_handling_days = if is_late {
        chance.between(8, 21)
    } else {
        chance.between(0, 3)
    };
    let shipped_on = placed_on.plus(n_handling_days);
    if shipped_on > CLOSING {
        return (Status::Pending, None);
    }
    let (carrier, n_travel_days) = match zone {
        Zone::Home => (chance.pick(&["DHL", "DHL", "Hermes"]), chance.between(1, 2)),
        Zone::Europe => (chance.pick(&["DPD", "GLS", "DHL"]), chance.between(2, 6)),
        Zone::Overseas => (chance.pick(&["FedEx", "UPS"]), chance.between(5, 14)),
    };
    let delivered_on = Some(shipped_on.plus(n_travel_days)).filter(|&day| day <= CLOSING);
    let returned_on = delivered_on
        .filter(|_| chance.per_mille(20))
        .map(|day| day.plus(chance.between(3, 30)))
        .filter(|&day| day <= CLOSING);
    let status = match (delivered_on, returned_on) {
        (None, _) => Status::Shipped,
        (Some(_), Some(_)) => Status::Returned,
        (Some(_), None) if chance.below(2000) < 1 => Status::Disputed,
        (Some(_), None) => Status::Delivered,
    };
    let shipment = Shipment {
        carrier,
        shipped_on,
        delivered_on,
        returned_on,
    };
    (status, Some(shipment))
}

/// `None` when the invoice is still open on the closing day. The amount is [`Shop::amount_cents`].
fn payment(chance: &mut Chance, placed_on: Day, segment: Segment) -> Option<Payment> {
    let (method, paid_on) = match segment {
        Segment::Business => ("invoice", placed_on.plus(chance.between(5, 45))),
        Segment::Consumer => {
            let (_, method) = chance.pick_zipf(&["card", "paypal", "transfer", "gift_card"]);
            (*method, placed_on)
        }
    };
    (paid_on <= CLOSING).then_some(Payment { method, paid_on })
}

fn channel(chance: &mut Chance, segment: Segment) -> &'static str {
    match segment {
        Segment::Business => chance.pick_zipf(&["web", "phone"]).1,
        Segment::Consumer => chance.pick_zipf(&["web", "app"]).1,
    }
}

/// Three consumers in a hundred have one.
fn coupon(chance: &mut Chance, placed_on: Day, segment: Segment) -> Option<&'static str> {
    let codes = COUPONS.iter().find(|(year, _)| *year == placed_on.year());
    let (_, codes) = codes.filter(|_| segment == Segment::Consumer && chance.per_mille(30))?;
    Some(*chance.pick_zipf(codes).1)
}

/// One parcel in five is reviewed, and whoever waited long says so.
fn review(chance: &mut Chance, placed_on: Day, shipment: &Shipment, lines: &[OrderLine]) -> Option<Review> {
    let delivered_on = shipment.delivered_on.filter(|_| chance.per_mille(200))?;
    let written_on = delivered_on.plus(chance.between(1, 20));
    let n_lost_stars = if delivered_on > placed_on.plus(10) {
        chance.between(1, 4)
    } else {
        chance.zipf(5) - 1
    };
    (written_on <= CLOSING).then_some(Review {
        product_id: lines[0].product_id,
        rating: 5 - n_lost_stars,
        written_on,
    })
}
