//! Chat templates and other Jinja, parsed and never rendered.
//!
//! A chat template is a program that writes every prompt of a model, and it travels with the weights. [`Template`]
//! is its syntax tree; [`Facts`] is what can be said about it without running it: which attributes it reaches for
//! (however their names are put together), what it calls and loads, how long it may run, and every literal text
//! that it puts into the conversation together with the conditions under which it does.
//!
//! Source: the grammar of Jinja 3.1 (`lexer.py`, `parser.py`), with the statements that chat templates add
//! (`generation`, `break`, `continue`, `do`), and the white space settings of their engines (`trim_blocks`,
//! `lstrip_blocks`).
//!
//! What it does not do: render, or say what is wrong with a template. Rules do, on the facts.

mod ast;
mod error;
mod facts;
mod fold;
mod lexer;
mod parser;

pub use ast::{
    Arguments, Branch, Constant, Expression, ExpressionKind, Node, NodeKind, Operator, Parameter, Span,
};
pub use error::Error;
pub use facts::{Attribute, Call, CallKind, Condition, Emission, Facts, Load, Loop, Subject, Via};

/// Bounds of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of source.
    pub bytes: usize,
    /// Levels of nesting; at most 200, since levels cost stack.
    pub depth: usize,
    /// Tokens.
    pub parts: usize,
}

impl Limits {
    /// The largest chat templates in use have some 30 kB and nest a dozen deep.
    pub const STANDARD: Self = Self { bytes: 1 << 20, depth: 100, parts: 200_000 };
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn parse(source: &str, limits: &Limits) -> Result<Self, Error> {
        if source.len() > limits.bytes {
            return Err(Error::TooLong { length: source.len(), limit: limits.bytes });
        }
        let tokens = lexer::tokens(source, limits)?;
        let nodes = parser::Parser::new(source.len(), tokens, limits).template()?;
        Ok(Self { source: source.to_owned(), nodes })
    }

    /// Its parts, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The source of a part.
    pub fn source(&self, span: Span) -> &str {
        self.source.get(span.begin..span.end).unwrap_or_default()
    }

    /// The line of a place in the source, counted from one.
    pub fn line(&self, at: usize) -> usize {
        self.source.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// What can be said about the template.
    pub fn facts(&self) -> Facts {
        facts::collect(self)
    }
}

#[cfg(test)]
mod tests;
