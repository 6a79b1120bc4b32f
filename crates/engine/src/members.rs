//! Reading members of a request, with refusals that name them.
//!
//! `null` counts as absent, as in OpenAI's interface. Members that nobody asks for are ignored.

use serde_json::{Map, Value};

use crate::Refusal;

/// The members of a request.
pub(crate) struct Members<'a>(pub(crate) &'a Map<String, Value>);

/// A refusal of a member.
pub(crate) fn wrong(member: &str, expected: &str) -> Refusal {
    Refusal::Member { member: member.to_owned(), expected: expected.to_owned() }
}

/// A refusal of what is not done.
pub(crate) fn unsupported(member: &str, reason: &'static str) -> Refusal {
    Refusal::Unsupported { member: member.to_owned(), reason }
}

impl<'a> Members<'a> {
    /// A member that is there and not `null`.
    pub(crate) fn value(&self, member: &str) -> Option<&'a Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    /// A text.
    pub(crate) fn text(&self, member: &str) -> Result<Option<&'a str>, Refusal> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| wrong(member, "a string"));
        self.value(member).map(text).transpose()
    }

    /// A truth value; absent is false.
    pub(crate) fn truth(&self, member: &str) -> Result<bool, Refusal> {
        let truth = |value: &Value| value.as_bool().ok_or_else(|| wrong(member, "true or false"));
        self.value(member).map_or(Ok(false), truth)
    }

    /// A number in a range.
    pub(crate) fn number(&self, member: &str, low: f64, high: f64) -> Result<Option<f64>, Refusal> {
        let number = |value: &Value| {
            let number = value.as_f64().filter(|number| (low..=high).contains(number));
            number.ok_or_else(|| wrong(member, &format!("a number from {low} to {high}")))
        };
        self.value(member).map(number).transpose()
    }

    /// A whole number in a range.
    pub(crate) fn count(&self, member: &str, low: usize, high: usize) -> Result<Option<usize>, Refusal> {
        let count = |value: &Value| {
            let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| (low..=high).contains(count));
            count.ok_or_else(|| wrong(member, &format!("a whole number from {low} to {high}")))
        };
        self.value(member).map(count).transpose()
    }
}

/// When a member that is not supported does no harm.
#[derive(Clone, Copy)]
enum Harmless {
    /// Where it is empty: an array or object without members, or an empty string.
    Empty,
    /// Where it is this number.
    Number(f64),
    /// Where it is this text.
    Text(&'static str),
    /// Where it is false.
    False,
}

/// Members that ask for something else than would be done, unless they have their neutral value.
const UNSUPPORTED: &[(&str, Harmless, &str)] = &[
    ("n", Harmless::Number(1.0), "one answer is given for a request"),
    ("best_of", Harmless::Number(1.0), "one answer is given for a request"),
    ("tools", Harmless::Empty, "models are given no tools"),
    ("tool_choice", Harmless::Text("none"), "models are given no tools"),
    ("functions", Harmless::Empty, "models are given no functions"),
    ("function_call", Harmless::Text("none"), "models are given no functions"),
    ("audio", Harmless::Empty, "answers are text"),
    ("prediction", Harmless::Empty, "answers are not predicted"),
    ("web_search_options", Harmless::Empty, "nothing is searched"),
    ("suffix", Harmless::Empty, "texts are continued at their end alone"),
    ("logit_bias", Harmless::Empty, "logits are not changed"),
    ("presence_penalty", Harmless::Number(0.0), "repetitions are not penalised"),
    ("frequency_penalty", Harmless::Number(0.0), "repetitions are not penalised"),
    ("repetition_penalty", Harmless::Number(1.0), "repetitions are not penalised"),
    ("min_p", Harmless::Number(0.0), "sampling knows temperature, top_p and top_k"),
    ("store", Harmless::False, "nothing is stored"),
    ("use_beam_search", Harmless::False, "one answer is followed at a time"),
    ("ignore_eos", Harmless::False, "the model may always end its answer"),
];

impl Members<'_> {
    /// Refuses, by name, what would be answered otherwise than it was asked.
    pub(crate) fn refuse_unsupported(&self) -> Result<(), Refusal> {
        for &(member, harmless, reason) in UNSUPPORTED {
            let Some(value) = self.value(member) else { continue };
            let neutral = match harmless {
                Harmless::Empty => {
                    value.as_array().is_some_and(Vec::is_empty)
                        || value.as_object().is_some_and(Map::is_empty)
                        || value.as_str().is_some_and(str::is_empty)
                }
                Harmless::Number(number) => {
                    value.as_f64().is_some_and(|value| value.total_cmp(&number).is_eq())
                }
                Harmless::Text(text) => value.as_str() == Some(text),
                Harmless::False => value.as_bool() == Some(false),
            };
            if !neutral {
                return Err(unsupported(member, reason));
            }
        }
        let format = self.value("response_format").map(|format| format.get("type").and_then(Value::as_str));
        if format.is_some_and(|kind| kind != Some("text")) {
            return Err(unsupported("response_format", "answers are plain text"));
        }
        let modalities = self.value("modalities").and_then(Value::as_array);
        if modalities.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() != Some("text"))) {
            return Err(unsupported("modalities", "answers are text"));
        }
        Ok(())
    }
}
