//! Expressions, from the loosest binding to the tightest.

mod value;

use super::super::ast::{Arguments, Expression, ExpressionKind as Kind, Operator, Span};
use super::super::error::Error;
use super::super::lexer::Token;
use super::{Parsed, Parser};

impl Parser {
    /// An expression, or several with commas, which make a tuple.
    pub(super) fn tuple(&mut self) -> Parsed<Expression> {
        self.tuple_of(Self::expression)
    }

    pub(super) fn tuple_of(&mut self, item: fn(&mut Self) -> Parsed<Expression>) -> Parsed<Expression> {
        let begin = self.at();
        let first = item(self)?;
        if self.peek() != Some(&Token::Mark(",")) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.mark(",") {
            let ends = match self.peek() {
                None | Some(Token::TagEnd | Token::OutputEnd | Token::Mark(")" | "=")) => true,
                Some(Token::Name(name)) => name == "in",
                Some(_) => false,
            };
            if ends {
                break;
            }
            items.push(item(self)?);
        }
        self.made(begin, Kind::Tuple(items))
    }

    fn made(&self, begin: usize, kind: Kind) -> Parsed<Expression> {
        let span = Span { begin, end: self.done() };
        let mut expression = Expression { kind, span, height: 1 };
        expression.height = 1 + expression.children().iter().map(|child| child.height).max().unwrap_or(0);
        if expression.height > self.depth_max {
            return Err(Error::TooDeep { limit: self.depth_max, at: begin });
        }
        Ok(expression)
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| {
            let begin = parser.at();
            let mut value = parser.or()?;
            while parser.word("if") {
                let test = parser.or()?;
                let otherwise = if parser.word("else") { Some(Box::new(parser.expression()?)) } else { None };
                value = parser.made(
                    begin,
                    Kind::Conditional { then: Box::new(value), test: Box::new(test), otherwise },
                )?;
            }
            Ok(value)
        })
    }

    /// Operands with operators of one precedence between them.
    fn chain(
        &mut self,
        operand: fn(&mut Self) -> Parsed<Expression>,
        operator: fn(&mut Self) -> Option<Operator>,
    ) -> Parsed<Expression> {
        let begin = self.at();
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operator(self) {
            rest.push((operator, operand(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        self.made(begin, Kind::Operation { first: Box::new(first), rest })
    }

    pub(super) fn or(&mut self) -> Parsed<Expression> {
        self.chain(Self::and, |parser| parser.word("or").then_some(Operator::Or))
    }

    fn and(&mut self) -> Parsed<Expression> {
        self.chain(Self::not, |parser| parser.word("and").then_some(Operator::And))
    }

    fn not(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        if self.word("not") {
            let inner = self.deeper(Self::not)?;
            return self.made(begin, Kind::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Parsed<Expression> {
        self.chain(Self::sum, |parser| {
            if parser.is_word(0, "not") && parser.is_word(1, "in") {
                parser.next += 2;
                return Some(Operator::NotIn);
            }
            if parser.word("in") {
                return Some(Operator::In);
            }
            let marks = [
                ("==", Operator::Equal),
                ("!=", Operator::Unequal),
                ("<=", Operator::LessOrEqual),
                (">=", Operator::GreaterOrEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ];
            marks.into_iter().find_map(|(mark, operator)| parser.mark(mark).then_some(operator))
        })
    }

    fn sum(&mut self) -> Parsed<Expression> {
        self.chain(Self::concat, |parser| {
            if parser.mark("+") {
                return Some(Operator::Add);
            }
            parser.mark("-").then_some(Operator::Subtract)
        })
    }

    fn concat(&mut self) -> Parsed<Expression> {
        self.chain(Self::product, |parser| parser.mark("~").then_some(Operator::Concat))
    }

    fn product(&mut self) -> Parsed<Expression> {
        self.chain(Self::power, |parser| {
            let marks = [
                ("*", Operator::Multiply),
                ("//", Operator::FloorDivide),
                ("/", Operator::Divide),
                ("%", Operator::Remainder),
            ];
            marks.into_iter().find_map(|(mark, operator)| parser.mark(mark).then_some(operator))
        })
    }

    fn power(&mut self) -> Parsed<Expression> {
        self.chain(Self::signed, |parser| parser.mark("**").then_some(Operator::Power))
    }

    /// A value with its signs, and filters and tests after both: `-x|f` is `(-x)|f`.
    fn signed(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        let value = self.sign()?;
        self.filtered(begin, value)
    }

    fn sign(&mut self) -> Parsed<Expression> {
        let begin = self.at();
        if self.mark("-") {
            let inner = self.deeper(Self::sign)?;
            return self.made(begin, Kind::Negative(Box::new(inner)));
        }
        if self.mark("+") {
            let inner = self.deeper(Self::sign)?;
            return self.made(begin, Kind::Positive(Box::new(inner)));
        }
        self.unfiltered()
    }

    fn filtered(&mut self, begin: usize, value: Expression) -> Parsed<Expression> {
        let mut value = value;
        loop {
            if self.peek() == Some(&Token::Mark("|")) {
                value = self.filters(Some(value))?;
            } else if self.word("is") {
                let negated = self.word("not");
                let name = self.dotted()?;
                let arguments = self.test_arguments()?;
                value = self.made(begin, Kind::Test { of: Box::new(value), name, arguments, negated })?;
            } else if self.peek() == Some(&Token::Mark("(")) {
                let arguments = self.arguments()?;
                value = self.made(begin, Kind::Call { callee: Box::new(value), arguments })?;
            } else {
                return Ok(value);
            }
        }
    }

    /// A test's argument may stand without brackets.
    fn test_arguments(&mut self) -> Parsed<Arguments> {
        let bare = match self.peek() {
            Some(Token::Mark("(")) => return self.arguments(),
            Some(Token::Name(name)) if name == "is" => return self.expected("no test after a test"),
            Some(Token::Name(name)) => !matches!(name.as_str(), "else" | "or" | "and"),
            Some(Token::String(_) | Token::Integer(_) | Token::Float(_) | Token::Mark("[" | "{")) => true,
            _ => false,
        };
        let mut arguments = Arguments::default();
        if bare {
            arguments.positional.push(self.deeper(Self::unfiltered)?);
        }
        Ok(arguments)
    }

    /// One filter or several, after `of`; in a filter block the first bar is left out.
    pub(super) fn filters(&mut self, of: Option<Expression>) -> Parsed<Expression> {
        let begin = of.as_ref().map_or_else(|| self.at(), |of| of.span.begin);
        let mut value = of;
        loop {
            if !self.mark("|")
                && let Some(value) = value
            {
                return Ok(value);
            }
            let name = self.dotted()?;
            let arguments =
                if self.peek() == Some(&Token::Mark("(")) { self.arguments()? } else { Arguments::default() };
            value = Some(self.made(begin, Kind::Filter { of: value.map(Box::new), name, arguments })?);
        }
    }

    fn dotted(&mut self) -> Parsed<String> {
        let mut name = self.name()?;
        while self.mark(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name)
    }
}
