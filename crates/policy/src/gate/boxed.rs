//! What a tier asks of the boxes that workers' findings come from: how strict, which boundaries, who attests them.
//!
//! What this module does not do: verify an attestation. Its bytes are an attachment, which auditors verify; what stands in the
//! finding is the word of the examiner who signed it, as that of the box is.

use dossier::{Code, Reason, Recorded, Refusal};
use statement::kind::{Finding, Isolation, WorkerRule};

/// What a worker's box lacks of what the tier asks for. What a person looked at has no box.
pub(super) fn lacks(
    finding: &Recorded<Finding>,
    asked: &Result<Option<&WorkerRule>, Refusal>,
) -> Vec<Reason> {
    let rule = match asked {
        Ok(Some(rule)) => *rule,
        Ok(None) => return Vec::new(),
        Err(refusal) => return refusal.reasons().cloned().collect(),
    };
    let body = &finding.body;
    if body.worker.is_none() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let mut wrong = |code, lacks: &str| {
        reasons.push(Reason::new(code, format!("{} {}: {lacks}", body.evidence, finding.id)));
    };
    if body.isolation < rule.isolation {
        wrong(Code::WorkerBoxTooOpen, &format!("its isolation is not {}", isolation_name(rule.isolation)));
    }
    for boundary in rule.boundaries.difference(&body.boundaries) {
        wrong(Code::WorkerBoxTooOpen, boundary.as_str());
    }
    let hosts = body.attested.as_ref().map(|attested| &attested.hosts);
    if !rule.attested_by.is_empty() && hosts.is_none_or(|hosts| hosts.is_disjoint(&rule.attested_by)) {
        let kinds: Vec<&str> = rule.attested_by.iter().map(|host| host.name()).collect();
        wrong(Code::WorkerUnattested, &format!("one of {}", kinds.join(", ")));
    }
    reasons
}

const fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Manual => "manual",
        Isolation::Process => "process",
        Isolation::Standard => "standard",
        Isolation::Deep => "deep",
        Isolation::Gvisor => "gvisor",
    }
}
