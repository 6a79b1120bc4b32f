//! Collects what is found in a file.

use std::collections::BTreeMap;

use super::Looked;
pub(super) use crate::finding::shown;
use crate::finding::{Finding, Place, Severity};
use crate::kind::Kind;
use crate::report::{Examined, More, Seen, Unexamined};
use crate::rules::Rules;

/// Findings of one rule in one file that are listed; the rest are counted.
const LISTED_MAX: u64 = 20;

/// What is known of a file so far.
#[derive(Debug)]
pub(crate) struct Notes<'r> {
    pub(crate) rules: &'r Rules,
    path: String,
    looked: Looked,
    /// Findings by rule.
    counts: BTreeMap<String, u64>,
}

impl<'r> Notes<'r> {
    pub(super) fn new(rules: &'r Rules, path: &str) -> Self {
        Self { rules, path: path.to_owned(), looked: Looked::default(), counts: BTreeMap::new() }
    }

    /// A finding of the rule. A rule that is not in the catalogue weighs as an error.
    pub(crate) fn find(
        &mut self,
        rule: &'static str,
        place: Place,
        message: String,
        evidence: impl IntoIterator<Item = String>,
    ) {
        let count = self.counts.entry(rule.to_owned()).or_default();
        *count += 1;
        if *count > LISTED_MAX {
            return;
        }
        self.looked.findings.push(Finding {
            rule: rule.to_owned(),
            severity: self.rules.rule(rule).map_or(Severity::Error, |rule| rule.severity),
            path: self.path.clone(),
            place,
            message,
            evidence: evidence.into_iter().collect(),
        });
    }

    /// Something that was not looked at.
    pub(crate) fn unexamined(&mut self, why: &str) {
        self.looked.unexamined.push(Unexamined { path: self.path.clone(), why: why.to_owned() });
    }

    /// What this file was, and how much of it was looked at.
    pub(crate) fn seen(&mut self, kind: Kind, bytes: u64, examined: Examined) {
        self.looked.seen.push(Seen { path: self.path.clone(), kind, bytes, examined });
    }

    /// Looks into a member of this file under its own name; what it finds is added here.
    pub(crate) fn member(&mut self, name: &str, look: impl FnOnce(&mut Notes<'r>)) {
        let mut inner = Notes::new(self.rules, &format!("{}!{name}", self.path));
        look(&mut inner);
        let inner = inner.looked();
        self.looked.seen.extend(inner.seen);
        self.looked.findings.extend(inner.findings);
        self.looked.more.extend(inner.more);
        self.looked.unexamined.extend(inner.unexamined);
    }

    /// Adds what was found in a part of this file.
    pub(super) fn take(&mut self, part: Looked) {
        for finding in part.findings {
            let count = self.counts.entry(finding.rule.clone()).or_default();
            *count += 1;
            if *count <= LISTED_MAX {
                self.looked.findings.push(finding);
            }
        }
        self.looked.unexamined.extend(part.unexamined);
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn looked(mut self) -> Looked {
        for (rule, count) in self.counts {
            if count > LISTED_MAX {
                let more = More { rule, path: self.path.clone(), findings: count - LISTED_MAX };
                self.looked.more.push(more);
            }
        }
        self.looked
    }
}
