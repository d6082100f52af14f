//! The header `Content-Range` of a part (RFC 9110, 14.4): `bytes 0-99/1000`, or `bytes */1000` for no byte at all.

use axum::http::HeaderMap;
use axum::http::header;

use crate::experiment::fields::FieldError;
use crate::model::upload::PartRange;

/// Why a header names no part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RangeError {
    /// It is not there or cannot be read.
    Unreadable(FieldError),
    /// No file of that length has such bytes.
    Outside { total_bytes: u64 },
}

/// Which bytes a part says that it holds.
pub(super) fn read(headers: &HeaderMap) -> Result<PartRange, RangeError> {
    let unreadable = || {
        let message = "This header says which bytes of the file are sent and how many it has in all, like \
                       \"bytes 0-1048575/52428800\".";
        RangeError::Unreadable(FieldError::new("Content-Range", message))
    };
    let said = headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let said = said
        .and_then(|said| said.trim().strip_prefix("bytes "))
        .ok_or_else(unreadable)?;
    let (range, total) = said.split_once('/').ok_or_else(unreadable)?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| is_number).ok_or_else(unreadable)
    };
    let total = number(total.trim())?;
    if total == 0 {
        return Err(unreadable());
    }
    let range = range.trim();
    if range == "*" {
        return Ok(PartRange {
            first: 0,
            end: 0,
            total,
        });
    }
    let (first, last) = range.split_once('-').ok_or_else(unreadable)?;
    let (first, last) = (number(first)?, number(last)?);
    if last < first || last >= total {
        return Err(RangeError::Outside { total_bytes: total });
    }
    Ok(PartRange {
        first,
        end: last + 1,
        total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(said: &str) -> Result<PartRange, RangeError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_RANGE, said.parse().unwrap());
        read(&headers)
    }

    #[test]
    fn a_part_says_which_bytes_it_holds() {
        for (said, first, end, total) in [
            ("bytes 0-99/100", 0, 100, 100),
            ("bytes 5-5/100", 5, 6, 100),
            ("bytes */100", 0, 0, 100),
        ] {
            assert_eq!(read_one(said).unwrap(), PartRange { first, end, total }, "{said}");
        }
        for said in ["bytes 5-4/100", "bytes 0-100/100", "bytes 200-300/100"] {
            assert_eq!(read_one(said), Err(RangeError::Outside { total_bytes: 100 }), "{said}");
        }
        for said in [
            "",
            "0-99/100",
            "bytes 0-99",
            "bytes 0-99/*",
            "bytes -5/100",
            "bytes 0-/100",
            "bytes +1-2/100",
            "bytes 0-0/0",
            "bytes */0",
            "bytes 0-99999999999999999999999/100",
            "items 0-1/2",
        ] {
            assert!(matches!(read_one(said), Err(RangeError::Unreadable(_))), "{said:?}");
        }
        assert!(matches!(read(&HeaderMap::new()), Err(RangeError::Unreadable(_))));
    }
}
