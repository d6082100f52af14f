//! The weight behind the name of a file: `transfer.sql@3`.

use thiserror::Error;

/// Why what stands behind the `@` is no weight.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{text}\" behind the @ is no weight; a weight is a whole number from 0 to {}",
    i32::MAX
)]
pub struct WeightError {
    text: String,
}

/// A name as pgbench's `--file` takes it, without its weight, and the weight: what follows the last `@`, or 1.
pub fn split_weight(name: &str) -> Result<(&str, u32), WeightError> {
    let Some((name, text)) = name.rsplit_once('@') else {
        return Ok((name, 1));
    };
    let weight = text.parse().ok().filter(|weight| *weight <= i32::MAX.unsigned_abs());
    let weight = weight.ok_or_else(|| WeightError { text: text.to_owned() })?;
    Ok((name, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_stands_behind_the_last_at_sign() {
        assert_eq!(split_weight("a.sql"), Ok(("a.sql", 1)));
        assert_eq!(split_weight("a.sql@3"), Ok(("a.sql", 3)));
        assert_eq!(split_weight("me@home.sql@0"), Ok(("me@home.sql", 0)));
        assert_eq!(split_weight("a@2147483647"), Ok(("a", 2_147_483_647)));
        for bad in [
            "a.sql@",
            "a.sql@x",
            "a.sql@-1",
            "a.sql@1.5",
            "a@2147483648",
            "me@home.sql",
        ] {
            let error = split_weight(bad).unwrap_err().to_string();
            assert!(
                error.contains("is no weight; a weight is a whole number from 0 to 2147483647"),
                "{error}"
            );
        }
    }
}
