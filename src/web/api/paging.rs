//! Lists by the stretch: `?limit=&before=`, and the address of the next stretch in the header `Link` (RFC 8288).

use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::id;
use crate::experiment::fields::number;
use crate::model::ids::BenchmarkId;
use crate::web::error::Error;
use crate::web::urls;

const USUAL: u64 = 20;
const MOST: u64 = 100;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub limit: usize,
    /// Only what is older than this.
    pub before: Option<BenchmarkId>,
}

impl Stretch {
    /// Reads the pairs of a query string. Names that are not known here are left alone.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, Error> {
        let of = |name: &str| {
            pairs
                .iter()
                .rfind(|(own, _)| own == name)
                .map(|(_, value)| value.as_str())
        };
        let mut errors: Vec<FieldError> = Vec::new();
        let limit = of("limit").map_or(Ok(USUAL), |text| number(text, "limit", 1, MOST));
        let limit = limit.map_err(|error| errors.push(error));
        let before = of("before").map(|text| id(text, "before", "This takes the id of a benchmark."));
        let before = before.transpose().map_err(|error| errors.push(error));
        match (limit, before) {
            (Ok(limit), Ok(before)) => Ok(Self {
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
                before: before.map(BenchmarkId),
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }

    /// The header that leads to what is older than `last`.
    pub fn next(self, address: &str, last: BenchmarkId) -> Option<(HeaderName, HeaderValue)> {
        let (limit, before) = (self.limit.to_string(), last.to_string());
        let address = urls::with_query(address, [("limit", limit.as_str()), ("before", before.as_str())]);
        let value = HeaderValue::try_from(format!("<{address}>; rel=\"next\"")).ok()?;
        Some((header::LINK, value))
    }
}
