//! A look at a Cedar text before it is parsed: how deep it nests, how long its chains are.
//!
//! Cedar reads, checks and evaluates expressions recursively, on the caller's stack. A text of a few kilobytes can nest
//! deep enough to exhaust it, which would end the process instead of giving an answer; and a little less deep, Cedar
//! refuses to evaluate by what is left of the stack, so that one text would be decided differently in two programs.
//! Within these bounds two mebibytes of stack are enough even without optimisation, which a test shows.

use crate::error::{Place, PolicyError};

/// Brackets within brackets at most.
pub(super) const NESTING_MAX: usize = 32;

/// Operators that join or follow expressions, in one policy, at most.
pub(super) const JOINTS_MAX: usize = 32;

/// Checks nesting and chains, policy by policy. What is no Cedar at all is left for the parser to say.
pub(super) fn check(text: &str) -> Result<(), PolicyError> {
    let (mut nesting, mut joints) = (0_usize, 0_usize);
    let mut before = ' ';
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                while let Some((_, inside)) = characters.next() {
                    match inside {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if before == '/' => while characters.next_if(|(_, inside)| *inside != '\n').is_some() {},
            '(' | '[' | '{' => nesting += 1,
            ')' | ']' | '}' => nesting = nesting.saturating_sub(1),
            // Policies end here; inside brackets it would be no Cedar.
            ';' => (nesting, joints) = (0, 0),
            '.' | '+' | '-' | '*' | '!' => joints += 1,
            '&' | '|' if before == character => joints += 1,
            // Of words only `if` nests without brackets; a name that ends so is counted too.
            'f' if before == 'i' => joints += 1,
            _ => {}
        }
        if nesting > NESTING_MAX || joints > JOINTS_MAX {
            return Err(PolicyError::TooIntricate(Place::of(text, at)));
        }
        before = character;
    }
    Ok(())
}
