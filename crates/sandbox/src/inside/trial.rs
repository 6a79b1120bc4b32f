//! The boundaries tried from inside, before a job is read: a filter that is in force and lets things through is none.

use std::io;

use crate::raw;

/// Tries what the filter must refuse. Call it while a refusal is an answer and not yet the end.
pub(super) fn try_boundaries() -> io::Result<()> {
    match raw::reached() {
        None => Ok(()),
        Some(name) => Err(io::Error::other(format!("the system call `{name}` was let through"))),
    }
}
