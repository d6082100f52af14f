//! Doubles as text, as PostgreSQL's own `printf` writes them (`src/port/snprintf.c`).

use std::fmt;
use std::fmt::Write as _;

/// So many digits of a decimal number survive in a double (`DBL_DIG`).
const DIGITS: usize = 15;

/// Writes a double as `printf("%.15g")` does, which is how pgbench puts it into a statement.
pub fn write(out: &mut String, value: f64) -> fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    if value.is_infinite() {
        return out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let start = out.len();
    write!(out, "{value:.*e}", DIGITS - 1)?;
    let mark = out[start..].find('e').map_or(out.len(), |mark| start + mark);
    let exponent: i32 = out[mark + 1..].parse().map_err(|_| fmt::Error)?;
    out.truncate(mark);
    let precision = usize::try_from(exponent).ok().filter(|exponent| *exponent < DIGITS);
    if let Some(exponent) = precision {
        out.truncate(start);
        write!(out, "{value:.*}", DIGITS - 1 - exponent)?;
        drop_zeros(out, start);
    } else if exponent < 0 && exponent >= -4 {
        out.truncate(start);
        let n_decimals = DIGITS - 1 + usize::try_from(-exponent).map_err(|_| fmt::Error)?;
        write!(out, "{value:.n_decimals$}")?;
        drop_zeros(out, start);
    } else {
        drop_zeros(out, start);
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.unsigned_abs())?;
    }
    Ok(())
}

/// Takes away zeros at the end of a fraction, and the point with them.
fn drop_zeros(out: &mut String, start: usize) {
    if out[start..].contains('.') {
        let len = out.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(len);
    }
}
