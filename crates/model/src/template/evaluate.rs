//! Expressions: what each amounts to.

use std::collections::BTreeMap;

use tensor::jinja::{Arguments, Constant, Expression, ExpressionKind, Operator};

use super::budget::{Outcome, failed};
use super::run::Run;
use super::value::{Builtin, Turn, Value};
use super::{arithmetic, date};

/// Most numbers that `range` answers, as in Jinja's sandbox.
const RANGE_MAX: usize = 100_000;

/// What a call, a filter or a test is given.
#[derive(Debug, Default)]
pub(super) struct Given<'t> {
    pub(super) positional: Vec<Value<'t>>,
    pub(super) named: Vec<(String, Value<'t>)>,
}

impl<'t> Given<'t> {
    /// An argument by its place or its name.
    pub(super) fn argument(&self, place: usize, name: &str) -> Option<&Value<'t>> {
        let by_name = || self.named.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        self.positional.get(place).or_else(by_name)
    }
}

impl<'t> Run<'t> {
    pub(super) fn evaluate(&mut self, expression: &'t Expression) -> Outcome<Value<'t>> {
        self.budget.steps(1)?;
        match &expression.kind {
            ExpressionKind::Constant(constant) => Ok(match constant {
                Constant::Text(text) => Value::given(text),
                Constant::Integer(number) => match i64::try_from(*number) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => return failed("the number is too large"),
                },
                Constant::Float(number) => Value::Float(*number),
                Constant::Bool(value) => Value::Bool(*value),
                Constant::None => Value::None,
            }),
            ExpressionKind::Name(name) => Ok(self.lookup(name)),
            _ => self.deeper(|run| run.compound(expression)),
        }
    }

    fn compound(&mut self, expression: &'t Expression) -> Outcome<Value<'t>> {
        match &expression.kind {
            ExpressionKind::Attribute { of, name } => {
                let of = self.evaluate(of)?;
                self.attribute(&of, name)
            }
            ExpressionKind::Subscript { of, index } => {
                let of = self.evaluate(of)?;
                self.subscript(&of, index)
            }
            ExpressionKind::Call { callee, arguments } => self.call(callee, arguments),
            ExpressionKind::Filter { of, name, arguments } => {
                let Some(of) = of else { return failed("a filter of nothing") };
                let value = self.evaluate(of)?;
                let given = self.given(arguments)?;
                self.filter(name, &value, &given)
            }
            ExpressionKind::Test { of, name, arguments, negated } => {
                let value = self.evaluate(of)?;
                let given = self.given(arguments)?;
                Ok(Value::Bool(self.test(name, &value, &given)? != *negated))
            }
            ExpressionKind::Operation { first, rest } => self.operation(first, rest),
            ExpressionKind::Not(of) => Ok(Value::Bool(!self.evaluate(of)?.is_true())),
            ExpressionKind::Negative(of) => arithmetic::negative(&self.evaluate(of)?),
            ExpressionKind::Positive(of) => arithmetic::positive(&self.evaluate(of)?),
            ExpressionKind::List(items) => {
                let items = items.iter().map(|item| self.evaluate(item)).collect::<Outcome<_>>()?;
                self.budget.list(items)
            }
            ExpressionKind::Tuple(items) => {
                let items = items.iter().map(|item| self.evaluate(item)).collect::<Outcome<_>>()?;
                self.budget.sequence(items, true)
            }
            ExpressionKind::Dict(entries) => {
                let mut pairs = Vec::new();
                for (key, value) in entries {
                    let (key, value) = (self.evaluate(key)?, self.evaluate(value)?);
                    self.insert(&mut pairs, key, value)?;
                }
                self.budget.dict(pairs)
            }
            ExpressionKind::Conditional { then, test, otherwise } => {
                if self.evaluate(test)?.is_true() {
                    return self.evaluate(then);
                }
                otherwise.as_ref().map_or(Ok(Value::Undefined), |otherwise| self.evaluate(otherwise))
            }
            _ => failed("this has no value"),
        }
    }

    /// Puts an entry where one of the same key stands, or at the end.
    fn insert(
        &mut self,
        entries: &mut Vec<(Value<'t>, Value<'t>)>,
        key: Value<'t>,
        value: Value<'t>,
    ) -> Outcome<()> {
        for (name, old) in entries.iter_mut() {
            if self.budget.equal(name, &key)? {
                *old = value;
                return Ok(());
            }
        }
        entries.push((key, value));
        Ok(())
    }

    pub(super) fn given(&mut self, arguments: &'t Arguments) -> Outcome<Given<'t>> {
        if !arguments.spread.is_empty() {
            return failed("arguments from a list or a dict are not supported");
        }
        let positional =
            arguments.positional.iter().map(|value| self.evaluate(value)).collect::<Outcome<_>>()?;
        let mut named = Vec::new();
        for (name, value) in &arguments.named {
            self.budget.bytes(name.len())?;
            named.push((name.clone(), self.evaluate(value)?));
        }
        Ok(Given { positional, named })
    }

    fn operation(&mut self, first: &'t Expression, rest: &'t [(Operator, Expression)]) -> Outcome<Value<'t>> {
        let mut left = self.evaluate(first)?;
        for (at, (operator, operand)) in rest.iter().enumerate() {
            match operator {
                Operator::Or if left.is_true() => return Ok(left),
                Operator::And if !left.is_true() => return Ok(left),
                Operator::Or | Operator::And => left = self.evaluate(operand)?,
                Operator::Equal
                | Operator::Unequal
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::In
                | Operator::NotIn => {
                    // A chain holds where each of its links does.
                    let right = self.evaluate(operand)?;
                    if !self.compare(*operator, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = if at + 1 == rest.len() { Value::Bool(true) } else { right };
                }
                _ => {
                    let right = self.evaluate(operand)?;
                    left = arithmetic::combine(&mut self.budget, *operator, &left, &right)?;
                }
            }
        }
        Ok(left)
    }

    pub(super) fn compare(&mut self, operator: Operator, a: &Value<'t>, b: &Value<'t>) -> Outcome<bool> {
        Ok(match operator {
            Operator::Equal => self.budget.equal(a, b)?,
            Operator::Unequal => !self.budget.equal(a, b)?,
            Operator::In => self.contains(b, a)?,
            Operator::NotIn => !self.contains(b, a)?,
            _ => {
                let order = arithmetic::order(&mut self.budget, a, b)?;
                match operator {
                    Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                    Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
                    Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
                    _ => order.is_some_and(std::cmp::Ordering::is_ge),
                }
            }
        })
    }

    pub(super) fn contains(&mut self, of: &Value<'t>, item: &Value<'t>) -> Outcome<bool> {
        match of {
            Value::Text(text) => match item.as_text() {
                Some(item) => {
                    self.budget.reading(text.len())?;
                    Ok(text.contains(item))
                }
                None => failed(format!("{} in a text", item.kind())),
            },
            Value::List(list) => {
                for other in &list.items {
                    if self.budget.equal(other, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Dict(dict) => Ok(self.budget.member(dict, item)?.is_some()),
            Value::Undefined => Ok(false),
            _ => failed(format!("nothing is in {}", of.kind())),
        }
    }

    pub(super) fn attribute(&mut self, of: &Value<'t>, name: &str) -> Outcome<Value<'t>> {
        match of {
            Value::Undefined => failed(format!("`{name}` of an undefined value")),
            Value::Dict(dict) => {
                Ok(self.budget.member(dict, &Value::given(name))?.unwrap_or(Value::Undefined))
            }
            Value::Namespace(at) => {
                let found = self.namespaces.get(*at).and_then(|namespace| namespace.get(name));
                Ok(found.cloned().unwrap_or(Value::Undefined))
            }
            Value::Loop(turn) => Ok(of_loop(turn, name)),
            _ if name.starts_with('_') => failed(format!("`{name}` is not safe to look at")),
            _ => Ok(Value::Undefined),
        }
    }

    fn subscript(&mut self, of: &Value<'t>, index: &'t Expression) -> Outcome<Value<'t>> {
        if let ExpressionKind::Slice(parts) = &index.kind {
            let parts = parts
                .iter()
                .map(|part| part.as_ref().map_or(Ok(Value::None), |part| self.evaluate(part)))
                .collect::<Outcome<Vec<_>>>()?;
            return self.slice(of, &parts);
        }
        let index = self.evaluate(index)?;
        match (of, &index) {
            (Value::Dict(dict), _) => Ok(self.budget.member(dict, &index)?.unwrap_or(Value::Undefined)),
            (Value::List(list), _) if index.as_integer().is_some() => {
                let at = index.as_integer().and_then(|at| place(at, list.items.len()));
                Ok(at.and_then(|at| list.items.get(at)).cloned().unwrap_or(Value::Undefined))
            }
            (Value::Text(text), _) if index.as_integer().is_some() => {
                self.budget.reading(text.len())?;
                let at = index.as_integer().and_then(|at| place(at, text.chars().count()));
                match at.and_then(|at| text.chars().nth(at)) {
                    Some(character) => self.budget.text(character.encode_utf8(&mut [0; 4])),
                    None => Ok(Value::Undefined),
                }
            }
            (_, Value::Text(name)) => self.attribute(of, name),
            (Value::Undefined, _) => failed("an item of an undefined value"),
            _ => Ok(Value::Undefined),
        }
    }

    fn slice(&mut self, of: &Value<'t>, parts: &[Value<'t>]) -> Outcome<Value<'t>> {
        let bound = |at: usize| match parts.get(at) {
            None | Some(Value::None) => Ok(None),
            Some(part) => part.as_integer().map(Some).ok_or("a slice goes from integer to integer"),
        };
        let (Ok(begin), Ok(end), Ok(step)) = (bound(0), bound(1), bound(2)) else {
            return failed("a slice goes from integer to integer");
        };
        let step = step.unwrap_or(1);
        if step == 0 {
            return failed("a slice in steps of zero");
        }
        match of {
            Value::List(list) => {
                let items: Vec<Value<'t>> = steps((begin, end, step), list.items.len())
                    .filter_map(|at| list.items.get(at).cloned())
                    .collect();
                self.budget.sequence(items, list.tuple)
            }
            Value::Text(text) => {
                self.budget.reading(text.len().saturating_mul(4))?;
                // A character takes four bytes in a list of them.
                self.budget.bytes(text.len().saturating_mul(8))?;
                let characters: Vec<char> = text.chars().collect();
                let cut: String =
                    steps((begin, end, step), characters.len()).filter_map(|at| characters.get(at)).collect();
                self.budget.text(&cut)
            }
            Value::Undefined => Ok(Value::Undefined),
            _ => failed(format!("a slice of {}", of.kind())),
        }
    }

    fn call(&mut self, callee: &'t Expression, arguments: &'t Arguments) -> Outcome<Value<'t>> {
        let called = if let ExpressionKind::Attribute { of, name } = &callee.kind {
            let of = self.evaluate(of)?;
            let own = match &of {
                Value::Dict(_) | Value::Namespace(_) => self.attribute(&of, name)?,
                _ => Value::Undefined,
            };
            if !matches!(own, Value::Macro(_) | Value::Builtin(_)) {
                let given = self.given(arguments)?;
                return self.method(&of, name, &given);
            }
            own
        } else {
            self.evaluate(callee)?
        };
        let given = self.given(arguments)?;
        match called {
            Value::Macro(called) => self.call_macro(called, given),
            Value::Builtin(builtin) => self.builtin(builtin, given),
            Value::Undefined => match callee.name() {
                Some(name) => failed(format!("`{name}` is not defined")),
                None => failed("what is called is not defined"),
            },
            other => failed(format!("{} cannot be called", other.kind())),
        }
    }

    fn builtin(&mut self, builtin: Builtin, given: Given<'t>) -> Outcome<Value<'t>> {
        match builtin {
            Builtin::RaiseException => {
                let mut reason = String::new();
                if let Some(value) = given.argument(0, "message") {
                    self.budget.write(value, &mut reason)?;
                }
                failed(reason)
            }
            Builtin::Namespace | Builtin::Dict => {
                let mut entries: Vec<(Value<'t>, Value<'t>)> = match given.positional.first() {
                    None => Vec::new(),
                    Some(Value::Dict(dict)) => {
                        self.budget.values(dict.entries.len())?;
                        dict.entries.clone()
                    }
                    Some(other) => return failed(format!("a dict from {}", other.kind())),
                };
                for (name, value) in given.named {
                    let name = self.budget.text(&name)?;
                    self.insert(&mut entries, name, value)?;
                }
                if builtin == Builtin::Dict {
                    return self.budget.dict(entries);
                }
                self.budget.values(entries.len().saturating_mul(2).saturating_add(2))?;
                let mut namespace = BTreeMap::new();
                for (name, value) in entries {
                    match name.as_text() {
                        Some(name) => namespace.insert(name.to_owned(), value),
                        None => return failed("a name must be a text"),
                    };
                }
                self.namespaces.push(namespace);
                Ok(Value::Namespace(self.namespaces.len() - 1))
            }
            Builtin::Range => {
                let numbers: Option<Vec<i64>> = given.positional.iter().map(Value::as_integer).collect();
                let (begin, end, step) = match numbers.as_deref() {
                    Some([end]) => (0, *end, 1),
                    Some([begin, end]) => (*begin, *end, 1),
                    Some([begin, end, step]) if *step != 0 => (*begin, *end, *step),
                    _ => return failed("`range` takes one to three integers"),
                };
                let (low, high) = if step > 0 { (begin, end) } else { (end, begin) };
                let count = i128::from(high) - i128::from(low);
                let count =
                    (count.max(0) + i128::from(step.unsigned_abs()) - 1) / i128::from(step.unsigned_abs());
                let count = usize::try_from(count).ok().filter(|count| *count <= RANGE_MAX);
                let Some(count) = count else { return failed(format!("a range of more than {RANGE_MAX}")) };
                self.budget.values(count)?;
                let numbers = std::iter::successors(Some(begin), |number| number.checked_add(step));
                self.budget.list(numbers.take(count).map(Value::Integer).collect())
            }
            Builtin::StrftimeNow => {
                let Some(form) = given.argument(0, "format").and_then(Value::as_text) else {
                    return failed("`strftime_now` takes a text");
                };
                // The longest name of a month for two characters.
                self.budget.bytes(form.len().saturating_mul(8))?;
                match date::strftime(self.now_s, form) {
                    Some(text) => self.budget.text(&text),
                    None => failed("the form of the date is not known"),
                }
            }
        }
    }
}

/// What `loop` tells of its turn.
fn of_loop<'t>(turn: &Turn<'t>, name: &str) -> Value<'t> {
    let length = turn.items.items.len();
    let whole = |number: usize| i64::try_from(number).map_or(Value::Undefined, Value::Integer);
    let item = |at: Option<usize>| at.and_then(|at| turn.items.items.get(at)).cloned();
    match name {
        "index" => whole(turn.at + 1),
        "index0" => whole(turn.at),
        "revindex" => whole(length - turn.at),
        "revindex0" => whole(length - turn.at - 1),
        "first" => Value::Bool(turn.at == 0),
        "last" => Value::Bool(turn.at + 1 == length),
        "length" => whole(length),
        // Counts calls of recursive loops, which there are none of.
        "depth" => Value::Integer(1),
        "depth0" => Value::Integer(0),
        "previtem" => item(turn.at.checked_sub(1)).unwrap_or(Value::Undefined),
        "nextitem" => item(Some(turn.at + 1)).unwrap_or(Value::Undefined),
        _ => Value::Undefined,
    }
}

/// Where an index points, from the end where it is negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(at).ok()
}

/// The places of a slice, as Python takes them.
fn steps((begin, end, step): (Option<i64>, Option<i64>, i64), length: usize) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(low, high);
    let first = begin.map_or(if step > 0 { low } else { high }, clamp);
    let last = end.map_or(if step > 0 { high } else { low }, clamp);
    std::iter::successors(Some(first), move |at| at.checked_add(step))
        .take_while(move |at| if step > 0 { *at < last } else { *at > last })
        .filter_map(|at| usize::try_from(at).ok())
}
