//! The parts of a template, each with its place in the source.

/// Bytes of the source, from `begin` to one before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub begin: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it stands; of blocks, the tag that begins them.
    pub span: Span,
}

/// A branch of a condition: the condition, nothing for `else`, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The condition.
    pub test: Option<Expression>,
    /// What is rendered.
    pub body: Vec<Node>,
}

/// A parameter of a macro or call block.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is if it is not given.
    pub default: Option<Expression>,
}

/// The kinds of part.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Literal text, after white space control.
    Text(String),
    /// `{{ … }}`
    Output(Expression),
    /// `{% if %}` with its branches.
    If(Vec<Branch>),
    /// `{% for %}`
    For {
        /// What each item is bound to.
        target: Expression,
        /// What is gone through.
        iterable: Expression,
        /// Which items are taken.
        filter: Option<Expression>,
        /// Whether the body may call the loop again.
        recursive: bool,
        /// What is rendered for each.
        body: Vec<Node>,
        /// What is rendered if there is none.
        otherwise: Vec<Node>,
    },
    /// `{% set target = value %}`
    Set {
        /// What is bound.
        target: Expression,
        /// To what.
        value: Expression,
    },
    /// `{% set target %}…{% endset %}`
    SetBlock {
        /// What is bound; filters applied to the text are around it.
        target: Expression,
        /// What is rendered into it.
        body: Vec<Node>,
    },
    /// `{% macro %}`, and `{% call %}` whose name is the called expression.
    Macro {
        /// Its name, empty for a call block.
        name: String,
        /// Its parameters.
        parameters: Vec<Parameter>,
        /// What is called with the block, for a call block.
        called: Option<Expression>,
        /// What it renders.
        body: Vec<Node>,
    },
    /// `{% filter %}`, `{% block %}`, `{% with %}`, `{% autoescape %}`, `{% generation %}`: a body under something.
    Body {
        /// The statement's name.
        statement: String,
        /// What it is given: filters, bindings.
        expressions: Vec<Expression>,
        /// What it holds.
        body: Vec<Node>,
    },
    /// `{% include %}`, `{% import %}`, `{% from %}`, `{% extends %}`
    Load {
        /// The statement's name.
        statement: String,
        /// The template that is loaded.
        template: Expression,
    },
    /// `{% do %}`
    Do(Expression),
    /// `{% break %}`, `{% continue %}`, `{% debug %}`
    Word(String),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
    /// How deep it nests, itself included.
    pub(super) height: usize,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Text.
    Text(String),
    /// An integer; those beyond the range are as large as can be.
    Integer(i128),
    /// A float.
    Float(f64),
    /// `true`, `false`
    Bool(bool),
    /// `none`
    None,
}

/// What is given to a call, a filter or a test.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments {
    /// By position.
    pub positional: Vec<Expression>,
    /// By name.
    pub named: Vec<(String, Expression)>,
    /// `*list` and `**dict`.
    pub spread: Vec<Expression>,
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `~`
    Concat,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Remainder,
    /// `**`
    Power,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A constant.
    Constant(Constant),
    /// A variable.
    Name(String),
    /// `of.name`
    Attribute {
        /// Of what.
        of: Box<Expression>,
        /// The name.
        name: String,
    },
    /// `of[index]`
    Subscript {
        /// Of what.
        of: Box<Expression>,
        /// Of which item.
        index: Box<Expression>,
    },
    /// `begin:end:step`
    Slice(Vec<Option<Expression>>),
    /// `callee(arguments)`
    Call {
        /// What is called.
        callee: Box<Expression>,
        /// With what.
        arguments: Arguments,
    },
    /// `of|name(arguments)`; in a filter block there is nothing before the bar.
    Filter {
        /// Of what.
        of: Option<Box<Expression>>,
        /// The filter.
        name: String,
        /// With what.
        arguments: Arguments,
    },
    /// `of is name(arguments)`
    Test {
        /// Of what.
        of: Box<Expression>,
        /// The test.
        name: String,
        /// With what.
        arguments: Arguments,
        /// Whether with `not`.
        negated: bool,
    },
    /// Expressions with operators of one precedence between them, from left to right.
    Operation {
        /// The first.
        first: Box<Expression>,
        /// The others, each with the operator before it.
        rest: Vec<(Operator, Expression)>,
    },
    /// `not x`
    Not(Box<Expression>),
    /// `-x`
    Negative(Box<Expression>),
    /// `+x`
    Positive(Box<Expression>),
    /// `[a, b]`
    List(Vec<Expression>),
    /// `(a, b)`
    Tuple(Vec<Expression>),
    /// `{a: b}`
    Dict(Vec<(Expression, Expression)>),
    /// `then if test else otherwise`
    Conditional {
        /// If it holds.
        then: Box<Expression>,
        /// What must hold.
        test: Box<Expression>,
        /// If it does not.
        otherwise: Option<Box<Expression>>,
    },
}

impl Expression {
    /// The expressions that this one is made of, in the order of the source.
    pub fn children(&self) -> Vec<&Self> {
        let mut children: Vec<&Self> = Vec::new();
        match &self.kind {
            ExpressionKind::Constant(_) | ExpressionKind::Name(_) => {}
            ExpressionKind::Subscript { of, index } => children.extend([&**of, &**index]),
            ExpressionKind::Slice(parts) => children.extend(parts.iter().flatten()),
            ExpressionKind::Call { callee, arguments } => {
                children.push(callee);
                children.extend(arguments.all());
            }
            ExpressionKind::Filter { of, arguments, .. } => {
                children.extend(of.as_deref());
                children.extend(arguments.all());
            }
            ExpressionKind::Test { of, arguments, .. } => {
                children.push(of);
                children.extend(arguments.all());
            }
            ExpressionKind::Operation { first, rest } => {
                children.push(first);
                children.extend(rest.iter().map(|(_, operand)| operand));
            }
            ExpressionKind::Attribute { of, .. }
            | ExpressionKind::Not(of)
            | ExpressionKind::Negative(of)
            | ExpressionKind::Positive(of) => children.push(of),
            ExpressionKind::List(items) | ExpressionKind::Tuple(items) => children.extend(items),
            ExpressionKind::Dict(entries) => {
                children.extend(entries.iter().flat_map(|(key, value)| [key, value]));
            }
            ExpressionKind::Conditional { then, test, otherwise } => {
                children.extend([&**then, &**test]);
                children.extend(otherwise.as_deref());
            }
        }
        children
    }

    /// The text, if the expression is constant text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            ExpressionKind::Constant(Constant::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The variable's name, if the expression is a variable.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            ExpressionKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl Arguments {
    /// All expressions that are given.
    pub fn all(&self) -> impl Iterator<Item = &Expression> {
        self.positional.iter().chain(self.named.iter().map(|(_, value)| value)).chain(&self.spread)
    }
}
