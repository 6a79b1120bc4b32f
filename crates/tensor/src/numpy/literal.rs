//! The Python literal of a header, in the one form it has.

use super::error::NumpyError;
use super::{Order, RANK_MAX};
use crate::error::shown;

/// What a header says.
#[derive(Debug)]
pub(super) struct Header<'h> {
    pub(super) descr: &'h str,
    pub(super) order: Order,
    pub(super) shape: Vec<usize>,
}

/// Reads a dictionary of exactly three keys, padded with white space.
pub(super) fn read(header: &[u8]) -> Result<Header<'_>, NumpyError> {
    let text =
        std::str::from_utf8(header).map_err(|error| NumpyError::Literal { at: error.valid_up_to() })?;
    let mut reader = Reader { text, at: 0 };
    let (mut descr, mut order, mut shape) = (None, None, None);
    reader.expect("{")?;
    while !reader.take("}") {
        let at = reader.at;
        match reader.string()? {
            "descr" if descr.is_none() => {
                reader.expect(":")?;
                descr = Some(reader.descr()?);
            }
            "fortran_order" if order.is_none() => {
                reader.expect(":")?;
                order = Some(if reader.take("True") {
                    Order::ColumnMajor
                } else {
                    reader.expect("False")?;
                    Order::RowMajor
                });
            }
            "shape" if shape.is_none() => {
                reader.expect(":")?;
                shape = Some(reader.shape()?);
            }
            _ => return Err(NumpyError::Literal { at }),
        }
        if !reader.take(",") {
            reader.expect("}")?;
            break;
        }
    }
    reader.skip();
    let wrong = NumpyError::Literal { at: reader.at };
    match (descr, order, shape) {
        (Some(descr), Some(order), Some(shape)) if reader.at == text.len() => {
            Ok(Header { descr, order, shape })
        }
        _ => Err(wrong),
    }
}

struct Reader<'h> {
    text: &'h str,
    at: usize,
}

impl<'h> Reader<'h> {
    fn rest(&self) -> &'h str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\n']).len();
    }

    /// Skips white space, then takes a text if it stands there.
    fn take(&mut self, text: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), NumpyError> {
        if self.take(text) { Ok(()) } else { Err(NumpyError::Literal { at: self.at }) }
    }

    /// A string in single or double quotes, without escapes.
    fn string(&mut self) -> Result<&'h str, NumpyError> {
        let quote = if self.take("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let wrong = NumpyError::Literal { at: self.at };
        let (inside, _) = self.rest().split_once(quote).ok_or(wrong.clone())?;
        if inside.contains(|c: char| c == '\\' || c.is_control()) {
            return Err(wrong);
        }
        self.at += inside.len() + 1;
        Ok(inside)
    }

    /// A string; a list is a structure, whose fields may be objects.
    fn descr(&mut self) -> Result<&'h str, NumpyError> {
        if !self.take("[") {
            return self.string();
        }
        let descr = shown(self.rest());
        let objects = ["'|O'", "'O'", "\"|O\"", "\"O\""].iter().any(|object| self.rest().contains(object));
        Err(if objects { NumpyError::Objects { descr } } else { NumpyError::ElementType { descr } })
    }

    /// A tuple of whole numbers.
    fn shape(&mut self) -> Result<Vec<usize>, NumpyError> {
        self.expect("(")?;
        let mut shape = Vec::new();
        let mut commas = 0;
        while !self.take(")") {
            self.skip();
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
            let text = self.rest().get(..digits).unwrap_or_default();
            // Python 2 wrote long numbers with an `L` behind them; current NumPy does not.
            if digits == 0 || (digits > 1 && text.starts_with('0')) {
                return Err(NumpyError::Literal { at: self.at });
            }
            if shape.len() == RANK_MAX {
                return Err(NumpyError::Shape);
            }
            shape.push(text.parse().map_err(|_| NumpyError::Shape)?);
            self.at += digits;
            if self.take(",") {
                commas += 1;
            } else {
                self.expect(")")?;
                break;
            }
        }
        // `(3)` is a number in parentheses, not a tuple.
        if shape.len() == 1 && commas == 0 { Err(NumpyError::Literal { at: self.at }) } else { Ok(shape) }
    }
}
