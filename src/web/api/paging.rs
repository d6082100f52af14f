//! Lists by the stretch: `?limit=&before=`, and the address of the next stretch in the header `Link` (RFC 8288).

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use utoipa::IntoParams;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::number;
use crate::web::error::Error;
use crate::web::urls;

const USUAL: u64 = 20;
const MOST: u64 = 100;

/// The parameters of every list, as the document describes them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read pair by pair, and described here")]
pub(super) struct StretchParams {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u64>,
    /// Only what is older than the one with this id. The header `Link` of every answer but the last leads on.
    #[param(minimum = 1)]
    before: Option<i64>,
}

/// Which part of a list of things with such ids is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch<I> {
    pub limit: usize,
    /// Only what is older than this.
    pub before: Option<I>,
}

impl<I: FromStr + fmt::Display> Stretch<I> {
    /// Reads the pairs of a query string. Names that are not known here are left alone. `what` says what the ids are of: "a
    /// benchmark".
    pub fn read(pairs: &[(String, String)], what: &str) -> Result<Self, Error> {
        let mut errors: Vec<FieldError> = Vec::new();
        let limit = last(pairs, "limit").map_or(Ok(USUAL), |text| number(text, "limit", 1, MOST));
        let limit = limit.map_err(|error| errors.push(error));
        let before = last(pairs, "before").map(|text| read_id(text.trim()));
        let before =
            before.map(|id| id.ok_or_else(|| FieldError::new("before", format!("This takes the id of {what}."))));
        let before = before.transpose().map_err(|error| errors.push(error));
        match (limit, before) {
            (Ok(limit), Ok(before)) => Ok(Self {
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
                before,
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }

    /// How many rows to ask the store for: one more tells whether there is more.
    pub fn n_rows(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// Takes off the row that only tells whether there is more, and gives the header that leads there. None on the last
    /// stretch.
    pub fn cut<T>(&self, address: &str, rows: &mut Vec<T>, id: impl Fn(&T) -> I) -> Option<(HeaderName, HeaderValue)> {
        let is_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = id(rows.last().filter(|_| is_more)?);
        self.next(address, &last)
    }

    /// The header that leads to what is older than `last`.
    fn next(&self, address: &str, last: &I) -> Option<(HeaderName, HeaderValue)> {
        let (limit, before) = (self.limit.to_string(), last.to_string());
        let address = urls::with_query(address, [("limit", limit.as_str()), ("before", before.as_str())]);
        let value = HeaderValue::try_from(format!("<{address}>; rel=\"next\"")).ok()?;
        Some((header::LINK, value))
    }
}

/// Ids are counted from 1.
fn read_id<I: FromStr>(text: &str) -> Option<I> {
    let is_id = text.parse::<i64>().is_ok_and(|id| id >= 1);
    text.parse().ok().filter(|_| is_id)
}

/// The last value of a name in a query string.
pub(super) fn last<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().rfind(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}
