//! Values: constants, names, collections, and the attributes, items and calls that follow them.

use super::super::super::ast::{Arguments, Constant, Expression, ExpressionKind as Kind};
use super::super::super::lexer::Token;
use super::super::{Parsed, Parser};

impl Parser {
    /// A value with attributes, items, calls, filters and tests after it.
    pub(in super::super) fn postfix(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let value = self.unfiltered()?;
        // `in` ends the target of a loop, so that no test may begin here.
        self.made(begin, value.kind)
    }

    pub(in super::super) fn unfiltered(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let mut value = self.primary()?;
        loop {
            if self.mark(".") {
                let name = match self.peek() {
                    Some(Token::Name(name)) => Some(name.clone()),
                    _ => None,
                };
                match (name, self.peek()) {
                    (Some(name), _) => {
                        self.next += 1;
                        value = self.made(begin, Kind::Attribute { of: Box::new(value), name })?;
                    }
                    (None, Some(Token::Integer(number))) => {
                        let number = *number;
                        self.next += 1;
                        let index = self.made(self.at(), Kind::Constant(Constant::Integer(number)))?;
                        value = self
                            .made(begin, Kind::Subscript { of: Box::new(value), index: Box::new(index) })?;
                    }
                    _ => return self.expected("an attribute"),
                }
            } else if self.mark("[") {
                let index = self.deeper(Self::index)?;
                self.need("]", "`]`")?;
                value = self.made(begin, Kind::Subscript { of: Box::new(value), index: Box::new(index) })?;
            } else if self.peek() == Some(&Token::Mark("(")) {
                let arguments = self.arguments()?;
                value = self.made(begin, Kind::Call { callee: Box::new(value), arguments })?;
            } else {
                return Ok(value);
            }
        }
    }

    /// What stands between the brackets of `of[…]`; several with commas make a tuple.
    fn index(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let mut items = Vec::new();
        while self.peek() != Some(&Token::Mark("]")) {
            if !items.is_empty() {
                self.need(",", "`,` or `]`")?;
            }
            items.push(self.place()?);
        }
        match (items.len(), items.pop()) {
            (1, Some(item)) => Ok(item),
            (_, last) => {
                items.extend(last);
                self.made(begin, Kind::Tuple(items))
            }
        }
    }

    /// An index, or a slice `begin:end:step` of which every part may be left out.
    fn place(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let first = if self.peek() == Some(&Token::Mark(":")) { None } else { Some(self.expression()?) };
        let mut parts = vec![first];
        while parts.len() < 3 && self.mark(":") {
            let ends = matches!(self.peek(), Some(Token::Mark(":" | "]" | ",")));
            parts.push(if ends { None } else { Some(self.expression()?) });
        }
        match (parts.len(), parts.pop()) {
            (1, Some(Some(item))) => Ok(item),
            (_, last) => {
                parts.extend(last);
                self.made(begin, Kind::Slice(parts))
            }
        }
    }

    pub(super) fn arguments(&mut self) -> Parsed<Arguments> {
        self.need("(", "`(`")?;
        let mut arguments = Arguments::default();
        let (mut list, mut dict) = (false, false);
        while !self.mark(")") {
            let named =
                matches!(self.tokens.get(self.next + 1).map(|placed| &placed.token), Some(Token::Mark("=")));
            // As Jinja: by position, then by name, and what is spread after those; one list and one dict, in order.
            let misplaced = if self.mark("**") {
                arguments.spread.push(self.expression()?);
                std::mem::replace(&mut dict, true)
            } else if self.mark("*") {
                arguments.spread.push(self.expression()?);
                std::mem::replace(&mut list, true) || dict
            } else if named {
                let name = self.name()?;
                self.next += 1;
                arguments.named.push((name, self.expression()?));
                dict
            } else {
                arguments.positional.push(self.expression()?);
                list || dict || !arguments.named.is_empty()
            };
            if misplaced {
                return self.expected("arguments in the order `a, b=c, *d, **e`");
            }
            if !self.mark(",") {
                self.need(")", "`,` or `)`")?;
                break;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let Some(placed) = self.tokens.get(self.next) else { return self.expected("a value") };
        let token = placed.token.clone();
        let kind = match token {
            Token::Name(name) => match name.as_str() {
                "true" | "True" => Kind::Constant(Constant::Bool(true)),
                "false" | "False" => Kind::Constant(Constant::Bool(false)),
                "none" | "None" => Kind::Constant(Constant::None),
                _ => Kind::Name(name),
            },
            Token::String(mut text) => {
                // Neighbouring strings are one.
                while let Some(Token::String(more)) =
                    self.tokens.get(self.next + 1).map(|placed| &placed.token)
                {
                    text.push_str(more);
                    self.next += 1;
                }
                Kind::Constant(Constant::Text(text))
            }
            Token::Integer(value) => Kind::Constant(Constant::Integer(value)),
            Token::Float(value) => Kind::Constant(Constant::Float(value)),
            Token::Mark("(") => return self.bracketed(begin),
            Token::Mark("[") => {
                self.next += 1;
                let items = self.items("]")?;
                return self.made(begin, Kind::List(items));
            }
            Token::Mark("{") => return self.dict(begin),
            _ => return self.expected("a value"),
        };
        self.next += 1;
        self.made(begin, kind)
    }

    fn bracketed(&mut self, begin: usize) -> Parsed<Expression> {
        self.next += 1;
        if self.mark(")") {
            return self.made(begin, Kind::Tuple(Vec::new()));
        }
        let inner = self.tuple()?;
        self.need(")", "`)`")?;
        self.made(begin, inner.kind)
    }

    fn items(&mut self, end: &'static str) -> Parsed<Vec<Expression>> {
        let mut items = Vec::new();
        while !self.mark(end) {
            items.push(self.expression()?);
            if !self.mark(",") {
                self.need(end, "`,` or the end of the list")?;
                break;
            }
        }
        Ok(items)
    }

    fn dict(&mut self, begin: usize) -> Parsed<Expression> {
        self.next += 1;
        let mut entries = Vec::new();
        while !self.mark("}") {
            let key = self.expression()?;
            self.need(":", "`:`")?;
            entries.push((key, self.expression()?));
            if !self.mark(",") {
                self.need("}", "`,` or `}`")?;
                break;
            }
        }
        self.made(begin, Kind::Dict(entries))
    }
}
