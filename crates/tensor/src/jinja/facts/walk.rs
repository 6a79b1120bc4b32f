//! The walk over a template's tree that collects its facts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ast::{
    Arguments, Constant, Expression, ExpressionKind as Kind, Node, NodeKind, Operator, Span,
};
use super::super::fold::{Constants, Folded, fold};
use super::bindings::{bodies, bound};
use super::subjects::{builds_text, subjects_of};
use super::{Attribute, Call, CallKind, Condition, Emission, Facts, Load, Loop, Subject, Via};

/// Facts of one kind that are kept.
const FACTS_MAX: usize = 200_000;
/// Bytes of text that are kept, as constants and as emissions.
const BYTES_MAX: usize = 16 << 20;
/// Conditions of one text that are kept.
const CONDITIONS_MAX: usize = 64;
/// Numbers from which a loop or a text is out of proportion to any conversation.
const LARGE: i128 = 1_000_000;

/// Functions that the engines of chat templates give.
const ENGINE: [&str; 9] =
    ["raise_exception", "strftime_now", "range", "dict", "namespace", "cycler", "joiner", "lipsum", "super"];
/// Methods of text, lists, dictionaries and dates that templates use.
const METHODS: [&str; 37] = [
    "append",
    "capitalize",
    "count",
    "endswith",
    "extend",
    "find",
    "get",
    "index",
    "insert",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "isupper",
    "items",
    "join",
    "keys",
    "lower",
    "lstrip",
    "partition",
    "pop",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "update",
    "upper",
    "values",
];
/// Filters that take the name of an attribute.
const BY_NAME: [&str; 11] =
    ["attr", "map", "selectattr", "rejectattr", "groupby", "sort", "sum", "unique", "min", "max", "select"];

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

    fn attribute(&mut self, name: String, via: Via, literal: bool, span: Span) {
        if self.room(self.facts.attributes.len()) {
            self.facts.attributes.push(Attribute { name, via, literal, span });
        }
    }

    fn expression(&mut self, expression: &Expression) {
        for child in expression.children() {
            self.expression(child);
        }
        let span = expression.span;
        self.constant(expression);
        match &expression.kind {
            Kind::Name(name) => {
                if !self.own.contains(name) && !self.macros.contains(name) {
                    self.facts.inputs.insert(name.clone());
                }
                // A macro's name inside a macro may be a call, now or later.
                if self.macros.contains(name)
                    && let Some(inside) = self.inside.last()
                {
                    self.called.entry(inside.clone()).or_default().insert(name.clone());
                }
            }
            Kind::Attribute { name, .. } => self.attribute(name.clone(), Via::Dot, true, span),
            Kind::Subscript { index, .. } => self.by_text(index, Via::Subscript),
            Kind::Filter { name, arguments, .. } => {
                self.facts.filters.entry(name.clone()).or_insert(span);
                if BY_NAME.contains(&name.as_str()) {
                    for argument in arguments.all() {
                        self.by_text(argument, Via::Filter);
                    }
                    if name == "attr" && arguments.all().next().is_some_and(|given| !self.is_constant(given))
                    {
                        self.attribute(String::new(), Via::Computed, false, span);
                    }
                }
                self.keywords(arguments, span);
            }
            Kind::Test { name, arguments, .. } => {
                self.facts.tests.entry(name.clone()).or_insert(span);
                self.keywords(arguments, span);
            }
            Kind::Call { callee, arguments } => {
                self.call(callee, span);
                self.keywords(arguments, span);
            }
            _ => {}
        }
    }

    fn is_constant(&self, expression: &Expression) -> bool {
        fold(expression, &self.constants).is_some()
    }

    fn constant(&mut self, expression: &Expression) {
        let folded = match &expression.kind {
            Kind::Constant(Constant::Text(text)) => Some(Folded::Text(text.clone())),
            Kind::Attribute { .. } | Kind::Name(_) => None,
            _ => fold(expression, &self.constants),
        };
        match folded {
            Some(Folded::Text(text)) if self.room_for(self.facts.texts.len(), &text) => {
                self.facts.texts.push((text, expression.span));
            }
            Some(Folded::Integer(value)) if value > LARGE && self.room(self.facts.large_numbers.len()) => {
                self.facts.large_numbers.push(expression.span);
            }
            _ => {}
        }
    }

    /// An item or attribute named by an expression.
    fn by_text(&mut self, name: &Expression, via: Via) {
        if let Some(text) = fold(name, &self.constants).and_then(Folded::text) {
            let literal = name.text().is_some();
            for part in text.split('.') {
                self.attribute(part.to_owned(), via, literal, name.span);
            }
        } else if builds_text(name) {
            self.attribute(String::new(), Via::Computed, false, name.span);
        }
    }

    fn keywords(&mut self, arguments: &Arguments, span: Span) {
        for (name, _) in &arguments.named {
            self.attribute(name.clone(), Via::Keyword, true, span);
        }
    }

    fn call(&mut self, callee: &Expression, span: Span) {
        let (name, kind) = match &callee.kind {
            Kind::Name(name) if self.macros.contains(name) || name == "caller" || name == "loop" => {
                (name.clone(), CallKind::Own)
            }
            Kind::Name(name) if ENGINE.contains(&name.as_str()) => (name.clone(), CallKind::Engine),
            Kind::Attribute { of, name } if of.name() == Some("loop") => (name.clone(), CallKind::Own),
            Kind::Attribute { name, .. } if METHODS.contains(&name.as_str()) => {
                (name.clone(), CallKind::Method)
            }
            Kind::Name(name) | Kind::Attribute { name, .. } => (name.clone(), CallKind::Unknown),
            _ => (String::new(), CallKind::Computed),
        };
        if self.room(self.facts.calls.len()) {
            self.facts.calls.push(Call { name, kind, span });
        }
    }
}
