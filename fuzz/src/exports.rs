//! `audit`: a whole export, which decides everything again.

use audit::{Expectations, audit};

pub(crate) fn export_audit(data: &[u8]) {
    match audit(data, &Expectations::none()) {
        Ok(report) => assert!(report.to_json().is_ok()),
        Err(error) => assert!(error.code().starts_with("CS-") && !error.hint().is_empty()),
    }
}
