//! A trace as a file: a line that names the form, then each leaf on a line. Canonical JSON has no line breaks in it.

use crate::step::{STEP_BYTES_MAX, STEPS_MAX};
use crate::{Trace, TraceError};

/// The first line.
pub const FORM: &str = "countersign-trace/1";
/// The largest file.
pub const TRACE_BYTES_MAX: usize = 16 << 20;

impl Trace {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = FORM.as_bytes().to_vec();
        for leaf in &self.leaves {
            bytes.push(b'\n');
            bytes.extend_from_slice(leaf);
        }
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file. What is read is written again byte for byte.
    ///
    /// # Errors
    /// [`TraceError::Form`], [`TraceError::Size`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        if bytes.len() > TRACE_BYTES_MAX {
            return Err(TraceError::Size { what: "the length of the file", limit: TRACE_BYTES_MAX });
        }
        let form = |leaf, why: &str| TraceError::Form { leaf, why: why.to_owned() };
        let bytes = bytes.strip_suffix(b"\n").ok_or_else(|| form(0, "it does not end with a line"))?;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        if lines.next() != Some(FORM.as_bytes()) {
            return Err(form(0, "it does not begin with its form"));
        }
        let mut steps = Vec::new();
        for (leaf, line) in lines.enumerate() {
            if leaf >= STEPS_MAX {
                return Err(TraceError::Size { what: "the number of steps", limit: STEPS_MAX });
            }
            if line.len() > STEP_BYTES_MAX {
                return Err(TraceError::Size { what: "the length of a step", limit: STEP_BYTES_MAX });
            }
            let step = Self::parse_step(line, leaf)?;
            if step.leaf()? != line {
                return Err(form(leaf, "it is not written canonically"));
            }
            steps.push(step);
        }
        Self::new(steps)
    }
}
