use std::collections::{BTreeMap, BTreeSet};

use super::{ISSUED_MS, digest, key, key_id, state, statement_id, text, texts};
use crate::bytes::Bytes;
use crate::key::{PublicKey, RelyingParty, Scheme};
use crate::kind::{
    Assurance, AttestingHost, BindingLevel, CalibrationStep, CapabilityLevel, Capacity, DirectoryEntry,
    EvidenceKind, Freeze, FreezeAction, FreezeTarget, Grant, GrantPurpose, ImpactRules, Isolation, Level,
    LevelFloor, Limits, LogIdentity, ModificationKind, Policy, PolicyRules, Revocation, RevocationTarget,
    Role, RoleRule, RootKey, Slot, Tier, TierRule, TrustRoot, ValueFloor, WitnessKey, Witnesses, WorkerRule,
};

const DAY_MS: u64 = 86_400_000;

fn role(keys: &[&str], threshold: u32) -> RoleRule {
    RoleRule { keys: keys.iter().map(|label| key_id(label)).collect(), threshold }
}

fn root_key(label: &str, person: &str, assurance: Assurance) -> (crate::KeyId, RootKey) {
    (key_id(label), RootKey { assurance, key: key(label), person: text(person) })
}

pub(super) fn trust_root() -> TrustRoot {
    TrustRoot {
        epoch: 2,
        expires_ms: ISSUED_MS + 365 * DAY_MS,
        keys: BTreeMap::from([
            root_key("ada's key", "p-ada", Assurance::Hardware),
            root_key("ben's key", "p-ben", Assurance::Sealed),
            root_key("log's key", "p-cleo", Assurance::Unsealed),
        ]),
        log: LogIdentity {
            key: "example.com/log+1c5b8a3f+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".to_owned(),
            origin: "example.com/log".to_owned(),
        },
        previous: Some(statement_id("trust root one")),
        roles: BTreeMap::from([
            (Role::Root, role(&["ada's key", "ben's key"], 2)),
            (Role::DirectoryOfficer, role(&["ada's key", "ben's key"], 2)),
            (Role::PolicyOfficer, role(&["ada's key", "ben's key"], 2)),
            (Role::Log, role(&["log's key"], 1)),
        ]),
        witnesses: Witnesses {
            keys: BTreeSet::from([
                WitnessKey { key: "witness.example/one+0a0b0c0d+BAEC".to_owned(), person: text("p-dora") },
                WitnessKey { key: "witness.example/two+0e0f1011+BAMF".to_owned(), person: text("p-emil") },
            ]),
            threshold: 1,
        },
    }
}

pub(super) fn directory_entry() -> DirectoryEntry {
    let site =
        RelyingParty { id: "example.com".to_owned(), origin: "https://console.example.com".to_owned() };
    DirectoryEntry {
        assurance: Assurance::Hardware,
        capacities: BTreeSet::from([Capacity::Technical, Capacity::Security]),
        clearance: Tier::High,
        key: PublicKey {
            public: Bytes::new(key("ada's passkey").public.into_vec()),
            scheme: Scheme::WebauthnEd25519(site),
        },
        not_after_ms: ISSUED_MS + 180 * DAY_MS,
        person: text("p-ada"),
        profile: Some(digest("ada's profile, salted")),
        roles: BTreeSet::from([Role::Approver, Role::Operator]),
    }
}

fn floors(steps: &[(i64, Tier)]) -> Vec<ValueFloor> {
    steps.iter().map(|(from, tier)| ValueFloor { from: *from, tier: *tier }).collect()
}

fn by_kind(adapter: i64, prompt: i64) -> BTreeMap<ModificationKind, i64> {
    BTreeMap::from([(ModificationKind::Adapter, adapter), (ModificationKind::Prompt, prompt)])
}

fn tier_rule(approvals: u32, capacities: &[Capacity], evidence: &[EvidenceKind]) -> TierRule {
    TierRule {
        approvals,
        automated: approvals < 3,
        binding: BindingLevel::Launched,
        capacities: capacities.iter().copied().collect(),
        evidence: evidence.iter().copied().collect(),
        examiners: 1,
        families: None,
        worker: None,
    }
}

pub(super) fn policy() -> Policy {
    let minimal = tier_rule(1, &[Capacity::Automation, Capacity::Oversight], &[EvidenceKind::Scope]);
    let medium = tier_rule(
        3,
        &[Capacity::Technical, Capacity::Ethics],
        &[EvidenceKind::Scope, EvidenceKind::Screen, EvidenceKind::SecurityReview],
    );
    let worker = WorkerRule {
        attested_by: BTreeSet::from([AttestingHost::Tpm2, AttestingHost::Tdx]),
        boundaries: BTreeSet::from([text("landlock")]),
        isolation: Isolation::Deep,
    };
    let medium = TierRule { families: Some(2), worker: Some(worker), ..medium };
    Policy {
        cedar: "permit(principal, action == Action::\"approve\", resource)\nwhen { principal.clearance >= resource.tier };\n"
            .to_owned(),
        rules: PolicyRules {
            automatic_drift_ppm_max: 50_000,
            calibrations: BTreeSet::new(),
            impact: ImpactRules {
                calibration: vec![
                    CalibrationStep { from_z: 0, log10_milli: -6_000 },
                    CalibrationStep { from_z: 400, log10_milli: -4_200 },
                ],
                cuts: floors(&[(500, Tier::Low), (1_500, Tier::Medium), (3_000, Tier::High)]),
                depth: by_kind(300, 100),
                impact_floors: floors(&[(6_000, Tier::Low), (8_000, Tier::High)]),
                level_floors: vec![
                    LevelFloor { level: Level::Knowledge, tier: Tier::Low },
                    LevelFloor { level: Level::Mechanism, tier: Tier::High },
                ],
                offset: -760,
                reliability_floors: floors(&[(200, Tier::Low), (500, Tier::Medium)]),
                undetectability: by_kind(250, 400),
                weight_depth: 1_000,
                weight_reliability: 3_000,
                weight_scope: 2_000,
                weight_undetectability: 2_001,
            },
            limits: Limits {
                approval_max_ms: 7 * DAY_MS,
                clock_ahead_max_ms: 300_000,
                clock_behind_max_ms: DAY_MS,
                finding_max_ms: 30 * DAY_MS,
                grant_max_ms: 90 * DAY_MS,
                order_admit_max_ms: 2 * DAY_MS,
                order_serve_max_ms: 91 * DAY_MS,
            },
            modification_evidence: BTreeMap::from([
                (ModificationKind::Adapter, BTreeSet::from([EvidenceKind::Probe, EvidenceKind::Alignment])),
                (ModificationKind::Prompt, BTreeSet::from([EvidenceKind::RedTeam, EvidenceKind::Regression])),
            ]),
            tiers: BTreeMap::from([(Tier::Minimal, minimal), (Tier::Medium, medium)]),
            workers: BTreeMap::from([
                (digest("worker code"), BTreeSet::from([EvidenceKind::Scope, EvidenceKind::Screen])),
                (digest("older worker code"), BTreeSet::from([EvidenceKind::Scope])),
            ]),
        },
        schema: digest("cedar schema"),
        supersedes: Some(statement_id("policy one")),
    }
}

pub(super) fn slot() -> Slot {
    Slot {
        baseline: state("state zero"),
        checkpoint_age_max_ms: 600_000,
        contexts: texts(&["claims", "underwriting"]),
        fallback: state("state safe"),
        impact_milli: 6_000,
        modifications: BTreeSet::from([ModificationKind::Adapter, ModificationKind::Prompt]),
        scopes: BTreeMap::from([
            (Level::Tuning, digest("scope file")),
            (Level::Knowledge, digest("scope two")),
        ]),
        slot: text("eu/claims"),
        supersedes: Some(statement_id("slot one")),
    }
}

pub(super) fn grant() -> Grant {
    Grant {
        changes_max: 20,
        contexts: texts(&["claims", "underwriting"]),
        expires_ms: ISSUED_MS + 30 * DAY_MS,
        grantee: key_id("automation's key"),
        level_max: Level::Tuning,
        modifications: BTreeSet::from([ModificationKind::Adapter, ModificationKind::Prompt]),
        not_before_ms: ISSUED_MS,
        purpose: GrantPurpose::Approve,
        renews: Some(statement_id("grant one")),
        slots: texts(&["eu/claims", "us/claims"]),
        tier_max: Tier::Low,
    }
}

pub(super) fn revocation() -> Revocation {
    Revocation {
        reason: text("device-stolen"),
        target: RevocationTarget::Key { compromised_since: 318, key: key_id("ben's key") },
    }
}

pub(super) fn capability_level() -> CapabilityLevel {
    CapabilityLevel {
        level: Some(Level::Tuning),
        key: key_id("proposing model's key"),
        reason: text("twelve-clean-changes"),
        slot: text("eu/claims"),
    }
}

pub(super) fn freeze() -> Freeze {
    Freeze {
        action: FreezeAction::Begin,
        reason: text("incident"),
        target: FreezeTarget::Slot(text("eu/claims")),
    }
}
