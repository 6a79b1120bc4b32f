//! Operators between two values.

use std::cmp::Ordering;

use tensor::jinja::Operator;

use super::budget::{Budget, Outcome, failed};
use super::value::Value;

pub(super) fn negative<'t>(value: &Value<'t>) -> Outcome<Value<'t>> {
    match (value.as_integer(), value.as_float()) {
        (Some(number), _) => number.checked_neg().map_or_else(too_large, |number| Ok(Value::Integer(number))),
        (None, Some(number)) => Ok(Value::Float(-number)),
        _ => failed(format!("the negative of {}", value.kind())),
    }
}

/// The number itself, of a truth value 0 or 1.
pub(super) fn positive<'t>(value: &Value<'t>) -> Outcome<Value<'t>> {
    match (value.as_integer(), value.as_float()) {
        (Some(number), _) => Ok(Value::Integer(number)),
        (None, Some(number)) => Ok(Value::Float(number)),
        _ => failed(format!("`+` before {}", value.kind())),
    }
}

fn too_large<T>() -> Outcome<T> {
    failed("the number is too large")
}

/// The value of an operator that makes a new value.
pub(super) fn combine<'t>(
    budget: &mut Budget,
    operator: Operator,
    a: &Value<'t>,
    b: &Value<'t>,
) -> Outcome<Value<'t>> {
    match (operator, a, b) {
        (Operator::Concat, ..) => {
            let mut text = String::new();
            budget.write(a, &mut text)?;
            budget.write(b, &mut text)?;
            budget.text(&text)
        }
        (Operator::Add, Value::Text(a), Value::Text(b)) => {
            let mut text = String::new();
            budget.push(&mut text, a)?;
            budget.push(&mut text, b)?;
            budget.text(&text)
        }
        (Operator::Add, Value::List(a), Value::List(b)) if a.tuple == b.tuple => {
            budget.values(a.items.len().saturating_add(b.items.len()))?;
            budget.sequence(a.items.iter().chain(&b.items).cloned().collect(), a.tuple)
        }
        (Operator::Multiply, Value::Text(text), times) | (Operator::Multiply, times, Value::Text(text)) => {
            let times = repetitions(times)?;
            let length = text.len().saturating_mul(times);
            budget.reading(length)?;
            budget.bytes(length)?;
            budget.text(&text.repeat(times))
        }
        (Operator::Multiply, Value::List(list), times) | (Operator::Multiply, times, Value::List(list)) => {
            let times = repetitions(times)?;
            budget.values(list.items.len().saturating_mul(times))?;
            let items = std::iter::repeat_n(&list.items, times).flatten().cloned().collect();
            budget.sequence(items, list.tuple)
        }
        _ => match (a.as_integer(), b.as_integer()) {
            (Some(a), Some(b)) if operator != Operator::Divide => integers(operator, a, b),
            _ => match (a.as_float(), b.as_float()) {
                (Some(a), Some(b)) => floats(operator, a, b),
                _ => failed(format!("{} and {} do not go together", a.kind(), b.kind())),
            },
        },
    }
}

fn repetitions(times: &Value<'_>) -> Outcome<usize> {
    match times.as_integer() {
        Some(times) => Ok(usize::try_from(times.max(0)).unwrap_or(usize::MAX)),
        None => failed(format!("{} times", times.kind())),
    }
}

fn integers<'t>(operator: Operator, a: i64, b: i64) -> Outcome<Value<'t>> {
    if b == 0 && matches!(operator, Operator::FloorDivide | Operator::Remainder) {
        return failed("a division by zero");
    }
    let number = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        // Towards minus infinity, as in Python; the remainder has the divisor's sign.
        Operator::FloorDivide => {
            a.checked_div(b).map(|whole| if a % b != 0 && (a < 0) != (b < 0) { whole - 1 } else { whole })
        }
        Operator::Remainder => {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Operator::Power if b < 0 => {
            let float = |number: i64| Value::Integer(number).as_float().unwrap_or(f64::NAN);
            return floats(operator, float(a), float(b));
        }
        Operator::Power => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        _ => return failed("this operator is not known"),
    };
    number.map_or_else(too_large, |number| Ok(Value::Integer(number)))
}

fn floats<'t>(operator: Operator, a: f64, b: f64) -> Outcome<Value<'t>> {
    let divides = matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divides && b == 0.0 {
        return failed("a division by zero");
    }
    Ok(Value::Float(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::FloorDivide => (a / b).floor(),
        Operator::Remainder => a - b * (a / b).floor(),
        Operator::Power => libm::pow(a, b),
        _ => return failed("this operator is not known"),
    }))
}

/// Which of two numbers or texts comes first; nothing beside a number that is none.
pub(super) fn order(budget: &mut Budget, a: &Value<'_>, b: &Value<'_>) -> Outcome<Option<Ordering>> {
    if let (Some(a), Some(b)) = (a.as_text(), b.as_text()) {
        budget.reading(a.len().min(b.len()))?;
        return Ok(Some(a.cmp(b)));
    }
    if let (Some(a), Some(b)) = (a.as_integer(), b.as_integer()) {
        return Ok(Some(a.cmp(&b)));
    }
    match (a.as_float(), b.as_float()) {
        (Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
        _ => failed(format!("{} and {} have no order", a.kind(), b.kind())),
    }
}
