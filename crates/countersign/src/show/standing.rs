//! What stands on keys that were revoked: it still counts, for it was said before the key was stolen, and should be
//! looked at.

use std::collections::BTreeSet;

use dossier::{Actor, Dossier};
use serde_json::{Value, json};
use statement::KeyId;

use crate::realm::Record;
use crate::text::word;

/// The revoked keys that a change stands on, with what each signed.
fn revoked(realm: &Record<impl Sized>, dossier: &Dossier) -> BTreeSet<(KeyId, String, String)> {
    let compromised = realm.ledger().compromised();
    let mut found = BTreeSet::new();
    let mut look = |signers: &[Actor], what: String| {
        for signer in signers.iter().filter(|signer| compromised.contains_key(&signer.key)) {
            found.insert((signer.key, signer.person.to_string(), what.clone()));
        }
    };
    look(&dossier.proposal.signers, "proposal".to_owned());
    for finding in dossier.findings.values() {
        look(&finding.signers, word(&finding.body.evidence));
    }
    if let Some(verdict) = &dossier.verdict {
        look(&verdict.signers, "verdict".to_owned());
    }
    for approval in dossier.approvals.values() {
        look(&approval.signers, format!("{} approval", word(&approval.body.capacity)));
    }
    if let Some(order) = &dossier.order {
        look(&order.signers, "order".to_owned());
    }
    found
}

/// For scripts.
pub(super) fn told(realm: &Record<impl Sized>, dossier: &Dossier) -> Value {
    let all = revoked(realm, dossier).into_iter();
    all.map(|(key, person, what)| json!({ "key": key, "person": person, "signed": what })).collect()
}

/// For people; none where no key was revoked.
pub(super) fn line_of(realm: &Record<impl Sized>, dossier: &Dossier) -> Option<String> {
    let all: Vec<String> =
        revoked(realm, dossier).into_iter().map(|(_, person, what)| format!("{what} by {person}")).collect();
    (!all.is_empty()).then(|| format!("STANDS ON REVOKED KEYS: {}", all.join(", ")))
}
