use super::{digest, digests, key_id, state, statement_id, text, texts};
use crate::kind::{Attempt, Hold, HoldAction, Purge, Retirement};

pub(super) fn hold() -> Hold {
    Hold {
        action: HoldAction::Place,
        matter: text("case-2027-0042"),
        targets: digests(&["claims 2026", "claims 2027"]),
    }
}

pub(super) fn purge() -> Purge {
    Purge { basis: text("erasure-request"), targets: digests(&["claims 2024", "claims 2025"]) }
}

pub(super) fn retirement() -> Retirement {
    Retirement { reason: text("superseded"), slot: text("eu/claims"), state: state("state zero") }
}

pub(super) fn attempt() -> Attempt {
    Attempt {
        action: text("approve"),
        reasons: texts(&["proposer-approves-own-change", "clearance-too-low"]),
        request: Some(digest("request")),
        requester: Some(key_id("mallory's key")),
        subject: Some(statement_id("proposal")),
    }
}
