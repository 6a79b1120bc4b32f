use std::collections::{BTreeMap, BTreeSet};

use super::{change_id, digest, digests, state, statement_id, statement_ids, text, texts};
use crate::kind::{
    Approval, Artefact, AttestedBy, AttestingHost, Capacity, Component, ComponentRole, EvidenceKind, Finding,
    Isolation, Level, Manifest, ModificationKind, Outcome, Proposal, Proposer, Rejection, Score, ScoreTerm,
    ServedState, Tier, TraceRoot, Verdict, Violation,
};

fn artefact(name: &str, bytes: u64) -> Artefact {
    Artefact { bytes, digest: digest(name), name: text(name) }
}

fn component(name: &str, role: ComponentRole) -> Component {
    Component { digest: digest(name), name: text(name), role }
}

pub(super) fn manifest() -> Manifest {
    Manifest {
        components: vec![
            component("base.safetensors", ComponentRole::Weights),
            component("q4_k_m", ComponentRole::Quantisation),
            component("adapter.safetensors", ComponentRole::Adapter),
            component("tokenizer.json", ComponentRole::Tokenizer),
            component("chat_template.jinja", ComponentRole::Template),
            component("system-prompt.txt", ComponentRole::Prompt),
            component("handbook-index", ComponentRole::Index),
            component("sampling.json", ComponentRole::Sampling),
            component("engine-1.4.2", ComponentRole::Engine),
        ],
    }
}

pub(super) fn proposal() -> Proposal {
    Proposal {
        artefacts: BTreeSet::from([
            artefact("adapter_config.json", 812),
            artefact("adapter_model.safetensors", 9_437_184),
        ]),
        base_state: state("state one"),
        contexts: texts(&["claims", "underwriting"]),
        grant: Some(statement_id("grant")),
        level: Level::Tuning,
        modification: ModificationKind::Adapter,
        proposer: Proposer::Model { sponsor: text("p-ada"), state: state("state one") },
        replaces: Some(statement_id("earlier proposal")),
        scope: digest("scope file"),
        slot: text("eu/claims"),
        summary: Some(digest("summary, salted")),
        target_state: state("state two"),
        training_data: digests(&["claims 2026", "claims 2027"]),
    }
}

pub(super) fn finding() -> Finding {
    Finding {
        attachments: digests(&["report.html", "deltas.json", "trace, salted", "attestation, salted"]),
        attested: Some(AttestedBy {
            attachment: digest("attestation, salted"),
            hosts: BTreeSet::from([AttestingHost::Tpm2]),
        }),
        boundaries: BTreeSet::from([text("landlock"), text("network-namespace"), text("system-calls")]),
        evidence: EvidenceKind::Scope,
        examiner: text("scope-examiner-1.0.0"),
        inputs: digests(&["adapter_config.json", "adapter_model.safetensors", "scope file"]),
        isolation: Isolation::Standard,
        measures: BTreeMap::from([(text("delta_frobenius_ppm"), 61_000), (text("headroom_ppm"), -11_000)]),
        outcome: Outcome::Fail,
        proposal: statement_id("proposal"),
        trace: Some(TraceRoot {
            attachment: digest("trace, salted"),
            leaves: 6,
            root: digest("root of the trace"),
        }),
        violations: BTreeSet::from([
            Violation {
                code: text("norm-over-limit"),
                limit: Some(50_000),
                measured: Some(61_000),
                place: "model.layers.3.self_attn.q_proj".to_owned(),
            },
            Violation {
                code: text("module-out-of-scope"),
                limit: None,
                measured: None,
                place: "model.layers.3.mlp.gate_proj".to_owned(),
            },
        ]),
        violations_left_out: 2,
        worker: Some(digest("worker code")),
    }
}

fn term(factor: &str, input: i64, points: i64) -> ScoreTerm {
    ScoreTerm { factor: text(factor), input, points }
}

pub(super) fn verdict() -> Verdict {
    Verdict {
        decider: text("policy-1.0.0"),
        findings: statement_ids(&["scope finding", "screen finding"]),
        outcome: Outcome::Pass,
        policy: statement_id("policy"),
        proposal: statement_id("proposal"),
        reasons: texts(&["external-audit-missing", "three-persons-needed"]),
        score: Score {
            risk: 1_800,
            terms: vec![
                term("scope", 120, 240),
                term("depth", 300, 300),
                term("reliability", 40, 120),
                term("undetectability", 250, 500),
                term("offset", 0, -760),
                term("calibration", 0, -4_200),
                term("impact", 0, 6_000),
            ],
            tier: Tier::Medium,
            tier_reasons: texts(&["cut-1500", "level-floor-tuning"]),
            vector: "MIS:1.0/S:120/D:300/R:40/U:250/I:6000".to_owned(),
        },
        tree_size: 421,
    }
}

pub(super) fn approval() -> Approval {
    Approval {
        artefacts: digests(&["adapter_config.json", "adapter_model.safetensors"]),
        capacity: Capacity::Technical,
        expires_ms: super::ISSUED_MS + 604_800_000,
        findings: statement_ids(&["scope finding", "screen finding"]),
        grant: Some(statement_id("grant")),
        note: Some(digest("note, salted")),
        policy: statement_id("policy"),
        proposal: statement_id("proposal"),
        risk: -1_200,
        target_state: state("state two"),
        tier: Tier::Medium,
        verdict: statement_id("verdict"),
    }
}

pub(super) fn rejection() -> Rejection {
    Rejection {
        note: Some(digest("note, salted")),
        proposal: statement_id("proposal"),
        reason: text("training-data-unclear"),
    }
}

pub(super) fn served_state() -> ServedState {
    ServedState {
        manifest: manifest(),
        parents: BTreeSet::from([state("state one"), state("state zero")]),
        made_by: Some(change_id()),
    }
}
