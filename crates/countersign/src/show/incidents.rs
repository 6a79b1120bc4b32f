//! Incidents in the record, and what monitors saw: for people who decide whether to go forward again.

use std::collections::BTreeMap;

use dossier::{Dossier, Recorded};
use serde_json::{Value, json};
use statement::kind::{Incident, Observation};
use statement::{Body, Content, StatementId};

use super::printable;
use crate::failure::Done;
use crate::realm::{Attached, Record};
use crate::text::{date, line, word};

/// An observation with its place in the log.
type Seen<'r> = BTreeMap<StatementId, (u64, &'r Observation)>;

/// The incidents of one change, or of all: as JSON, and in words.
pub(crate) fn incidents(realm: &Record<impl Sized>, change: Option<&str>) -> Done<(Value, String)> {
    let dossiers: Vec<&Dossier> = match change {
        Some(name) => vec![realm.dossier(name)?],
        None => realm.ledger().dossiers().filter(|dossier| !dossier.incidents.is_empty()).collect(),
    };
    let seen = observations(realm);
    let mut told = Vec::new();
    let mut text = String::new();
    for dossier in dossiers {
        let count = dossier.incidents.len();
        let head = format!(
            "change {} ({}): {count} incident{}, now {}",
            dossier.change,
            dossier.proposal.body.slot,
            if count == 1 { "" } else { "s" },
            dossier.state.name()
        );
        line(&mut text, &head);
        for incident in &dossier.incidents {
            told.push(one(dossier, incident, &seen));
            in_words(&mut text, realm, incident, &seen);
        }
    }
    if text.is_empty() {
        line(&mut text, "no incident is in the record");
    }
    Ok((json!({ "incidents": told }), text))
}

/// Every observation in the log; which of them had an effect, the fold has said.
fn observations(realm: &Record<impl Sized>) -> Seen<'_> {
    let leaves = realm.entries().iter().filter_map(|entry| entry.leaf().ok());
    leaves
        .filter_map(|leaf| {
            let Content::Known(statement) = &leaf.content else { return None };
            let Body::Observation(observation) = &statement.body else { return None };
            Some((leaf.id, (leaf.index, observation.as_ref())))
        })
        .collect()
}

fn one(dossier: &Dossier, incident: &Recorded<Incident>, seen: &Seen<'_>) -> Value {
    let body = &incident.body;
    let observations: Vec<Value> = body
        .observations
        .iter()
        .map(|id| match seen.get(id) {
            Some((leaf, observation)) => json!({
                "statement": id, "leaf": leaf, "detector": observation.detector, "state": observation.state,
                "from_ms": observation.from_ms, "to_ms": observation.to_ms, "measures": observation.measures,
            }),
            None => json!({ "statement": id }),
        })
        .collect();
    let by: Vec<_> = incident.signers.iter().map(|signer| &signer.person).collect();
    json!({
        "change": dossier.change, "statement": incident.id, "leaf": incident.index,
        "stamp_ms": incident.stamp_ms, "slot": body.slot, "order": body.order, "by": by,
        "severity": body.severity, "response": body.response, "observations": observations,
    })
}

fn in_words(text: &mut String, realm: &Record<impl Sized>, incident: &Recorded<Incident>, seen: &Seen<'_>) {
    let body = &incident.body;
    let by: Vec<&str> = incident.signers.iter().map(|signer| signer.person.as_str()).collect();
    let head = format!(
        "  leaf {:<6} {}  {}: asks to {}  (by {})",
        incident.index,
        date(incident.stamp_ms),
        word(&body.severity),
        word(&body.response),
        by.join(", ")
    );
    line(text, &head);
    for id in &body.observations {
        match seen.get(id) {
            Some((leaf, observation)) => {
                let measures: Vec<String> =
                    observation.measures.iter().map(|(name, value)| format!("{name} {value}")).collect();
                let seen = format!(
                    "    leaf {leaf:<6} {} saw state {}: {}",
                    observation.detector,
                    observation.state.short(),
                    measures.join(", ")
                );
                line(text, &seen);
            }
            None => line(text, &format!("    observation {id} is not in the log")),
        }
    }
    if let Some(digest) = &body.summary {
        let summary = match realm.attached(digest) {
            Attached::Text(text) => printable(&text),
            Attached::Purged => "its summary was purged".to_owned(),
            // Monitors' words are not brought to the log with their statements.
            Attached::Unreadable(_) => "its summary is not in this vault".to_owned(),
        };
        line(text, &format!("    {summary}"));
    }
}
