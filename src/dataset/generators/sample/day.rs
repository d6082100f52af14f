//! The shop's calendar: the days from its first customer to the closing of its books. No time zones, no clock.

use std::fmt;

/// Counted from 2020-01-01, so that days compare and add as numbers. Displayed as ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u64);

/// 2021-01-01, when the oldest customers signed up.
pub const FIRST_SIGN_UP: Day = Day(366);
/// 2023-01-01, the day of the first order.
pub const OPENING: Day = Day(1096);
/// 2025-12-31, when the books were closed; nothing is dated later.
pub const CLOSING: Day = Day(2191);

/// The years of trade, and their orders relative to each other: the shop grows.
const GROWTH: [(u64, u64); 3] = [(2023, 2), (2024, 3), (2025, 4)];
/// Orders of a month relative to other months: quiet summers, loud Decembers.
const SEASON: [u64; 12] = [8, 7, 8, 8, 8, 9, 8, 7, 9, 10, 15, 18];

impl Day {
    pub fn plus(self, n_days: u64) -> Self {
        Self(self.0 + n_days)
    }

    /// The day of order `order_idx` of `n_orders`, never earlier than that of the order before.
    pub fn of_order(order_idx: u64, n_orders: u64) -> Self {
        let weight_of_all: u64 = months().map(|(_, weight)| weight).sum();
        let mut position = order_idx * weight_of_all;
        let mut first_of_month = OPENING;
        for (n_days, weight) in months() {
            let span = weight * n_orders;
            if position < span {
                return first_of_month.plus(position * n_days / span);
            }
            position -= span;
            first_of_month = first_of_month.plus(n_days);
        }
        CLOSING
    }

    /// The calendar year.
    pub fn year(self) -> u64 {
        self.year_and_day().0
    }

    /// The second number counts from zero.
    fn year_and_day(self) -> (u64, u64) {
        let mut year = 2020;
        let mut day = self.0;
        while day >= days_in_year(year) {
            day -= days_in_year(year);
            year += 1;
        }
        (year, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, mut day) = self.year_and_day();
        let mut month = 1;
        for n_days in month_lengths(year) {
            if day < n_days {
                break;
            }
            day -= n_days;
            month += 1;
        }
        write!(f, "{year}-{month:02}-{:02}", day + 1)
    }
}

/// The months of trade in order, each with its number of days and its weight.
fn months() -> impl Iterator<Item = (u64, u64)> {
    GROWTH.iter().flat_map(|&(year, growth)| {
        let weights = SEASON.iter().map(move |season| season * growth);
        month_lengths(year).into_iter().zip(weights)
    })
}

fn days_in_year(year: u64) -> u64 {
    month_lengths(year).iter().sum()
}

/// Right from 1901 to 2099, where every fourth year is a leap year.
fn month_lengths(year: u64) -> [u64; 12] {
    let february = if year.is_multiple_of(4) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_the_calendar_has_them() {
        let cases = [
            (Day(0), "2020-01-01"),
            (Day(59), "2020-02-29"),
            (FIRST_SIGN_UP, "2021-01-01"),
            (OPENING, "2023-01-01"),
            (OPENING.plus(31 + 28), "2023-03-01"),
            (OPENING.plus(365 + 31 + 28), "2024-02-29"),
            (CLOSING, "2025-12-31"),
        ];
        for (day, text) in cases {
            assert_eq!(day.to_string(), text);
        }
    }

    #[test]
    fn orders_fill_the_years_of_trade_in_order() {
        const N_ORDERS: u64 = 5_000;
        let days: Vec<_> = (0..N_ORDERS)
            .map(|order_idx| Day::of_order(order_idx, N_ORDERS))
            .collect();
        assert!(days.is_sorted());
        assert_eq!(days.first(), Some(&OPENING));
        assert_eq!(days.last(), Some(&CLOSING));
        let n_in = |year| days.iter().filter(|day| day.year() == year).count();
        assert!(n_in(2023) < n_in(2024) && n_in(2024) < n_in(2025));
    }
}
