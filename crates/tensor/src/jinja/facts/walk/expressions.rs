//! Facts of expressions: what is reached for, called, and written down as a constant.

use super::super::super::ast::{Arguments, Constant, Expression, ExpressionKind as Kind, Span};
use super::super::super::fold::{Folded, fold};
use super::super::subjects::builds_text;
use super::super::{Attribute, Call, CallKind, Via};
use super::Walk;

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

impl Walk {
    pub(super) fn attribute(&mut self, name: String, via: Via, literal: bool, span: Span) {
        if self.room(self.facts.attributes.len()) {
            self.facts.attributes.push(Attribute { name, via, literal, span });
        }
    }

    pub(super) fn expression(&mut self, expression: &Expression) {
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
