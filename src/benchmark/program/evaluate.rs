//! Works out expressions, by pgbench's rules (`evaluateExpr` and `evalLazyFunc` in `pgbench.c`).

use crate::benchmark::program::failure::Reason;
use crate::benchmark::program::function::boolean;
use crate::benchmark::program::function::call;
use crate::benchmark::program::random::Random;
use crate::benchmark::program::variables::Slot;
use crate::benchmark::program::variables::Variables;
use crate::sql::pgbench::Expr;
use crate::sql::pgbench::MAX_ARGUMENTS;
use crate::sql::pgbench::Value;

/// What an expression comes to now.
pub fn evaluate(expr: &Expr<Slot>, variables: &mut Variables, random: &mut Random) -> Result<Value, Reason> {
    match expr {
        Expr::Constant(value) => Ok(*value),
        Expr::Variable(slot) => variables.value(*slot),
        Expr::Call(function, arguments) => {
            let mut values = [Value::Null; MAX_ARGUMENTS];
            for (value, argument) in values.iter_mut().zip(arguments) {
                *value = evaluate(argument, variables, random)?;
            }
            call(*function, &values[..arguments.len()], random)
        }
        Expr::And(left, right) => match evaluate(left, variables, random)? {
            Value::Null => Ok(Value::Null),
            value if !boolean(value)? => Ok(Value::Boolean(false)),
            _ => boolean_or_null(evaluate(right, variables, random)?),
        },
        Expr::Or(left, right) => match evaluate(left, variables, random)? {
            Value::Null => Ok(Value::Null),
            value if boolean(value)? => Ok(Value::Boolean(true)),
            _ => boolean_or_null(evaluate(right, variables, random)?),
        },
        Expr::Case(whens, otherwise) => {
            for (when, then) in whens {
                if is_true(evaluate(when, variables, random)?) {
                    return evaluate(then, variables, random);
                }
            }
            evaluate(otherwise, variables, random)
        }
    }
}

/// Whether a condition holds: numbers other than zero do, null does not.
pub fn is_true(value: Value) -> bool {
    match value {
        Value::Null => false,
        Value::Boolean(value) => value,
        Value::Int(value) => value != 0,
        Value::Double(value) => value != 0.0,
    }
}

fn boolean_or_null(value: Value) -> Result<Value, Reason> {
    match value {
        Value::Null => Ok(Value::Null),
        value => boolean(value).map(Value::Boolean),
    }
}
