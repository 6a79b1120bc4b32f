//! What is kept beside a signed finding, so that whoever has it can judge again.

use serde::{Deserialize, Serialize};
use statement::{Digest, StatementId};

use crate::error::Error;
use crate::judge::{Judgement, judge};
use crate::looked::{Cell, Level, Looked, Number};
use crate::shown;
use crate::table::Table;

/// The form of the evidence, with its version.
pub const FORM: &str = "countersign-examined/1";

/// Most bytes of it.
const BYTES_MAX: usize = 1 << 20;

/// The evidence of an examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// [`FORM`].
    pub form: String,
    /// The proposal that was examined.
    pub proposal: StatementId,
    /// How far.
    pub level: Level,
    /// The level of significance.
    pub alpha: Number,
    /// SHA-256 of the calibration's file; none where none was given.
    pub calibration: Option<Digest>,
    /// SHA-256 of the table that says which examiners work.
    pub depth: Digest,
    /// What the examination came to.
    pub looked: Looked,
    /// Every class of attack in every layer.
    pub coverage: Vec<Cell>,
}

impl Evidence {
    /// Whether bytes are meant to be such evidence.
    pub fn is_meant(bytes: &[u8]) -> bool {
        const HEAD: &str = "{\"form\":\"countersign-examined/";
        bytes.starts_with(HEAD.as_bytes())
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`Error::Evidence`] where it is too long to be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let refused = |reason: String| Error::Evidence { reason };
        let bytes = serde_json::to_vec(self).map_err(|error| refused(error.to_string()))?;
        if bytes.len() > BYTES_MAX {
            return Err(refused(format!("it has {} bytes, more than {BYTES_MAX}", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Evidence`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |reason: String| Error::Evidence { reason };
        if bytes.len() > BYTES_MAX {
            return Err(refused(format!("it has {} bytes, more than {BYTES_MAX}", bytes.len())));
        }
        let evidence: Self =
            serde_json::from_slice(bytes).map_err(|cause| refused(shown(&cause.to_string())))?;
        if evidence.form != FORM {
            return Err(refused(format!("`{}` is not `{FORM}`", shown(&evidence.form))));
        }
        if !(evidence.alpha.0 > 0.0 && evidence.alpha.0 < 1.0) {
            return Err(refused("its level of significance is none".to_owned()));
        }
        Ok(evidence)
    }

    /// What follows from it; `calibration` is the file that it names.
    ///
    /// # Errors
    /// [`Error::Calibration`] where the file is not the one that is named, or is none.
    pub fn judge(&self, calibration: Option<&[u8]>) -> Result<Judgement, Error> {
        let refused = |reason: &str| Error::Calibration { reason: reason.to_owned() };
        let table = match (self.calibration, calibration) {
            (None, _) => None,
            (Some(named), Some(bytes)) if Digest::of(bytes) == named => Some(Table::read(bytes)?),
            (Some(_), Some(_)) => return Err(refused("it is not the one that the evidence names")),
            (Some(_), None) => return Err(refused("it is not there")),
        };
        Ok(judge(&self.looked, self.level, table.as_ref(), self.alpha.0))
    }
}

#[cfg(test)]
mod tests;
