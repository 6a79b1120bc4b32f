//! Statements: a template is gone through node by node.

use std::collections::BTreeMap;
use std::rc::Rc;

use tensor::jinja::{Expression, ExpressionKind, Node, NodeKind};

use super::budget::{Budget, Outcome, Stop, failed};
use super::evaluate::Given;
use super::value::{Builtin, List, Macro, Turn, Value};

/// Levels of statements, expressions and macros in each other, at most: they cost stack.
const LEVELS_MAX: usize = 192;
/// Names of the conversation, and of the template itself: what a macro sees beside its own.
const OUTER_FRAMES: usize = 2;

/// Where a body's end leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

/// A rendering under way.
pub(super) struct Run<'t> {
    pub(super) budget: Budget,
    /// Names, the innermost last.
    frames: Vec<BTreeMap<&'t str, Value<'t>>>,
    pub(super) namespaces: Vec<BTreeMap<String, Value<'t>>>,
    /// The text that is written, and those of the blocks that are caught, the innermost last.
    output: String,
    caught: Vec<String>,
    output_max: usize,
    macros: usize,
    macros_max: usize,
    levels: usize,
    /// Where the statement at hand stands.
    pub(super) at: usize,
    pub(super) now_s: i64,
}

impl<'t> Run<'t> {
    pub(super) fn new(budget: Budget, output_max: usize, macros_max: usize, now_s: i64) -> Self {
        let builtins = Builtin::ALL.iter().map(|(name, builtin)| (*name, Value::Builtin(*builtin))).collect();
        Self {
            budget,
            frames: vec![builtins, BTreeMap::new()],
            namespaces: Vec::new(),
            output: String::new(),
            caught: Vec::new(),
            output_max,
            macros: 0,
            macros_max,
            levels: 0,
            at: 0,
            now_s,
        }
    }

    /// Gives a name to a value of the conversation.
    pub(super) fn name(&mut self, name: &'t str, value: Value<'t>) {
        if let Some(frame) = self.frames.first_mut() {
            frame.insert(name, value);
        }
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.output
    }

    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.levels >= LEVELS_MAX {
            return Err(Stop::Bound { limit: LEVELS_MAX, unit: "levels" });
        }
        self.levels += 1;
        let result = inner(self);
        self.levels -= 1;
        result
    }

    pub(super) fn lookup(&self, name: &str) -> Value<'t> {
        let found = self.frames.iter().rev().find_map(|frame| frame.get(name));
        found.cloned().unwrap_or(Value::Undefined)
    }

    fn bind_name(&mut self, name: &'t str, value: Value<'t>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.insert(name, value);
        }
    }

    fn scoped<T>(&mut self, inner: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.frames.push(BTreeMap::new());
        let result = inner(self)?;
        self.frames.pop();
        Ok(result)
    }

    fn write(&mut self, text: &str) -> Outcome<()> {
        if let Some(caught) = self.caught.last_mut() {
            return self.budget.push(caught, text);
        }
        self.budget.reading(text.len())?;
        if self.output.len() + text.len() > self.output_max {
            return Err(Stop::Bound { limit: self.output_max, unit: "bytes of output" });
        }
        self.output.push_str(text);
        Ok(())
    }

    /// The text that a body writes.
    fn caught(&mut self, body: &'t [Node]) -> Outcome<Value<'t>> {
        self.caught.push(String::new());
        self.scoped(|run| run.nodes(body))?;
        let text = self.caught.pop().unwrap_or_default();
        self.budget.text(&text)
    }

    pub(super) fn nodes(&mut self, nodes: &'t [Node]) -> Outcome<Flow> {
        self.deeper(|run| {
            for node in nodes {
                run.budget.steps(1)?;
                run.at = node.span.begin;
                let flow = run.node(node)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn node(&mut self, node: &'t Node) -> Outcome<Flow> {
        match &node.kind {
            NodeKind::Text(text) => self.write(text)?,
            NodeKind::Output(expression) => self.emit(expression)?,
            NodeKind::If(branches) => {
                for branch in branches {
                    let holds = match &branch.test {
                        Some(test) => self.evaluate(test)?.is_true(),
                        None => true,
                    };
                    if holds {
                        return self.nodes(&branch.body);
                    }
                }
            }
            NodeKind::For { target, iterable, filter, recursive, body, otherwise } => {
                if *recursive {
                    return failed("recursive loops are not supported");
                }
                return self.repeat((target, iterable, filter.as_ref()), body, otherwise);
            }
            NodeKind::Set { target, value } => {
                let value = self.evaluate(value)?;
                self.bind(target, value)?;
            }
            NodeKind::SetBlock { target, body } => {
                let text = self.caught(body)?;
                let (target, value) = self.filtered(target, text)?;
                match target {
                    Some(target) => self.bind(target, value)?,
                    None => return failed("nothing is set"),
                }
            }
            NodeKind::Macro { name, parameters, called, body } => {
                if called.is_some() {
                    return failed("call blocks are not supported");
                }
                self.bind_name(name, Value::Macro(Macro { name, parameters, body }));
            }
            NodeKind::Body { statement, expressions, body } => {
                return self.body(statement, expressions, body);
            }
            NodeKind::Load { statement, .. } => {
                return failed(format!("`{statement}` is not allowed: there is no other template"));
            }
            NodeKind::Do(expression) => {
                self.evaluate(expression)?;
            }
            NodeKind::Word(word) => match word.as_str() {
                "break" => return Ok(Flow::Break),
                "continue" => return Ok(Flow::Continue),
                _ => {}
            },
        }
        Ok(Flow::On)
    }

    fn emit(&mut self, expression: &'t Expression) -> Outcome<()> {
        match self.evaluate(expression)? {
            Value::Text(text) => self.write(&text),
            value => {
                let mut text = String::new();
                self.budget.write(&value, &mut text)?;
                self.write(&text)
            }
        }
    }

    fn body(&mut self, statement: &str, expressions: &'t [Expression], body: &'t [Node]) -> Outcome<Flow> {
        match (statement, expressions) {
            ("filter", [filter]) => {
                let text = self.caught(body)?;
                let (_, value) = self.filtered(filter, text)?;
                let mut text = String::new();
                self.budget.write(&value, &mut text)?;
                self.write(&text)?;
                Ok(Flow::On)
            }
            ("with", _) => {
                let mut bound = Vec::new();
                for pair in expressions.chunks_exact(2) {
                    if let [target, value] = pair {
                        bound.push((target, self.evaluate(value)?));
                    }
                }
                self.scoped(|run| {
                    for (target, value) in bound {
                        run.bind(target, value)?;
                    }
                    run.nodes(body)
                })
            }
            // Nothing is escaped here, and there is no other template that a block could be replaced by.
            _ => self.scoped(|run| run.nodes(body)),
        }
    }

    /// Applies the filters around a block's text; answers also what they stand around, if there is anything.
    fn filtered(
        &mut self,
        expression: &'t Expression,
        text: Value<'t>,
    ) -> Outcome<(Option<&'t Expression>, Value<'t>)> {
        match &expression.kind {
            ExpressionKind::Filter { of, name, arguments } => {
                let (target, value) = match of {
                    Some(of) => self.deeper(|run| run.filtered(of, text))?,
                    None => (None, text),
                };
                let given = self.given(arguments)?;
                Ok((target, self.filter(name, &value, &given)?))
            }
            _ => Ok((Some(expression), text)),
        }
    }

    fn repeat(
        &mut self,
        (target, iterable, filter): (&'t Expression, &'t Expression, Option<&'t Expression>),
        body: &'t [Node],
        otherwise: &'t [Node],
    ) -> Outcome<Flow> {
        let all = self.evaluate(iterable)?;
        let mut items = self.budget.items(&all)?;
        if let Some(filter) = filter {
            let mut kept = Vec::new();
            for item in items {
                let holds = self.scoped(|run| {
                    run.bind(target, item.clone())?;
                    Ok(run.evaluate(filter)?.is_true())
                })?;
                if holds {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.scoped(|run| run.nodes(otherwise));
        }
        let height = items.iter().map(Value::height).max().unwrap_or(0);
        let items = Rc::new(List { items, height, tuple: false });
        for (at, item) in items.items.iter().enumerate() {
            self.budget.values(1)?;
            let turn = Turn { at, items: Rc::clone(&items) };
            let flow = self.scoped(|run| {
                run.bind_name("loop", Value::Loop(Rc::new(turn)));
                run.bind(target, item.clone())?;
                run.nodes(body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Gives names to a value and its parts.
    fn bind(&mut self, target: &'t Expression, value: Value<'t>) -> Outcome<()> {
        match &target.kind {
            ExpressionKind::Name(name) => {
                self.bind_name(name, value);
                Ok(())
            }
            ExpressionKind::Tuple(targets) | ExpressionKind::List(targets) => {
                let values = self.budget.items(&value)?;
                if values.len() != targets.len() {
                    return failed(format!("{} values for {} names", values.len(), targets.len()));
                }
                targets.iter().zip(values).try_for_each(|(target, value)| self.bind(target, value))
            }
            ExpressionKind::Attribute { of, name } => match self.evaluate(of)? {
                Value::Namespace(at) => {
                    self.budget.bytes(name.len())?;
                    self.budget.values(1)?;
                    if let Some(namespace) = self.namespaces.get_mut(at) {
                        namespace.insert(name.clone(), value);
                    }
                    Ok(())
                }
                other => failed(format!("an attribute of {} cannot be set", other.kind())),
            },
            _ => failed("this cannot be set"),
        }
    }

    /// Calls a macro: the text that it writes.
    pub(super) fn call_macro(&mut self, called: Macro<'t>, given: Given<'t>) -> Outcome<Value<'t>> {
        if self.macros >= self.macros_max {
            return Err(Stop::Bound { limit: self.macros_max, unit: "macros in each other" });
        }
        if given.positional.len() > called.parameters.len() {
            return failed(format!("too many arguments for the macro `{}`", called.name));
        }
        let hidden = self.frames.split_off(OUTER_FRAMES.min(self.frames.len()));
        self.frames.push(BTreeMap::new());
        self.macros += 1;
        let mut named = given.named;
        let mut positional = given.positional.into_iter();
        for parameter in called.parameters {
            let by_name = named.iter().position(|(name, _)| *name == parameter.name);
            let value = match (positional.next(), by_name, &parameter.default) {
                (Some(value), None, _) => value,
                (None, Some(at), _) => named.swap_remove(at).1,
                (None, None, Some(default)) => self.evaluate(default)?,
                (None, None, None) => Value::Undefined,
                (Some(_), Some(_), _) => {
                    return failed(format!(
                        "the macro `{}` is given `{}` twice",
                        called.name, parameter.name
                    ));
                }
            };
            self.bind_name(&parameter.name, value);
        }
        if let Some((name, _)) = named.first() {
            return failed(format!("the macro `{}` has no parameter `{name}`", called.name));
        }
        let text = self.caught(called.body)?;
        self.macros -= 1;
        self.frames.truncate(OUTER_FRAMES);
        self.frames.extend(hidden);
        Ok(text)
    }
}
