use statement::kind::{AttestingHost, BindingLevel};

use super::*;

fn defaults() -> PolicyRules {
    default_rules(Workers::new()).unwrap()
}

fn boxed() -> WorkerRule {
    WorkerRule {
        attested_by: BTreeSet::from([AttestingHost::Tpm2, AttestingHost::Tdx]),
        boundaries: BTreeSet::from(["landlock".parse().unwrap()]),
        isolation: Isolation::Deep,
    }
}

fn tier(rules: &mut PolicyRules, tier: Tier) -> &mut TierRule {
    rules.tiers.get_mut(&tier).unwrap()
}

#[test]
fn the_default_policy_loads_and_is_this_version_s() {
    let worker = Digest::of(b"worker");
    let workers = Workers::from([(worker, BTreeSet::from(WORKER_EVIDENCE))]);
    let policy = default_policy(workers.clone()).unwrap();
    assert_eq!(policy.rules.workers, workers);
    duties::Duties::load(&policy.cedar, &policy.schema).unwrap();
    // Signed and stamped it fits an entry of the log: base64 takes a third more, signatures and stamp a little.
    let bytes = json::to_canonical(&policy).unwrap();
    assert!(bytes.len() * 4 / 3 < 40_000, "{} bytes", bytes.len());
}

#[test]
fn the_default_table_is_the_mission_s() {
    let rules = defaults();
    let approvals: Vec<u32> = Tier::ALL.iter().map(|tier| rules.tiers[tier].approvals).collect();
    assert_eq!(approvals, [1, 2, 3, 5]);
    let automated: Vec<bool> = Tier::ALL.iter().map(|tier| rules.tiers[tier].automated).collect();
    assert_eq!(automated, [true, true, false, false]);
    assert!(rules.tiers[&Tier::Low].capacities.contains(&Capacity::Oversight));
    assert!(rules.tiers[&Tier::High].evidence.contains(&EvidenceKind::ExternalAudit));
}

#[track_caller]
fn refused(code: &str, names: &str, break_it: impl FnOnce(&mut PolicyRules)) {
    let mut rules = defaults();
    break_it(&mut rules);
    let error = validate(&rules).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(names), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn stricter_is_taken() {
    let mut rules = defaults();
    tier(&mut rules, Tier::Minimal).automated = false;
    tier(&mut rules, Tier::Low).automated = false;
    tier(&mut rules, Tier::High).approvals = 7;
    tier(&mut rules, Tier::High).evidence.insert(EvidenceKind::RedTeam);
    tier(&mut rules, Tier::High).binding = BindingLevel::Attested;
    validate(&rules).unwrap();
}

#[test]
fn laxer_is_refused() {
    let laxer = |names: &str, break_it: fn(&mut PolicyRules)| refused("CS-POL-016", names, break_it);
    laxer("tier `low` asks for less than 2", |rules| tier(rules, Tier::Low).approvals = 1);
    laxer("tier `medium` asks for less than 3", |rules| tier(rules, Tier::Medium).approvals = 2);
    laxer("tier `high` asks for less than 5", |rules| tier(rules, Tier::High).approvals = 4);
    laxer("`scope`", |rules| {
        tier(rules, Tier::Minimal).evidence.remove(&EvidenceKind::Scope);
    });
    laxer("`formal-verification`", |rules| {
        tier(rules, Tier::Medium).evidence.remove(&EvidenceKind::FormalVerification);
    });
    laxer("`security-review`", |rules| {
        tier(rules, Tier::High).evidence.remove(&EvidenceKind::SecurityReview);
    });
    laxer("`external-audit`", |rules| {
        tier(rules, Tier::High).evidence.remove(&EvidenceKind::ExternalAudit);
    });
    laxer("oversight", |rules| tier(rules, Tier::Low).capacities.clear());
    laxer("oversight", |rules| {
        tier(rules, Tier::Low).capacities = BTreeSet::from([Capacity::Automation]);
    });
    laxer("persons alone", |rules| tier(rules, Tier::Medium).automated = true);
    laxer("persons alone", |rules| tier(rules, Tier::High).automated = true);
    laxer("technical", |rules| {
        tier(rules, Tier::Medium).capacities.remove(&Capacity::Technical);
    });
    laxer("ethics", |rules| {
        tier(rules, Tier::High).capacities.remove(&Capacity::Ethics);
    });
}

#[test]
fn tables_that_contradict_themselves_are_refused() {
    let broken = |names: &str, break_it: fn(&mut PolicyRules)| refused("CS-POL-015", names, break_it);
    broken("`tiers.medium`", |rules| {
        rules.tiers.remove(&Tier::Medium);
    });
    broken("`tiers.minimal.approvals`", |rules| tier(rules, Tier::Minimal).approvals = 0);
    broken("`tiers.high.approvals`", |rules| tier(rules, Tier::High).approvals = 33);
    broken("`tiers.high.examiners`", |rules| tier(rules, Tier::High).examiners = 0);
    broken("`tiers.medium.approvals`", |rules| tier(rules, Tier::Low).approvals = 4);
    broken("`tiers.low.automated`", |rules| tier(rules, Tier::Minimal).automated = false);
    broken("`tiers.high.binding`", |rules| tier(rules, Tier::High).binding = BindingLevel::Declared);
    broken("`tiers.high.evidence`", |rules| {
        tier(rules, Tier::Medium).evidence.insert(EvidenceKind::RedTeam);
    });
    broken("`tiers.high.examiners`", |rules| tier(rules, Tier::High).examiners = 1);
    broken("`tiers.high.families`", |rules| tier(rules, Tier::High).families = Some(0));
    broken("`tiers.high.families`", |rules| tier(rules, Tier::High).families = Some(5));
    broken("`tiers.high.families`", |rules| tier(rules, Tier::High).families = None);
    broken("`tiers.high.worker.isolation`", |rules| {
        tier(rules, Tier::High).worker = Some(WorkerRule { isolation: Isolation::Process, ..boxed() });
    });
    broken("`tiers.high.worker`", |rules| tier(rules, Tier::Medium).worker = Some(boxed()));
    let falls = |alter: fn(&mut WorkerRule)| {
        let mut rules = default_rules(Workers::new()).unwrap();
        let mut high = boxed();
        alter(&mut high);
        tier(&mut rules, Tier::Medium).worker = Some(boxed());
        tier(&mut rules, Tier::High).worker = Some(high);
        validate(&rules).is_err()
    };
    assert!(!falls(|_| {}));
    assert!(!falls(|rule| rule.attested_by = BTreeSet::from([AttestingHost::Tdx])));
    assert!(falls(|rule| rule.attested_by.clear()));
    assert!(falls(|rule| rule.attested_by = BTreeSet::from([AttestingHost::Tdx, AttestingHost::Sgx])));
    assert!(falls(|rule| rule.boundaries.clear()));
    assert!(falls(|rule| rule.isolation = Isolation::Standard));
    broken("`tiers.minimal.capacities`", |rules| {
        tier(rules, Tier::Minimal).capacities = BTreeSet::from([Capacity::Technical, Capacity::Ethics]);
    });
    broken("`tiers.medium.capacities`", |rules| {
        tier(rules, Tier::Medium).capacities.insert(Capacity::Automation);
    });
    broken("`tiers.high.capacities`", |rules| {
        tier(rules, Tier::Medium).capacities.insert(Capacity::Security);
        tier(rules, Tier::High).capacities = BTreeSet::from([Capacity::Technical, Capacity::Ethics]);
    });
    broken("`modification_evidence`", |rules| {
        rules.modification_evidence.insert(ModificationKind::Prompt, BTreeSet::new());
    });
    broken("`impact.offset`", |rules| rules.impact.offset = i64::MIN);
}

#[test]
fn every_limit_is_something_and_not_for_ever() {
    let limit = |names: &str, set: fn(&mut PolicyRules, u64)| {
        refused("CS-POL-015", names, |rules| set(rules, 0));
        refused("CS-POL-015", names, |rules| set(rules, u64::MAX));
    };
    limit("approval_max_ms", |rules, value| rules.limits.approval_max_ms = value);
    limit("clock_ahead_max_ms", |rules, value| rules.limits.clock_ahead_max_ms = value);
    limit("clock_behind_max_ms", |rules, value| rules.limits.clock_behind_max_ms = value);
    limit("finding_max_ms", |rules, value| rules.limits.finding_max_ms = value);
    limit("grant_max_ms", |rules, value| rules.limits.grant_max_ms = value);
    limit("order_admit_max_ms", |rules, value| rules.limits.order_admit_max_ms = value);
    limit("order_serve_max_ms", |rules, value| rules.limits.order_serve_max_ms = value);
    limit("automatic_drift_ppm_max", |rules, value| rules.automatic_drift_ppm_max = value);
}

#[test]
fn the_default_scope_files_are_scopes() {
    use tensor::scope::{LEVEL_ONE_PPM, Scope};
    let read = |text: &str| Scope::read(text.as_bytes()).unwrap();
    let adapter = read(SCOPE_LEVEL_1_ADAPTER_TEXT);
    assert_eq!(adapter.relative_frobenius_ppm_max, Some(LEVEL_ONE_PPM));
    assert_eq!(adapter.max_element_relative_ppm_max, Some(LEVEL_ONE_PPM));
    assert!(!adapter.embeddings_allowed && adapter.modules_to_save.is_empty());
    assert!(adapter.prompt.is_none() && adapter.settings.is_none() && !adapter.modules.is_empty());
    let prompt = read(SCOPE_LEVEL_1_PROMPT_TEXT);
    assert!(prompt.modules.is_empty() && prompt.prompt.is_some());
    let knowledge = read(SCOPE_LEVEL_2_TEXT);
    assert!(knowledge.relative_frobenius_ppm_max > adapter.relative_frobenius_ppm_max);
}

#[test]
fn a_worker_gives_what_it_is_listed_for_and_never_what_a_person_does() {
    let listed = |kinds: &[EvidenceKind]| {
        let kinds: BTreeSet<EvidenceKind> = kinds.iter().copied().collect();
        default_rules(Workers::from([(Digest::of(b"worker"), kinds)]))
    };
    let rules = listed(&[EvidenceKind::Scope, EvidenceKind::FormalVerification]).unwrap();
    assert!(rules.lists(&Digest::of(b"worker"), EvidenceKind::FormalVerification));
    assert!(!rules.lists(&Digest::of(b"worker"), EvidenceKind::Probe));
    assert!(!rules.lists(&Digest::of(b"other"), EvidenceKind::Scope));
    for wrong in
        [&[][..], &[EvidenceKind::SecurityReview], &[EvidenceKind::Scope, EvidenceKind::ExternalAudit]]
    {
        let error = listed(wrong).unwrap_err();
        assert!(error.to_string().contains("workers."), "{error}");
    }
}
