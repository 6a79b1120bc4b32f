//! Tokens to tree, by recursive descent with counted depth.

mod expression;

use super::Limits;
use super::ast::{Branch, Node, NodeKind, Parameter, Span};
use super::error::Error;
use super::lexer::{Placed, Token};
use crate::error::shown;

/// However generous the caller, levels cost stack.
const DEPTH_MAX: usize = 200;

pub(super) struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    /// Length of the source.
    length: usize,
    depth: usize,
    depth_max: usize,
}

type Parsed<T> = Result<T, Error>;
/// The name of the tag that ended a list of parts, and where it begins.
type Ended = Option<(&'static str, usize)>;

impl Parser {
    pub(super) fn new(length: usize, mut tokens: Vec<Placed>, limits: &Limits) -> Self {
        tokens.shrink_to_fit();
        Self { tokens, next: 0, length, depth: 0, depth_max: limits.depth.min(DEPTH_MAX) }
    }

    pub(super) fn template(mut self) -> Parsed<Vec<Node>> {
        let (nodes, end) = self.nodes(&[])?;
        match end {
            None => Ok(nodes),
            Some((_, at)) => Err(Error::Expected { expected: "no end of a block", at }),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.length, |placed| placed.span.begin)
    }

    /// The end of the token before.
    fn done(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |placed| placed.span.end)
    }

    fn expected<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(Error::Expected { expected, at: self.at() })
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(found)) if *found == mark);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(found)) if found == word);
        self.next += usize::from(found);
        found
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.next + ahead).map(|placed| &placed.token),
            Some(Token::Name(found)) if found == word)
    }

    fn need(&mut self, mark: &str, expected: &'static str) -> Parsed<()> {
        if self.mark(mark) { Ok(()) } else { self.expected(expected) }
    }

    fn name(&mut self) -> Parsed<String> {
        let Some(Token::Name(name)) = self.peek() else { return self.expected("a name") };
        let name = name.clone();
        self.next += 1;
        Ok(name)
    }

    fn tag_end(&mut self) -> Parsed<()> {
        if self.peek() == Some(&Token::TagEnd) {
            self.next += 1;
            return Ok(());
        }
        self.expected("`%}`")
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= self.depth_max {
            return Err(Error::TooDeep { limit: self.depth_max, at: self.at() });
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Reads parts up to a tag of one of `ends`, which is taken up to its name.
    fn nodes(&mut self, ends: &[&'static str]) -> Parsed<(Vec<Node>, Ended)> {
        let mut nodes = Vec::new();
        loop {
            let begin = self.at();
            let Some(placed) = self.tokens.get(self.next) else {
                if ends.is_empty() {
                    return Ok((nodes, None));
                }
                return self.expected("the end of the block");
            };
            let token = placed.token.clone();
            self.next += 1;
            let kind = match token {
                Token::Text(text) => NodeKind::Text(text),
                Token::OutputBegin => {
                    let expression = self.tuple()?;
                    if self.peek() != Some(&Token::OutputEnd) {
                        return self.expected("`}}`");
                    }
                    self.next += 1;
                    NodeKind::Output(expression)
                }
                Token::TagBegin => {
                    let name = self.name()?;
                    if let Some(end) = ends.iter().find(|end| **end == name) {
                        return Ok((nodes, Some((end, begin))));
                    }
                    self.deeper(|parser| parser.statement(name, begin))?
                }
                _ => {
                    self.next -= 1;
                    return self.expected("text or a tag");
                }
            };
            let end = match kind {
                // Of blocks, only the first tag: its end was passed long ago.
                NodeKind::Text(_) | NodeKind::Output(_) | NodeKind::Set { .. } | NodeKind::Load { .. } => {
                    self.done()
                }
                _ => self.tag_closed(begin),
            };
            nodes.push(Node { kind, span: Span { begin, end } });
        }
    }

    /// The end of the tag that begins there.
    fn tag_closed(&self, begin: usize) -> usize {
        let from = self.tokens.partition_point(|placed| placed.span.begin < begin);
        self.tokens
            .iter()
            .skip(from)
            .find(|placed| placed.token == Token::TagEnd)
            .map_or(self.length, |placed| placed.span.end)
    }

    /// Reads up to one of `ends`, and that tag to its end.
    fn body(&mut self, end: &'static str) -> Parsed<Vec<Node>> {
        let (nodes, _) = self.nodes(&[end])?;
        // `{% endblock name %}` may repeat the name.
        if matches!(self.peek(), Some(Token::Name(_))) {
            self.next += 1;
        }
        self.tag_end()?;
        Ok(nodes)
    }

    fn statement(&mut self, name: String, at: usize) -> Parsed<NodeKind> {
        match name.as_str() {
            "if" => self.condition(),
            "for" => self.repetition(),
            "set" => self.assignment(),
            "macro" => {
                let name = self.name()?;
                let parameters = self.parameters()?;
                self.tag_end()?;
                let body = self.body("endmacro")?;
                Ok(NodeKind::Macro { name, parameters, called: None, body })
            }
            "call" => {
                let parameters =
                    if self.peek() == Some(&Token::Mark("(")) { self.parameters()? } else { Vec::new() };
                let called = Some(self.expression()?);
                self.tag_end()?;
                let body = self.body("endcall")?;
                Ok(NodeKind::Macro { name: String::new(), parameters, called, body })
            }
            "filter" => {
                let filter = self.filters(None)?;
                self.tag_end()?;
                let body = self.body("endfilter")?;
                Ok(NodeKind::Body { statement: name, expressions: vec![filter], body })
            }
            "block" => {
                while matches!(self.peek(), Some(Token::Name(_))) {
                    self.next += 1;
                }
                self.tag_end()?;
                let body = self.body("endblock")?;
                Ok(NodeKind::Body { statement: name, expressions: Vec::new(), body })
            }
            "with" => {
                let mut expressions = Vec::new();
                while self.peek() != Some(&Token::TagEnd) {
                    expressions.push(self.tuple_of(Self::postfix)?);
                    self.need("=", "`=`")?;
                    expressions.push(self.expression()?);
                    if !self.mark(",") {
                        break;
                    }
                }
                self.tag_end()?;
                let body = self.body("endwith")?;
                Ok(NodeKind::Body { statement: name, expressions, body })
            }
            "autoescape" => {
                let expressions = vec![self.expression()?];
                self.tag_end()?;
                let body = self.body("endautoescape")?;
                Ok(NodeKind::Body { statement: name, expressions, body })
            }
            "generation" => {
                self.tag_end()?;
                let body = self.body("endgeneration")?;
                Ok(NodeKind::Body { statement: name, expressions: Vec::new(), body })
            }
            "include" | "import" | "from" | "extends" => {
                let template = self.expression()?;
                // What is imported from it, and how, makes no difference here.
                while self.peek().is_some_and(|token| *token != Token::TagEnd) {
                    self.next += 1;
                }
                self.tag_end()?;
                Ok(NodeKind::Load { statement: name, template })
            }
            "do" => {
                let expression = self.tuple()?;
                self.tag_end()?;
                Ok(NodeKind::Do(expression))
            }
            "break" | "continue" | "debug" => {
                self.tag_end()?;
                Ok(NodeKind::Word(name))
            }
            _ => Err(Error::Statement { name: shown(&name), at }),
        }
    }

    fn condition(&mut self) -> Parsed<NodeKind> {
        let mut branches = Vec::new();
        let mut test = Some(self.tuple()?);
        loop {
            self.tag_end()?;
            let ends: &[&'static str] = if test.is_some() { &["elif", "else", "endif"] } else { &["endif"] };
            let (body, end) = self.nodes(ends)?;
            branches.push(Branch { test, body });
            match end {
                Some(("elif", _)) => test = Some(self.tuple()?),
                Some(("else", _)) => test = None,
                _ => break,
            }
        }
        self.tag_end()?;
        Ok(NodeKind::If(branches))
    }

    fn repetition(&mut self) -> Parsed<NodeKind> {
        let target = self.tuple_of(Self::postfix)?;
        if !self.word("in") {
            return self.expected("`in`");
        }
        // A condition after the list is the loop's filter, not a conditional expression.
        let iterable = self.tuple_of(Self::or)?;
        let filter = if self.word("if") { Some(self.expression()?) } else { None };
        let recursive = self.word("recursive");
        self.tag_end()?;
        let (body, end) = self.nodes(&["else", "endfor"])?;
        let otherwise = if matches!(end, Some(("else", _))) {
            self.tag_end()?;
            self.nodes(&["endfor"])?.0
        } else {
            Vec::new()
        };
        self.tag_end()?;
        Ok(NodeKind::For { target, iterable, filter, recursive, body, otherwise })
    }

    fn assignment(&mut self) -> Parsed<NodeKind> {
        let target = self.tuple_of(Self::unfiltered)?;
        if self.mark("=") {
            let value = self.tuple()?;
            self.tag_end()?;
            return Ok(NodeKind::Set { target, value });
        }
        let target =
            if self.peek() == Some(&Token::Mark("|")) { self.filters(Some(target))? } else { target };
        self.tag_end()?;
        let body = self.body("endset")?;
        Ok(NodeKind::SetBlock { target, body })
    }

    fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        let mut parameters = Vec::new();
        self.need("(", "`(`")?;
        while !self.mark(")") {
            let name = self.name()?;
            let default = if self.mark("=") { Some(self.expression()?) } else { None };
            parameters.push(Parameter { name, default });
            if !self.mark(",") {
                self.need(")", "`,` or `)`")?;
                break;
            }
        }
        Ok(parameters)
    }
}
