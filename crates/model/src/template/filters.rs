//! Filters: `value | name(arguments)`.

use super::budget::{Outcome, failed};
use super::evaluate::Given;
use super::run::Run;
use super::value::Value;
use super::{arithmetic, methods};

/// Steps that sorting takes for each item: as many as the items of the longest list have bits.
const SORT_STEPS: usize = 32;

impl<'t> Run<'t> {
    pub(super) fn filter(&mut self, name: &str, value: &Value<'t>, given: &Given<'t>) -> Outcome<Value<'t>> {
        match name {
            "length" | "count" => self.length(value),
            "default" | "d" => {
                let missing = match given.argument(1, "boolean") {
                    Some(boolean) if boolean.is_true() => !value.is_true(),
                    _ => matches!(value, Value::Undefined),
                };
                let default = || given.argument(0, "default_value").cloned().unwrap_or(Value::given(""));
                Ok(if missing { default() } else { value.clone() })
            }
            "string" => self.budget.shown(value),
            "safe" => Ok(value.clone()),
            "tojson" => {
                let indent = given.argument(0, "indent").and_then(Value::as_integer);
                let indent = indent.and_then(|width| usize::try_from(width).ok());
                let mut out = String::new();
                self.budget.json(value, indent, 0, &mut out)?;
                self.budget.text(&out)
            }
            "int" | "float" | "abs" | "round" => self.number(name, value, given),
            "trim" | "upper" | "lower" | "title" | "capitalize" | "replace" | "indent" => {
                let text = self.budget.shown(value)?;
                let method = if name == "trim" { "strip" } else { name };
                self.of_text(text.as_text().unwrap_or_default(), method, given)
            }
            "join" => self.join(value, given),
            "first" | "last" | "reverse" if matches!(value, Value::Text(_)) => {
                self.of_characters(name, value)
            }
            "list" | "first" | "last" | "reverse" | "sort" | "unique" | "min" | "max" | "sum" => {
                self.of_items(name, value, given)
            }
            "items" => self.method(value, "items", given),
            "dictsort" => {
                let items = self.method(value, "items", &Given::default())?;
                let items = self.budget.items(&items)?;
                self.sorted(items, &mut |_, item| match item {
                    Value::List(pair) => Ok(pair.items.first().cloned().unwrap_or(Value::Undefined)),
                    _ => Ok(Value::Undefined),
                })
            }
            "map" => self.map(value, given),
            "select" | "reject" => {
                let test = given.positional.first().cloned();
                self.choose(
                    value,
                    &mut |run, item| run.chosen(item, test.as_ref(), given, 1),
                    name == "select",
                )
            }
            "selectattr" | "rejectattr" => {
                let Some(path) = given.positional.first().and_then(Value::as_text) else {
                    return failed(format!("`{name}` takes an attribute"));
                };
                let test = given.positional.get(1).cloned();
                self.choose(
                    value,
                    &mut |run, item| {
                        let item = run.at_path(item, path)?;
                        run.chosen(&item, test.as_ref(), given, 2)
                    },
                    name == "selectattr",
                )
            }
            _ => failed(format!("the filter `{name}` is not known")),
        }
    }

    fn length(&mut self, value: &Value<'t>) -> Outcome<Value<'t>> {
        let length = match value {
            Value::Text(text) => {
                self.budget.reading(text.len())?;
                text.chars().count()
            }
            Value::List(list) => list.items.len(),
            Value::Dict(dict) => dict.entries.len(),
            Value::Undefined => 0,
            _ => return failed(format!("the length of {}", value.kind())),
        };
        Ok(i64::try_from(length).map_or(Value::Undefined, Value::Integer))
    }

    fn number(&mut self, name: &str, value: &Value<'t>, given: &Given<'t>) -> Outcome<Value<'t>> {
        if let Some(text) = value.as_text() {
            self.budget.reading(text.len())?;
        }
        let read = value.as_text().map(str::trim);
        let float = value.as_float().or_else(|| read.and_then(|text| text.parse().ok()));
        let default = || given.argument(0, "default").cloned();
        match (name, value.as_integer(), float) {
            ("int", Some(number), _) => Ok(Value::Integer(number)),
            ("int", None, _) => {
                let whole = read.and_then(|text| text.parse().ok()).or_else(|| float.and_then(truncated));
                Ok(whole.map_or_else(|| default().unwrap_or(Value::Integer(0)), Value::Integer))
            }
            ("float", ..) => Ok(float.map_or_else(|| default().unwrap_or(Value::Float(0.0)), Value::Float)),
            ("abs", Some(number), _) => match number.checked_abs() {
                Some(number) => Ok(Value::Integer(number)),
                None => failed("the number is too large"),
            },
            ("abs", None, Some(number)) => Ok(Value::Float(number.abs())),
            ("round", _, Some(number)) => {
                let places = given.argument(0, "precision").and_then(Value::as_integer).unwrap_or(0);
                let scale = libm::pow(10.0, f64::from(i32::try_from(places.clamp(-300, 300)).unwrap_or(0)));
                Ok(Value::Float(libm::round(number * scale) / scale))
            }
            _ => failed(format!("`{name}` of {}", value.kind())),
        }
    }

    fn join(&mut self, value: &Value<'t>, given: &Given<'t>) -> Outcome<Value<'t>> {
        let separator = given.argument(0, "d").cloned().unwrap_or(Value::given(""));
        let path = given.argument(1, "attribute").cloned();
        let mut text = String::new();
        for (at, item) in self.budget.items(value)?.iter().enumerate() {
            if at > 0 {
                self.budget.write(&separator, &mut text)?;
            }
            match path.as_ref().and_then(Value::as_text) {
                Some(path) => {
                    let item = self.at_path(item, path)?;
                    self.budget.write(&item, &mut text)?;
                }
                None => self.budget.write(item, &mut text)?,
            }
        }
        self.budget.text(&text)
    }

    fn of_characters(&mut self, name: &str, value: &Value<'t>) -> Outcome<Value<'t>> {
        let text = value.as_text().unwrap_or_default();
        self.budget.reading(text.len())?;
        let end = match name {
            "first" => text.chars().next(),
            "last" => text.chars().next_back(),
            _ => {
                self.budget.bytes(text.len())?;
                return self.budget.text(&text.chars().rev().collect::<String>());
            }
        };
        end.map_or(Ok(Value::Undefined), |end| self.budget.text(end.encode_utf8(&mut [0; 4])))
    }

    fn of_items(&mut self, name: &str, value: &Value<'t>, given: &Given<'t>) -> Outcome<Value<'t>> {
        let mut items = self.budget.items(value)?;
        match name {
            "first" => Ok(items.into_iter().next().unwrap_or(Value::Undefined)),
            "last" => Ok(items.pop().unwrap_or(Value::Undefined)),
            "reverse" => {
                items.reverse();
                self.budget.list(items)
            }
            "unique" => {
                let mut kept: Vec<Value<'t>> = Vec::new();
                for item in items {
                    let mut known = false;
                    for other in &kept {
                        known = known || self.budget.equal(other, &item)?;
                    }
                    if !known {
                        kept.push(item);
                    }
                }
                self.budget.list(kept)
            }
            "sum" => {
                let start = given.argument(1, "start").cloned().unwrap_or(Value::Integer(0));
                items.iter().try_fold(start, |sum, item| {
                    arithmetic::combine(&mut self.budget, tensor::jinja::Operator::Add, &sum, item)
                })
            }
            "sort" | "min" | "max" => {
                let place = if name == "sort" { 2 } else { 1 };
                let path = given.argument(place, "attribute").and_then(Value::as_text).map(str::to_owned);
                let sorted = self.sorted(items, &mut |run, item| match &path {
                    Some(path) => run.at_path(item, path),
                    None => Ok(item.clone()),
                })?;
                let mut sorted = self.budget.items(&sorted)?;
                match name {
                    "min" => Ok(sorted.into_iter().next().unwrap_or(Value::Undefined)),
                    "max" => Ok(sorted.pop().unwrap_or(Value::Undefined)),
                    _ => {
                        if given.argument(0, "reverse").is_some_and(Value::is_true) {
                            sorted.reverse();
                        }
                        self.budget.list(sorted)
                    }
                }
            }
            _ => self.budget.list(items),
        }
    }

    /// The items in the order of their keys, which are numbers or texts; texts without regard to case, as in Jinja.
    fn sorted(
        &mut self,
        items: Vec<Value<'t>>,
        key: &mut dyn FnMut(&mut Self, &Value<'t>) -> Outcome<Value<'t>>,
    ) -> Outcome<Value<'t>> {
        self.budget.steps(items.len().saturating_mul(SORT_STEPS))?;
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for item in items {
            let key = key(self, &item)?;
            if let Some(text) = key.as_text() {
                self.budget.reading(text.len().saturating_mul(SORT_STEPS))?;
                self.budget.bytes(text.len().saturating_mul(3))?;
                texts.push((text.to_lowercase(), item));
            } else if let Some(number) = key.as_float() {
                numbers.push((number, item));
            } else {
                return failed(format!("{} has no order", key.kind()));
            }
        }
        if !texts.is_empty() && !numbers.is_empty() {
            return failed("texts and numbers have no order");
        }
        texts.sort_by(|(a, _), (b, _)| a.cmp(b));
        numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let texts = texts.into_iter().map(|(_, item)| item);
        self.budget.list(texts.chain(numbers.into_iter().map(|(_, item)| item)).collect())
    }

    /// An attribute, or one of an attribute, with dots between them.
    fn at_path(&mut self, item: &Value<'t>, path: &str) -> Outcome<Value<'t>> {
        let mut value = item.clone();
        for name in path.split('.') {
            self.budget.steps(1)?;
            value = self.attribute(&value, name)?;
        }
        Ok(value)
    }

    fn map(&mut self, value: &Value<'t>, given: &Given<'t>) -> Outcome<Value<'t>> {
        let named = |name: &str| given.named.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        let items = self.budget.items(value)?;
        let mut mapped = Vec::new();
        if let Some(path) = named("attribute").and_then(Value::as_text) {
            for item in &items {
                let value = self.at_path(item, path)?;
                mapped.push(match (value, named("default")) {
                    (Value::Undefined, Some(default)) => default.clone(),
                    (value, _) => value,
                });
            }
            return self.budget.list(mapped);
        }
        let Some(filter) = given.positional.first().and_then(Value::as_text) else {
            return failed("`map` takes a filter or an attribute");
        };
        let rest = Given {
            positional: given.positional.iter().skip(1).cloned().collect(),
            named: given.named.clone(),
        };
        for item in &items {
            // A filter of a filter: `map('map', …)`.
            mapped.push(self.deeper(|run| run.filter(filter, item, &rest))?);
        }
        self.budget.list(mapped)
    }

    fn choose(
        &mut self,
        value: &Value<'t>,
        holds: &mut dyn FnMut(&mut Self, &Value<'t>) -> Outcome<bool>,
        wanted: bool,
    ) -> Outcome<Value<'t>> {
        let mut kept = Vec::new();
        for item in self.budget.items(value)? {
            if holds(self, &item)? == wanted {
                kept.push(item);
            }
        }
        self.budget.list(kept)
    }

    /// Whether an item passes a test that is given by name, with the arguments from a place on.
    fn chosen(
        &mut self,
        item: &Value<'t>,
        test: Option<&Value<'t>>,
        given: &Given<'t>,
        from: usize,
    ) -> Outcome<bool> {
        let Some(test) = test else { return Ok(item.is_true()) };
        let Some(name) = test.as_text() else { return failed("a test is given by its name") };
        let rest =
            Given { positional: given.positional.iter().skip(from).cloned().collect(), named: Vec::new() };
        self.test(name, item, &rest)
    }

    /// `value is name(arguments)`.
    pub(super) fn test(&mut self, name: &str, value: &Value<'t>, given: &Given<'t>) -> Outcome<bool> {
        use tensor::jinja::Operator;
        let other = given.positional.first();
        let compared = match name {
            "eq" | "equalto" | "==" => Some(Operator::Equal),
            "ne" | "!=" => Some(Operator::Unequal),
            "lt" | "lessthan" | "<" => Some(Operator::Less),
            "le" | "<=" => Some(Operator::LessOrEqual),
            "gt" | "greaterthan" | ">" => Some(Operator::Greater),
            "ge" | ">=" => Some(Operator::GreaterOrEqual),
            "in" => Some(Operator::In),
            _ => None,
        };
        if let Some(operator) = compared {
            let Some(other) = other else { return failed(format!("`{name}` compares with something")) };
            return self.compare(operator, value, other);
        }
        let divided_by = |by: i64| match value.as_integer() {
            Some(number) if by != 0 => Ok(number.checked_rem(by).unwrap_or(0) == 0),
            _ => failed(format!("`{name}` of {}", value.kind())),
        };
        Ok(match name {
            "defined" => !matches!(value, Value::Undefined),
            "undefined" => matches!(value, Value::Undefined),
            "none" => matches!(value, Value::None),
            "string" => matches!(value, Value::Text(_)),
            "number" => value.as_float().is_some(),
            "integer" => matches!(value, Value::Integer(_)),
            "float" => matches!(value, Value::Float(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            "iterable" => {
                matches!(value, Value::Text(_) | Value::List(_) | Value::Dict(_) | Value::Undefined)
            }
            "sequence" => matches!(value, Value::Text(_) | Value::List(_) | Value::Dict(_)),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "callable" => matches!(value, Value::Macro(_) | Value::Builtin(_)),
            "odd" => !divided_by(2)?,
            "even" => divided_by(2)?,
            "divisibleby" => divided_by(other.and_then(Value::as_integer).unwrap_or(0))?,
            "lower" | "upper" => {
                let text = value.as_text().unwrap_or_default();
                self.budget.reading(text.len())?;
                methods::is_cased(text, name == "upper")
            }
            _ => return failed(format!("the test `{name}` is not known")),
        })
    }
}

/// A float without its fraction, where that is an integer at hand.
#[allow(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
fn truncated(number: f64) -> Option<i64> {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    let inside = number.is_finite() && number > -EDGE && number < EDGE;
    inside.then(|| number.trunc() as i64)
}
