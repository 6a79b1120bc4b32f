//! What a rendering may use: steps, memory, levels. Everything that a template makes is charged before it is made.
//!
//! Memory is counted as if nothing were ever given back, so the bound holds for the most that is in use at any time, and
//! what a template copies over and over counts each time.

use std::rc::Rc;

use super::value::{Dict, List, Text, Value};

/// Why a rendering stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The template fails, or refuses; what it says.
    Failed(String),
    /// A bound is reached.
    Bound { limit: usize, unit: &'static str },
}

pub(super) type Outcome<T> = Result<T, Stop>;

/// A failure.
pub(super) fn failed<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(reason.into()))
}

/// Lists in lists, at most.
const HEIGHT_MAX: usize = 160;
/// What a value itself takes in a list.
const VALUE_BYTES: usize = 64;
/// Bytes of text that are gone through in one step.
const STEP_BYTES: usize = 64;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    bytes: usize,
    steps_max: u64,
    bytes_max: usize,
}

impl Budget {
    pub(super) const fn new(steps_max: u64, bytes_max: usize) -> Self {
        Self { steps: steps_max, bytes: bytes_max, steps_max, bytes_max }
    }

    /// Takes steps.
    pub(super) fn steps(&mut self, count: usize) -> Outcome<()> {
        let left = u64::try_from(count).ok().and_then(|count| self.steps.checked_sub(count));
        let limit = usize::try_from(self.steps_max).unwrap_or(usize::MAX);
        self.steps = left.ok_or(Stop::Bound { limit, unit: "instructions" })?;
        Ok(())
    }

    /// Takes the steps of going through so many bytes of text.
    pub(super) fn reading(&mut self, bytes: usize) -> Outcome<()> {
        self.steps(1 + bytes / STEP_BYTES)
    }

    /// Takes memory.
    pub(super) fn bytes(&mut self, count: usize) -> Outcome<()> {
        let left = self.bytes.checked_sub(count);
        self.bytes = left.ok_or(Stop::Bound { limit: self.bytes_max, unit: "bytes of memory" })?;
        Ok(())
    }

    /// Takes the memory of so many values.
    pub(super) fn values(&mut self, count: usize) -> Outcome<()> {
        self.steps(count)?;
        self.bytes(count.saturating_mul(VALUE_BYTES))
    }

    /// Appends to a text under way.
    pub(super) fn push(&mut self, out: &mut String, piece: &str) -> Outcome<()> {
        self.reading(piece.len())?;
        // The text's room grows by doubling.
        self.bytes(piece.len().saturating_mul(2))?;
        out.push_str(piece);
        Ok(())
    }

    /// A text, of which there may be one copy more.
    pub(super) fn text<'t>(&mut self, text: &str) -> Outcome<Value<'t>> {
        self.reading(text.len())?;
        self.bytes(text.len().saturating_add(VALUE_BYTES))?;
        Ok(Value::Text(Text::Made(Rc::from(text))))
    }

    /// A list of values that are charged already or belong to another.
    pub(super) fn list<'t>(&mut self, items: Vec<Value<'t>>) -> Outcome<Value<'t>> {
        self.sequence(items, false)
    }

    pub(super) fn sequence<'t>(&mut self, items: Vec<Value<'t>>, tuple: bool) -> Outcome<Value<'t>> {
        self.values(items.len().saturating_add(1))?;
        let height = lower(items.iter())?;
        Ok(Value::List(Rc::new(List { items, height, tuple })))
    }

    pub(super) fn dict<'t>(&mut self, entries: Vec<(Value<'t>, Value<'t>)>) -> Outcome<Value<'t>> {
        self.values(entries.len().saturating_mul(2).saturating_add(1))?;
        let height = lower(entries.iter().map(|(_, value)| value))?;
        Ok(Value::Dict(Rc::new(Dict { entries, height })))
    }
}

/// The height of what holds these.
fn lower<'v, 't: 'v>(values: impl Iterator<Item = &'v Value<'t>>) -> Outcome<usize> {
    let height = 1 + values.map(Value::height).max().unwrap_or(0);
    if height > HEIGHT_MAX {
        return Err(Stop::Bound { limit: HEIGHT_MAX, unit: "lists in lists" });
    }
    Ok(height)
}
