//! What can be said about a template without rendering it.

mod bindings;
mod subjects;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use super::Template;
use super::ast::Span;
use super::fold::Constants;

/// How an attribute is reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// `x.name`
    Dot,
    /// `x['name']`, whatever the text is put together from.
    Subscript,
    /// `x|attr('name')`, `x|map(attribute='name')` and others like them.
    Filter,
    /// A name given to a call, as in `dict(name=…)`, whose names can be taken as text.
    Keyword,
    /// Text that is put together in a way that cannot be followed: the name is not known.
    Computed,
}

/// An attribute or item that is reached for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name, empty where it is not known.
    pub name: String,
    /// How.
    pub via: Via,
    /// Whether the name stands in the template as it is; not if it is put together.
    pub literal: bool,
    /// Where.
    pub span: Span,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// A function that the engine gives to templates.
    Engine,
    /// A macro of the template, `caller`, `loop` or a loop's method.
    Own,
    /// A method of text, lists and dictionaries.
    Method,
    /// A variable that is none of these, or a method that none of them have.
    Unknown,
    /// Something that is no name: the result of a call or of a subscript.
    Computed,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function's or method's name, empty where it has none.
    pub name: String,
    /// What is called.
    pub kind: CallKind,
    /// Where.
    pub span: Span,
}

/// Another template that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The statement: `include`, `import`, `from`, `extends`.
    pub statement: String,
    /// The template's name, if it is constant.
    pub template: Option<String>,
    /// Where.
    pub span: Span,
}

/// A loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// How often, if it is over a range or list that is constant.
    pub rounds: Option<u128>,
    /// How many loops are around it.
    pub inside: usize,
    /// Whether it may call itself.
    pub recursive: bool,
    /// Where.
    pub span: Span,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The role of a message.
    Role,
    /// The content of a message: what people write.
    Content,
    /// The date or time.
    Time,
    /// The tools that are offered.
    Tools,
    /// Whether an answer is to begin (`add_generation_prompt`).
    Prompt,
    /// The position in the conversation.
    Position,
    /// Whether something is given at all.
    Presence,
    /// Something else.
    Other,
}

/// A condition under which text is put out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it looks at.
    pub subjects: BTreeSet<Subject>,
    /// The constant texts that it compares with.
    pub constants: Vec<String>,
    /// Whether it must not hold.
    pub negated: bool,
    /// Where it stands.
    pub span: Span,
}

/// Literal text that the template puts out, or into a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// The conditions under which it is put out, from the outermost, by their place in [`Facts::conditions`].
    pub conditions: Vec<usize>,
    /// The variable that it is put into, if it is not put out at once.
    pub into: Option<String>,
}

/// What can be said about a template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Attributes and items that are reached for by name.
    pub attributes: Vec<Attribute>,
    /// Calls.
    pub calls: Vec<Call>,
    /// Names of filters, with the first place of each.
    pub filters: BTreeMap<String, Span>,
    /// Names of tests, with the first place of each.
    pub tests: BTreeMap<String, Span>,
    /// Other templates that are loaded.
    pub loads: Vec<Load>,
    /// Loops.
    pub loops: Vec<Loop>,
    /// Macros that call themselves, directly or through others.
    pub recursive_macros: Vec<String>,
    /// Integers above a million, given or computed: numbers of rounds, or of copies of a text.
    pub large_numbers: Vec<Span>,
    /// Every constant text, also what is put together from constants; with its place.
    pub texts: Vec<(String, Span)>,
    /// Every condition.
    pub conditions: Vec<Condition>,
    /// Literal text that is put out.
    pub emissions: Vec<Emission>,
    /// Variables that the template takes from outside.
    pub inputs: BTreeSet<String>,
    /// Whether there were more facts than are kept, 200,000 of each kind.
    pub cut: bool,
}

impl Facts {
    /// The conditions of an emission.
    pub fn conditions_of<'f>(&'f self, emission: &'f Emission) -> impl Iterator<Item = &'f Condition> {
        emission.conditions.iter().filter_map(|place| self.conditions.get(*place))
    }
}

pub(super) fn collect(template: &Template) -> Facts {
    let constants: Constants = bindings::constants(template.nodes());
    walk::Walk::new(constants, template.nodes()).run(template.nodes())
}
