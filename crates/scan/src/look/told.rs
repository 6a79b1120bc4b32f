//! What a worker says it saw, checked before it is believed: it may be taken over by the very file that it reads.
//!
//! A taken-over worker can keep silent about what it found; that is why it runs in a box and why a clean answer means no
//! more than it does. What it cannot do is speak about other files, invent rules or weights, or reach a terminal.

use super::Looked;
use crate::Error;
use crate::finding::{Place, shown};
use crate::kind::Kind;
use crate::rules::Rules;

/// Longest message, reason, evidence and name, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most pieces of evidence of a finding.
const EVIDENCE_MAX: usize = 10_000;

impl Looked {
    /// Whether this can have been seen in the file of that path, of so many bytes (none for what is no file).
    ///
    /// # Errors
    /// [`Error::Told`] says what cannot be.
    pub fn check(&self, path: &str, bytes: Option<u64>, rules: &Rules) -> Result<(), Error> {
        let wrong = |why: String| Error::Told { path: shown(path), why };
        let own = |named: &str| {
            named.len() <= TEXT_BYTES_MAX
                && (named == path || named.strip_prefix(path).is_some_and(|rest| rest.starts_with('!')))
        };
        let other = |named: &str| wrong(format!("it speaks of `{}`", shown(named)));
        let mut whole = self.seen.iter().filter(|seen| seen.path == path);
        match (whole.next(), whole.next()) {
            (Some(seen), None) if seen.bytes == bytes.unwrap_or(0) => {}
            // It could not read what was open for it, and says so.
            (Some(seen), None) if seen.kind == Kind::NoFile && seen.bytes == 0 => {}
            _ => return Err(wrong("it does not name the file once, with its length".to_owned())),
        }
        if let Some(seen) = self.seen.iter().find(|seen| !own(&seen.path)) {
            return Err(other(&seen.path));
        }
        for finding in &self.findings {
            if !own(&finding.path) {
                return Err(other(&finding.path));
            }
            match rules.rule(&finding.rule) {
                Some(rule) if rule.severity == finding.severity => {}
                _ => return Err(wrong(format!("there is no rule `{}` of its weight", shown(&finding.rule)))),
            }
            if !plain(&finding.message) || finding.evidence.len() > EVIDENCE_MAX {
                return Err(wrong("a message is none".to_owned()));
            }
            let place = match &finding.place {
                Place::Pointer(text) | Place::Tensor(text) | Place::Key(text) | Place::Module(text) => {
                    text.len()
                }
                Place::File | Place::Byte(_) | Place::Line(_) => 0,
            };
            if finding.evidence.iter().map(String::len).chain([place]).any(|length| length > TEXT_BYTES_MAX) {
                return Err(wrong("a piece of evidence is too long".to_owned()));
            }
        }
        for more in &self.more {
            if !own(&more.path) {
                return Err(other(&more.path));
            }
            if rules.rule(&more.rule).is_none() {
                return Err(wrong(format!("there is no rule `{}`", shown(&more.rule))));
            }
        }
        for unexamined in &self.unexamined {
            if !own(&unexamined.path) {
                return Err(other(&unexamined.path));
            }
            if !plain(&unexamined.why) {
                return Err(wrong("a reason is none".to_owned()));
            }
        }
        Ok(())
    }
}

/// Words that may be written to a terminal as they are.
fn plain(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
