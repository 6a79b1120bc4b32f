//! Chat templates: a conversation becomes the text that a model was trained on.
//!
//! Templates come with models and are programs of strangers. They are rendered without access to anything but the
//! conversation, with limits on their length, on the instructions they run, on how deep they nest and on what they
//! write. Time is an argument.
//!
//! What this module does not do: judge what a template says; `scan` does.

use std::fmt::Write as _;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, ErrorKind, Value};
use serde::Serialize;

use crate::Error;
use crate::error::shown;

/// The bounds within which a template is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the template.
    pub source_bytes: usize,
    /// Most instructions.
    pub instructions: u64,
    /// Most bytes of output.
    pub output_bytes: usize,
    /// How deep calls and inclusions nest.
    pub depth: usize,
}

impl Limits {
    /// What no known template reaches with a conversation of a megabyte.
    pub const ORDINARY: Self =
        Self { source_bytes: 256 << 10, instructions: 2_000_000, output_bytes: 8 << 20, depth: 64 };
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it: `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// Whether the text ends where the assistant begins to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The assistant's turn is opened.
    Prompt,
    /// It is not.
    Conversation,
}

/// What a template is rendered with beside the messages.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The names of the tokens at the beginning and the end of a text.
    pub begin_token: String,
    /// See `begin_token`.
    pub end_token: String,
    /// Seconds since 1970, for templates that write the date.
    pub now_s: i64,
    /// Further variables (`tools`, for one).
    pub variables: serde_json::Map<String, serde_json::Value>,
}

/// A parsed chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    limits: Limits,
}

const NAME: &str = "chat";

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::TemplateBounds`].
    pub fn parse(source: &str, limits: Limits) -> Result<Self, Error> {
        if source.len() > limits.source_bytes {
            return Err(Error::TemplateBounds { limit: limits.source_bytes, unit: "bytes of source" });
        }
        if nesting(source) > limits.depth {
            return Err(Error::TemplateBounds { limit: limits.depth, unit: "nested parts" });
        }
        let mut environment = Environment::empty();
        let refused = |cause: minijinja::Error| template_error(&cause, &limits);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build().map_err(refused)?);
        environment.set_recursion_limit(limits.depth);
        environment.set_fuel(Some(limits.instructions));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        add_builtins(&mut environment);
        let parsed = environment.add_template_owned(NAME, source.to_owned());
        parsed.map_err(refused)?;
        Ok(Self { environment, limits })
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// [`Error::Template`] where the template refuses or fails, [`Error::TemplateBounds`].
    pub fn render(&self, messages: &[Message], ending: Ending, context: &Context) -> Result<String, Error> {
        let now_s = context.now_s;
        let strftime = Value::from_function(move |format: &str| strftime(now_s, format));
        let mut variables: std::collections::BTreeMap<&str, Value> = context
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), Value::from(Serde(value))))
            .collect();
        variables.insert("messages", Value::from(Serde(messages)));
        variables.insert("add_generation_prompt", Value::from(ending == Ending::Prompt));
        variables.insert("bos_token", Value::from(context.begin_token.as_str()));
        variables.insert("eos_token", Value::from(context.end_token.as_str()));
        variables.insert("strftime_now", strftime);
        let failed = |cause: minijinja::Error| template_error(&cause, &self.limits);
        let template = self.environment.get_template(NAME).map_err(failed)?;
        let mut output = Bounded { bytes: Vec::new(), limit: self.limits.output_bytes, full: Fullness::Room };
        let rendered = template.render_captured_to(Value::from_pairs(variables), &mut output).map(|_| ());
        if output.full == Fullness::Full {
            return Err(Error::TemplateBounds { limit: self.limits.output_bytes, unit: "bytes of output" });
        }
        rendered.map_err(failed)?;
        String::from_utf8(output.bytes)
            .map_err(|_| Error::Template { reason: "its output is not text".to_owned() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fullness {
    Room,
    Full,
}

/// Takes so many bytes and then refuses.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    full: Fullness,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.full = Fullness::Full;
            return Err(io::Error::other("the output's limit is reached"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How deep brackets and blocks nest, at most: checked before a recursive parser sees them.
fn nesting(source: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn template_error(cause: &minijinja::Error, limits: &Limits) -> Error {
    if cause.kind() == ErrorKind::OutOfFuel {
        let limit = usize::try_from(limits.instructions).unwrap_or(usize::MAX);
        return Error::TemplateBounds { limit, unit: "instructions" };
    }
    let line = cause.line().map_or_else(String::new, |line| format!(" (line {line})"));
    Error::Template { reason: format!("{}{line}", shown(cause.detail().unwrap_or("it cannot be read"))) }
}

fn add_builtins(environment: &mut Environment<'static>) {
    use minijinja::{filters, functions, tests};
    environment.add_function("raise_exception", |reason: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
    });
    environment.add_function("namespace", functions::namespace);
    environment.add_function("range", functions::range);
    environment.add_function("dict", functions::dict);
    environment.add_filter("tojson", to_json);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("count", filters::length);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("title", filters::title);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("join", filters::join);
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("list", filters::list);
    environment.add_filter("items", filters::items);
    environment.add_filter("dictsort", filters::dictsort);
    environment.add_filter("map", filters::map);
    environment.add_filter("select", filters::select);
    environment.add_filter("reject", filters::reject);
    environment.add_filter("selectattr", filters::selectattr);
    environment.add_filter("rejectattr", filters::rejectattr);
    environment.add_filter("string", |value: Value| value.to_string());
    environment.add_filter("int", filters::int);
    environment.add_filter("safe", |value: Value| value);
    environment.add_filter("reverse", filters::reverse);
    environment.add_filter("sort", filters::sort);
    environment.add_filter("unique", filters::unique);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("string", tests::is_string);
    environment.add_test("number", tests::is_number);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("true", tests::is_true);
    environment.add_test("false", tests::is_false);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("even", tests::is_even);
    environment.add_test("in", tests::is_in);
    environment.add_test("equalto", tests::is_eq);
    environment.add_test("eq", tests::is_eq);
    environment.add_test("ne", tests::is_ne);
}

/// JSON as the transformers library writes it: `", "` and `": "` between parts, nothing escaped for web pages.
#[allow(clippy::needless_pass_by_value, reason = "the form that filters must have")]
fn to_json(value: &Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let failed =
        |_| minijinja::Error::new(ErrorKind::BadSerialization, "the value cannot be written as JSON");
    let json = serde_json::to_value(value).map_err(failed)?;
    let mut out = String::new();
    write_json(&json, indent.map(|width| width.min(16)), 0, &mut out);
    Ok(out)
}

fn write_json(value: &serde_json::Value, indent: Option<usize>, level: usize, out: &mut String) {
    use serde_json::Value as Json;
    let line = |out: &mut String, level: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * level));
        }
    };
    let separator = if indent.is_some() { "," } else { ", " };
    match value {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(separator);
                }
                line(out, level + 1);
                write_json(item, indent, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Json::Object(members) if !members.is_empty() => {
            out.push('{');
            for (at, (name, item)) in members.iter().enumerate() {
                if at > 0 {
                    out.push_str(separator);
                }
                line(out, level + 1);
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push_str(": ");
                write_json(item, indent, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The date and time, in UTC, in the form asked for.
fn strftime(now_s: i64, format: &str) -> Result<String, minijinja::Error> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let refused = || minijinja::Error::new(ErrorKind::InvalidOperation, "the form of the date is not known");
    let (days, seconds) = (now_s.div_euclid(86_400), now_s.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], at: i64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).ok_or_else(refused)
    };
    let (month_name, day_name) = (name(&MONTHS, month - 1)?, name(&DAYS, days.rem_euclid(7))?);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut directive = rest.next().ok_or_else(refused)?;
        let padded = directive != '-';
        if !padded {
            directive = rest.next().ok_or_else(refused)?;
        }
        let number = match directive {
            'Y' => Some((year, 4)),
            'm' => Some((month, 2)),
            'd' => Some((day, 2)),
            'y' => Some((year.rem_euclid(100), 2)),
            'H' => Some((seconds / 3600, 2)),
            'M' => Some((seconds / 60 % 60, 2)),
            'S' => Some((seconds % 60, 2)),
            _ => None,
        };
        let written = match (number, directive) {
            (Some((number, width)), _) if padded => write!(out, "{number:0width$}"),
            (Some((number, _)), _) => write!(out, "{number}"),
            (None, 'B') => write!(out, "{month_name}"),
            (None, 'b') => write!(out, "{}", month_name.get(..3).unwrap_or_default()),
            (None, 'A') => write!(out, "{day_name}"),
            (None, 'a') => write!(out, "{}", day_name.get(..3).unwrap_or_default()),
            (None, '%') => write!(out, "%"),
            _ => return Err(refused()),
        };
        written.map_err(|_| refused())?;
    }
    Ok(out)
}

/// Year, month and day of a day since 1970 (Howard Hinnant, `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests;
