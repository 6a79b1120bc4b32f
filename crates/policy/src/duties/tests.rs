mod decide;
mod load;
mod matrix;
mod separation;

use super::*;

const NOW_MS: u64 = 1_790_000_000_000;

fn duties() -> Duties {
    Duties::load(DEFAULT_TEXT, &schema_digest()).unwrap()
}

fn person(name: &str) -> PersonId {
    name.parse().unwrap()
}

fn persons(names: &[&str]) -> BTreeSet<PersonId> {
    names.iter().map(|name| person(name)).collect()
}

/// A person of that name, or a machine that they answer for, with one key of good standing and these roles.
fn actor(name: &str, roles: &[Role]) -> Actor {
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    let kind = ActorKind::of_roles(&roles);
    Actor {
        key: KeyId::from_digest(Digest::of(name.as_bytes())),
        person: person(name),
        roles,
        clearance: Tier::High,
        assurance: match kind {
            ActorKind::Person => Assurance::Sealed,
            ActorKind::Automation => Assurance::Unsealed,
        },
        kind,
    }
}

const LEVELS: [Level; 4] = [Level::Tuning, Level::Knowledge, Level::Architecture, Level::Mechanism];

/// The level that goes with a tier where all is as it should be.
fn level_of(tier: Tier) -> Level {
    match tier {
        Tier::Minimal => Level::Tuning,
        Tier::Low => Level::Knowledge,
        Tier::Medium => Level::Architecture,
        Tier::High => Level::Mechanism,
    }
}

/// A change for which everything is there that the tier asks for, and nobody has a hat on.
fn complete(tier: Tier) -> Facts {
    let (approvals, human_approvals) = match tier {
        Tier::Minimal => (1, 0),
        Tier::Low => (2, 1),
        Tier::Medium => (3, 3),
        Tier::High => (5, 5),
    };
    Facts {
        proposers: BTreeSet::new(),
        examiners: BTreeSet::new(),
        compliance: BTreeSet::new(),
        approvers: BTreeSet::new(),
        operators: BTreeSet::new(),
        tier,
        level: level_of(tier),
        approvals,
        human_approvals,
        evidence: BTreeSet::from([
            EvidenceKind::Scope,
            EvidenceKind::FormalVerification,
            EvidenceKind::SecurityReview,
            EvidenceKind::ExternalAudit,
        ]),
        in_bounds: true,
        frozen: false,
        on_hold: false,
        authorised_until_ms: NOW_MS + 1,
    }
}

fn ids(decision: &Decision) -> Vec<&str> {
    match decision {
        Decision::Permit { policies } | Decision::Deny { policies, .. } => {
            policies.iter().map(Name::as_str).collect()
        }
    }
}
