//! Functions and operators on values, by pgbench's rules (`evalStandardFunc` and `coerceTo...` in `pgbench.c`).

use std::cmp::Ordering;
use std::f64::consts::PI;

use crate::benchmark::program::failure::Reason;
use crate::benchmark::program::hash;
use crate::benchmark::program::random::Random;
use crate::benchmark::program::random::Range;
use crate::sql::pgbench::Function;
use crate::sql::pgbench::Value;

/// What a function makes of its arguments, whose number fits it. Null makes null of nearly all of them.
pub fn call(function: Function, values: &[Value], random: &mut Random) -> Result<Value, Reason> {
    match function {
        Function::Is => Ok(Value::Boolean(values[0] == values[1])),
        Function::Debug => Ok(values[0]),
        _ if values.contains(&Value::Null) => Ok(Value::Null),
        Function::Add => arithmetic("+", values, i64::checked_add, |left, right| left + right),
        Function::Subtract => arithmetic("-", values, i64::checked_sub, |left, right| left - right),
        Function::Multiply => arithmetic("*", values, i64::checked_mul, |left, right| left * right),
        Function::Divide if values[1] == Value::Int(0) && !is_double(values[0]) => Err(Reason::DivisionByZero),
        Function::Divide => arithmetic("/", values, i64::checked_div, |left, right| left / right),
        Function::Modulo => match (int(values[0])?, int(values[1])?) {
            (_, 0) => Err(Reason::DivisionByZero),
            (left, right) => Ok(Value::Int(left.wrapping_rem(right))),
        },
        Function::BitAnd => on_ints(values, |left, right| left & right),
        Function::BitOr => on_ints(values, |left, right| left | right),
        Function::BitXor => on_ints(values, |left, right| left ^ right),
        Function::ShiftLeft => on_ints(values, |left, right| left.wrapping_shl(shift(right))),
        Function::ShiftRight => on_ints(values, |left, right| left.wrapping_shr(shift(right))),
        Function::Equal => Ok(Value::Boolean(compare(values)? == Some(Ordering::Equal))),
        Function::NotEqual => Ok(Value::Boolean(compare(values)? != Some(Ordering::Equal))),
        Function::Less => Ok(Value::Boolean(compare(values)? == Some(Ordering::Less))),
        Function::LessOrEqual => {
            let order = compare(values)?;
            Ok(Value::Boolean(matches!(order, Some(Ordering::Less | Ordering::Equal))))
        }
        Function::Not => boolean(values[0]).map(|value| Value::Boolean(!value)),
        Function::Abs => match values[0] {
            Value::Int(value) => Ok(Value::Int(value.wrapping_abs())),
            value => double(value).map(|value| Value::Double(value.abs())),
        },
        Function::Int => int(values[0]).map(Value::Int),
        Function::Double => double(values[0]).map(Value::Double),
        Function::Exp => double(values[0]).map(|value| Value::Double(value.exp())),
        Function::Ln => double(values[0]).map(|value| Value::Double(value.ln())),
        Function::Sqrt => double(values[0]).map(|value| Value::Double(value.sqrt())),
        Function::Pi => Ok(Value::Double(PI)),
        Function::Power => Ok(Value::Double(double(values[0])?.powf(double(values[1])?))),
        Function::Least => extreme(values, Ordering::Less),
        Function::Greatest => extreme(values, Ordering::Greater),
        Function::HashFnv1a => Ok(Value::Int(hash::fnv1a(int(values[0])?, int(values[1])?))),
        Function::HashMurmur2 => Ok(Value::Int(hash::murmur2(int(values[0])?, int(values[1])?))),
        Function::Permute => match (int(values[0])?, int(values[1])?, int(values[2])?) {
            (value, size, seed) if size > 0 => Ok(Value::Int(hash::permute(value, size, seed))),
            (_, size, _) => Err(Reason::PermuteSize(size)),
        },
        Function::Random => range(values).map(|range| Value::Int(random.uniform(range))),
        Function::RandomExponential => match (range(values)?, double(values[2])?) {
            (_, parameter) if parameter <= 0.0 => Err(Reason::Exponential(parameter)),
            (range, parameter) => Ok(Value::Int(random.exponential(range, parameter))),
        },
        Function::RandomGaussian => match (range(values)?, double(values[2])?) {
            (_, parameter) if parameter < 2.0 => Err(Reason::Gaussian(parameter)),
            (range, parameter) => Ok(Value::Int(random.gaussian(range, parameter))),
        },
        Function::RandomZipfian => match (range(values)?, double(values[2])?) {
            (range, parameter) if (1.001..=1000.0).contains(&parameter) => {
                Ok(Value::Int(random.zipfian(range, parameter)))
            }
            (_, parameter) => Err(Reason::Zipfian(parameter)),
        },
    }
}

/// A value as a truth value, which is nothing else than one.
pub fn boolean(value: Value) -> Result<bool, Reason> {
    match value {
        Value::Boolean(value) => Ok(value),
        value => Err(Reason::WrongType(value.type_name(), "a truth value")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as in pgbench")]
fn double(value: Value) -> Result<f64, Reason> {
    match value {
        Value::Int(value) => Ok(value as f64),
        Value::Double(value) => Ok(value),
        value => Err(Reason::WrongType(value.type_name(), "a number")),
    }
}

/// A value as an integer: doubles are rounded, halves to the even side.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn int(value: Value) -> Result<i64, Reason> {
    /// 2^63, the least double that is too large.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(value) => Ok(value),
        Value::Double(value) => {
            let rounded = value.round_ties_even();
            if (-LIMIT..LIMIT).contains(&rounded) {
                Ok(rounded as i64)
            } else {
                Err(Reason::NoInt(value))
            }
        }
        value => Err(Reason::WrongType(value.type_name(), "a number")),
    }
}

fn is_double(value: Value) -> bool {
    matches!(value, Value::Double(_))
}

/// On doubles if one of the two is one, else on integers.
fn arithmetic(
    name: &'static str,
    values: &[Value],
    on_ints: fn(i64, i64) -> Option<i64>,
    on_doubles: fn(f64, f64) -> f64,
) -> Result<Value, Reason> {
    let (left, right) = (values[0], values[1]);
    if is_double(left) || is_double(right) {
        Ok(Value::Double(on_doubles(double(left)?, double(right)?)))
    } else {
        let result = on_ints(int(left)?, int(right)?);
        result.map(Value::Int).ok_or(Reason::OutOfRange(name))
    }
}

fn on_ints(values: &[Value], operation: fn(i64, i64) -> i64) -> Result<Value, Reason> {
    Ok(Value::Int(operation(int(values[0])?, int(values[1])?)))
}

/// By how many bits processors shift that are told to shift by so many.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "six bits are left"
)]
fn shift(by: i64) -> u32 {
    (by & 63) as u32
}

/// Nothing where one of the two is no number, as `ln(-1)`.
fn compare(values: &[Value]) -> Result<Option<Ordering>, Reason> {
    let (left, right) = (values[0], values[1]);
    if is_double(left) || is_double(right) {
        Ok(double(left)?.partial_cmp(&double(right)?))
    } else {
        Ok(Some(int(left)?.cmp(&int(right)?)))
    }
}

/// The least or the greatest, a double if any of them is one. What cannot be compared takes the place of what was before
/// it, as under pgbench.
fn extreme(values: &[Value], wanted: Ordering) -> Result<Value, Reason> {
    if values.iter().any(|value| is_double(*value)) {
        let mut extreme = double(values[0])?;
        for value in &values[1..] {
            let value = double(*value)?;
            if extreme.partial_cmp(&value) != Some(wanted) {
                extreme = value;
            }
        }
        Ok(Value::Double(extreme))
    } else {
        let mut extreme = int(values[0])?;
        for value in &values[1..] {
            let value = int(*value)?;
            if value.cmp(&extreme) == wanted {
                extreme = value;
            }
        }
        Ok(Value::Int(extreme))
    }
}

/// What the first two arguments of a random function say.
fn range(values: &[Value]) -> Result<Range, Reason> {
    let (low, high) = (int(values[0])?, int(values[1])?);
    Range::new(low, high).ok_or(if low > high {
        Reason::EmptyRange(low, high)
    } else {
        Reason::LargeRange(low, high)
    })
}
