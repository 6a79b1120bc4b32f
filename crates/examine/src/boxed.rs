//! An examination of a proposed change as a worker is asked for it and answers it. Both sides' words are here, so that they
//! are the same; what the worker says is held against the question by [`Asked::check`].
//!
//! Numbers cross as the bits that they are (CBOR, RFC 8949), so that the box changes no result.

use bytes::Bytes;
use calibration::Level;
use serde::{Deserialize, Serialize};
use statement::Digest;

use crate::change::{Change, Files, Kind};
use crate::depth::Table;
use crate::error::Error;
use crate::examination::{Examination, Progress, Stage, run};
use crate::suite::Suite;
use crate::verdict::last_stage;

/// The files of a side: names within its folder, and the numbers of inputs.
pub type Side = Vec<(String, usize)>;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Threads that compute.
    pub threads: usize,
    /// How far.
    pub level: Level,
    /// SHA-256 of the table that says which examiners work: both sides have the same, or nothing is examined.
    pub depth: Digest,
    /// What kind of change it is.
    pub kind: Kind,
    /// The change.
    pub change: Side,
    /// What it starts from.
    pub base: Side,
    /// The scope's file.
    pub scope: Option<usize>,
    /// Suites by name.
    pub suites: Vec<(String, Side)>,
}

/// An input that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The name that the supervisor gave it.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it.
    pub digest: Digest,
}

/// What is answered, in messages: how far it has come, and at last one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// How far the work has come, from 0 to 1.
    Progress {
        /// The stage.
        stage: Stage,
        /// The share.
        done: f64,
    },
    /// The examination, and what was read.
    Examined {
        /// It.
        examination: Box<Examination>,
        /// All inputs, in their order.
        read: Vec<Read>,
    },
    /// There can be none.
    Unable {
        /// The stable code of the reason.
        code: String,
        /// The reason.
        why: String,
        /// All inputs, in their order.
        read: Vec<Read>,
    },
}

impl Said {
    /// As a message.
    ///
    /// # Errors
    /// The encoder's words.
    pub fn to_message(&self) -> Result<Vec<u8>, String> {
        let mut message = Vec::new();
        ciborium::into_writer(self, &mut message).map_err(|error| error.to_string())?;
        Ok(message)
    }

    /// From a message; none where it is none.
    pub fn read(mut message: &[u8]) -> Option<Self> {
        let said = ciborium::from_reader(&mut message).ok()?;
        message.is_empty().then_some(said)
    }
}

impl Asked {
    /// The table by which examiners work.
    ///
    /// # Errors
    /// [`Error::Depth`].
    pub fn table(level: Level) -> Result<Table, Error> {
        Ok(Table::built_in()?.up_to(last_stage(level)))
    }

    /// SHA-256 of the table that this program has.
    pub fn depth() -> Digest {
        Digest::of(Table::built_in_bytes())
    }

    /// Examines. `inputs` are the bytes of the inputs, in their order.
    ///
    /// # Errors
    /// As [`run`]; a question about inputs that there are not.
    pub fn examine(&self, inputs: &[Bytes], heard: &mut dyn FnMut(Progress)) -> Result<Examination, Error> {
        if self.depth != Self::depth() {
            let reason = "the supervisor has another one: it is of another version".to_owned();
            return Err(Error::Depth { reason });
        }
        let input = |number: usize| {
            let none = || Error::Base { reason: format!("there is no input {number}") };
            inputs.get(number).cloned().ok_or_else(none)
        };
        let files = |side: &Side| -> Result<Files, Error> {
            let entries = side.iter().map(|(name, number)| Ok((name.clone(), input(*number)?)));
            Ok(Files::new(entries.collect::<Result<Vec<_>, Error>>()?))
        };
        let suites = self.suites.iter().map(|(name, side)| Suite::read(name, &files(side)?));
        let suites = suites.collect::<Result<Vec<_>, Error>>()?;
        let mut change = Change::new(files(&self.change)?);
        change.kind = self.kind;
        change.scope = self.scope.map(input).transpose()?;
        run(&change, &files(&self.base)?, &suites, &Self::table(self.level)?, heard)
    }

    /// Whether an examination can be the answer to this.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self, examination: &Examination) -> Result<(), String> {
        let table = Self::table(self.level).map_err(|error| error.to_string())?;
        examination.check(self.kind, &table)?;
        let given: &[&str] = if self.scope.is_some() { &["scope"] } else { &[] };
        examination.check_excuses(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            threads: 1,
            level: Level::Screen,
            depth: Asked::depth(),
            kind: Kind::Adapter,
            change: vec![("adapter_config.json".to_owned(), 0)],
            base: Vec::new(),
            scope: Some(0),
            suites: Vec::new(),
        }
    }

    #[test]
    fn numbers_cross_as_they_are_and_what_is_left_over_is_no_message() {
        let mut examination = Examination::default();
        examination.measures.insert("strange".to_owned(), f64::NAN);
        let said = Said::Examined { examination: Box::new(examination), read: Vec::new() };
        let mut message = said.to_message().unwrap();
        let Some(Said::Examined { examination, .. }) = Said::read(&message) else { panic!("another word") };
        assert!(examination.measures["strange"].is_nan());
        message.push(0);
        assert!(Said::read(&message).is_none());
        assert!(Said::read(b"no message").is_none());
    }

    #[test]
    fn an_empty_examination_answers_nothing() {
        assert!(asked().check(&Examination::default()).is_err());
    }

    #[test]
    fn inputs_and_tables_that_there_are_not_are_refused() {
        let none = asked().examine(&[], &mut |_| ()).unwrap_err();
        assert_eq!(none.code(), "CS-EXM-003");
        let other = Asked { depth: Digest::of(b"another table"), ..asked() };
        assert_eq!(other.examine(&[Bytes::new()], &mut |_| ()).unwrap_err().code(), "CS-EXM-005");
    }
}
