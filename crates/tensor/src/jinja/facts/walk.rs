//! The walk over a template's tree that collects its facts.

mod expressions;

use std::collections::{BTreeMap, BTreeSet};

use super::super::ast::{Constant, Expression, ExpressionKind as Kind, Node, NodeKind, Operator, Span};
use super::super::fold::{Constants, Folded, fold};
use super::bindings::{bodies, bound};
use super::subjects::subjects_of;
use super::{Condition, Emission, Facts, Load, Loop, Subject};

/// Facts of one kind that are kept.
const FACTS_MAX: usize = 200_000;
/// Bytes of text that are kept, as constants and as emissions.
const BYTES_MAX: usize = 16 << 20;
/// Conditions of one text that are kept.
const CONDITIONS_MAX: usize = 64;

pub(super) struct Walk {
    constants: Constants,
    facts: Facts,
    /// What the template itself binds.
    own: BTreeSet<String>,
    macros: BTreeSet<String>,
    /// Which macros each macro calls.
    called: BTreeMap<String, BTreeSet<String>>,
    inside: Vec<String>,
    conditions: Vec<usize>,
    loops: usize,
    into: Option<String>,
    bytes: usize,
}

impl Walk {
    pub(super) fn new(constants: Constants, nodes: &[Node]) -> Self {
        let mut own = BTreeSet::new();
        let mut macros = BTreeSet::new();
        let mut stack: Vec<&Node> = nodes.iter().collect();
        while let Some(node) = stack.pop() {
            match &node.kind {
                NodeKind::Set { target, .. }
                | NodeKind::SetBlock { target, .. }
                | NodeKind::For { target, .. } => own.extend(bound(target)),
                NodeKind::Macro { name, parameters, .. } => {
                    macros.insert(name.clone());
                    own.extend(parameters.iter().map(|parameter| parameter.name.clone()));
                }
                NodeKind::Body { statement, expressions, .. } if statement == "with" => {
                    own.extend(expressions.iter().step_by(2).flat_map(bound));
                }
                _ => {}
            }
            stack.extend(bodies(node).into_iter().flatten());
        }
        Self {
            constants,
            facts: Facts::default(),
            own,
            macros,
            called: BTreeMap::new(),
            inside: Vec::new(),
            conditions: Vec::new(),
            loops: 0,
            into: None,
            bytes: 0,
        }
    }

    pub(super) fn run(mut self, nodes: &[Node]) -> Facts {
        self.nodes(nodes);
        for name in &self.macros {
            // Whether a macro can be reached from itself.
            let mut seen = BTreeSet::new();
            let mut stack: Vec<&String> = self.called.get(name).into_iter().flatten().collect();
            while let Some(next) = stack.pop() {
                if seen.insert(next) {
                    stack.extend(self.called.get(next).into_iter().flatten());
                }
            }
            if seen.contains(name) {
                self.facts.recursive_macros.push(name.clone());
            }
        }
        self.facts
    }

    fn room(&mut self, length: usize) -> bool {
        self.facts.cut |= length >= FACTS_MAX;
        length < FACTS_MAX
    }

    fn room_for(&mut self, length: usize, text: &str) -> bool {
        self.bytes = self.bytes.saturating_add(text.len());
        self.facts.cut |= self.bytes > BYTES_MAX;
        self.bytes <= BYTES_MAX && self.room(length)
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    /// Walks under a condition.
    fn under(&mut self, test: Option<(&Expression, bool)>, inner: impl FnOnce(&mut Self)) {
        let before = self.conditions.len();
        if let Some((test, negated)) = test {
            self.condition(test, negated);
        }
        inner(self);
        self.conditions.truncate(before);
    }

    fn condition(&mut self, test: &Expression, negated: bool) {
        if !self.room(self.facts.conditions.len()) || self.conditions.len() >= CONDITIONS_MAX {
            return;
        }
        let mut subjects = BTreeSet::new();
        let mut constants = Vec::new();
        subjects_of(test, &mut subjects, &mut constants);
        if subjects.is_empty() {
            subjects.insert(Subject::Other);
        }
        self.conditions.push(self.facts.conditions.len());
        self.facts.conditions.push(Condition { subjects, constants, negated, span: test.span });
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Text(text) => self.emit(text, node.span),
            NodeKind::Output(expression) => {
                self.expression(expression);
                self.output(expression);
            }
            NodeKind::If(branches) => {
                let before = self.conditions.len();
                for branch in branches {
                    if let Some(test) = &branch.test {
                        self.expression(test);
                    }
                    self.under(branch.test.as_ref().map(|test| (test, false)), |walk| {
                        walk.nodes(&branch.body);
                    });
                    // What follows is reached only if this does not hold. Long chains keep the last ones.
                    if let Some(test) = &branch.test
                        && self.conditions.len() < before + 8
                    {
                        self.condition(test, true);
                    }
                }
                self.conditions.truncate(before);
            }
            NodeKind::For { target: _, iterable, filter, recursive, body, otherwise } => {
                self.expression(iterable);
                if let Some(filter) = filter {
                    self.expression(filter);
                }
                if self.room(self.facts.loops.len()) {
                    let rounds = self.rounds(iterable);
                    self.facts.loops.push(Loop {
                        rounds,
                        inside: self.loops,
                        recursive: *recursive,
                        span: node.span,
                    });
                }
                self.loops += 1;
                self.under(filter.as_ref().map(|filter| (filter, false)), |walk| walk.nodes(body));
                self.loops -= 1;
                self.nodes(otherwise);
            }
            NodeKind::Set { target, value } => {
                self.expression(value);
                self.targets(target);
                self.storing(target, |walk| walk.output(value));
            }
            NodeKind::SetBlock { target, body } => {
                self.targets(target);
                self.storing(target, |walk| walk.nodes(body));
            }
            NodeKind::Macro { name, parameters, called, body } => {
                for default in parameters.iter().filter_map(|parameter| parameter.default.as_ref()) {
                    self.expression(default);
                }
                if let Some(called) = called {
                    self.expression(called);
                }
                self.inside.push(name.clone());
                self.nodes(body);
                self.inside.pop();
            }
            NodeKind::Body { expressions, body, .. } => {
                for expression in expressions {
                    self.expression(expression);
                    self.output(expression);
                }
                self.nodes(body);
            }
            NodeKind::Load { statement, template } => {
                self.expression(template);
                let name = fold(template, &self.constants).and_then(Folded::text);
                if self.room(self.facts.loads.len()) {
                    let statement = statement.clone();
                    self.facts.loads.push(Load { statement, template: name, span: node.span });
                }
            }
            NodeKind::Do(expression) => self.expression(expression),
            NodeKind::Word(_) => {}
        }
    }

    /// Attributes and items that are set are reached for as well.
    fn targets(&mut self, target: &Expression) {
        if !matches!(target.kind, Kind::Name(_)) {
            self.expression(target);
        }
    }

    fn storing(&mut self, target: &Expression, inner: impl FnOnce(&mut Self)) {
        let before = self.into.take();
        self.into = bound(target).into_iter().next().or(before.clone());
        inner(self);
        self.into = before;
    }

    fn emit(&mut self, text: &str, span: Span) {
        if text.trim().is_empty() || !self.room_for(self.facts.emissions.len(), text) {
            return;
        }
        let (conditions, into) = (self.conditions.clone(), self.into.clone());
        self.facts.emissions.push(Emission { text: text.to_owned(), span, conditions, into });
    }

    /// The constant texts that an expression may put out.
    fn output(&mut self, expression: &Expression) {
        if let Some(text) = fold(expression, &self.constants).and_then(Folded::text) {
            return self.emit(&text, expression.span);
        }
        match &expression.kind {
            Kind::Constant(Constant::Text(text)) => self.emit(text, expression.span),
            Kind::Operation { first, rest } => {
                let joins = rest.iter().all(|(operator, _)| {
                    matches!(
                        operator,
                        Operator::Add
                            | Operator::Concat
                            | Operator::Or
                            | Operator::And
                            | Operator::Remainder
                            | Operator::Multiply
                    )
                });
                if joins {
                    self.output(first);
                    for (_, operand) in rest {
                        self.output(operand);
                    }
                }
            }
            Kind::Conditional { then, test, otherwise } => {
                self.under(Some((test, false)), |walk| walk.output(then));
                if let Some(otherwise) = otherwise {
                    self.under(Some((test, true)), |walk| walk.output(otherwise));
                }
            }
            Kind::Filter { of, name, arguments } => {
                if let Some(of) = of {
                    self.output(of);
                }
                // These put their arguments out.
                if matches!(name.as_str(), "default" | "d" | "join" | "replace" | "format") {
                    for argument in arguments.all() {
                        self.output(argument);
                    }
                }
            }
            // What is raised ends the rendering and does not reach the model.
            Kind::Call { callee, arguments } if callee.name() != Some("raise_exception") => {
                if let Kind::Attribute { of, .. } = &callee.kind {
                    self.output(of);
                }
                for argument in arguments.all() {
                    self.output(argument);
                }
            }
            Kind::List(items) | Kind::Tuple(items) => items.iter().for_each(|item| self.output(item)),
            Kind::Dict(entries) => entries.iter().for_each(|(_, value)| self.output(value)),
            Kind::Subscript { of, .. } => {
                // One of several constants.
                if matches!(of.kind, Kind::List(_) | Kind::Tuple(_) | Kind::Dict(_)) {
                    self.output(of);
                }
            }
            _ => {}
        }
    }

    /// How often a loop over the expression runs, if that is constant.
    fn rounds(&self, iterable: &Expression) -> Option<u128> {
        match &iterable.kind {
            Kind::Call { callee, arguments } if callee.name() == Some("range") => {
                let given: Vec<i128> = arguments
                    .positional
                    .iter()
                    .map(|argument| match fold(argument, &self.constants) {
                        Some(Folded::Integer(value)) => Some(value),
                        _ => None,
                    })
                    .collect::<Option<_>>()?;
                let (begin, end, step) = match given.as_slice() {
                    [end] => (0, *end, 1),
                    [begin, end] => (*begin, *end, 1),
                    [begin, end, step] => (*begin, *end, *step),
                    _ => return None,
                };
                let length = if step < 0 { begin.saturating_sub(end) } else { end.saturating_sub(begin) };
                let length = u128::try_from(length).unwrap_or(0);
                Some(length.div_ceil(step.unsigned_abs().max(1)))
            }
            Kind::List(items) | Kind::Tuple(items) => u128::try_from(items.len()).ok(),
            _ => None,
        }
    }
}
