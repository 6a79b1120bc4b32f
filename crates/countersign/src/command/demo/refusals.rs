//! What the demo shows being refused.

use std::sync::atomic::{AtomicU64, Ordering};

use dossier::Applied;
use statement::kind::{Capacity, Level};
use statement::{ChangeId, StatementId};

use super::cast::{Slots, give_grant};
use super::material::Material;
use super::stage::Stage;
use super::{REPORTS, approve_all, order};
use crate::act::{self, ArtefactSource, AsModel, ProposalRequest};
use crate::failure::{Done, Failure};
use crate::realm::Realm;
use crate::worker::Worker;

/// What the refusals need.
pub(super) struct Props<'a> {
    pub(super) material: &'a Material,
    pub(super) slots: &'a Slots,
    pub(super) grant: StatementId,
    /// By how much the demo's clock runs ahead.
    pub(super) ahead_ms: &'a AtomicU64,
    /// What measures the bytes.
    pub(super) worker: &'a Worker,
}

/// Shows each refusal. That something passes which must not is an error of the demo.
pub(super) fn show_all(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    out_of_scope(realm, stage, props)?;
    self_approval(realm, stage, props)?;
    tampered_artefact(realm, stage, props)?;
    forged_signature(realm, stage, props)?;
    expired_grant(realm, stage, props)
}

fn expect_refusal<T>(stage: &mut Stage, what: &str, code: &str, outcome: Done<T>) -> Done {
    match outcome {
        Err(failure) if failure.is(code) => {
            stage.refusal(what, &failure);
            Ok(())
        }
        Err(failure) => Err(failure),
        Ok(_) => Err(Failure::outside(format!("`{what}` was not refused"), "this is a defect: report it")),
    }
}

fn propose(
    realm: &mut Realm,
    props: &Props<'_>,
    source: ArtefactSource,
    by: &str,
    grant: StatementId,
) -> Done<ChangeId> {
    act::propose(
        realm,
        ProposalRequest {
            slot: props.slots.small.clone(),
            source,
            by,
            as_model: AsModel::Person,
            level: Level::Tuning,
            grant: Some(grant),
            contexts: std::collections::BTreeSet::new(),
            summary: None,
            rebase: None,
            isolation: crate::cli::Isolation::Standard,
        },
    )
    .map(|proposed| proposed.change)
}

/// An adapter that moves the weights further than 5 %.
fn out_of_scope(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let source = Material::adapter_source(&props.material.outside);
    let change = propose(realm, props, source, "trainer", props.grant)?;
    act::examine(realm, props.worker, &change, "erik", None)?;
    act::decide(realm, &change)?;
    let dossier = realm.ledger().dossier(&change).ok_or_else(|| Failure::missing("change", &change))?;
    for violation in dossier.findings.values().flat_map(|finding| &finding.body.violations).take(2) {
        let (measured, limit) = (violation.measured.unwrap_or(0), violation.limit.unwrap_or(0));
        stage.fact(
            "measured",
            &format!("{} at {}: {measured}, allowed {limit}", violation.code, violation.place),
        );
    }
    let outcome = order(realm, &change);
    expect_refusal(stage, "an adapter that moves the weights too far is ordered", "CS-GATE-009", outcome)
}

/// Tina proposes, and would approve her own.
fn self_approval(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let grant = give_grant(realm, props.slots, "tina")?;
    let source = Material::adapter_source(&props.material.within);
    let change = propose(realm, props, source, "tina", grant)?;
    examine_and_review(realm, props, &change)?;
    act::decide(realm, &change)?;
    let request = act::ApprovalRequest {
        change: &change,
        by: "tina",
        capacity: Capacity::Technical,
        grant: None,
        note: None,
        days: 7,
    };
    let (envelope, reviewed) = act::prepare_approval(realm, &request)?;
    let outcome = act::approve(realm, &change, envelope, reviewed, "tina");
    expect_refusal(stage, "tina approves what she proposed herself", "CS-GATE-027", outcome)
}

fn examine_and_review(realm: &mut Realm, props: &Props<'_>, change: &ChangeId) -> Done {
    act::examine(realm, props.worker, change, "erik", None)?;
    for (evidence, by, report) in REPORTS {
        let outcome = statement::kind::Outcome::Pass;
        act::sign_review(
            realm,
            &act::ReviewRequest {
                change,
                evidence,
                outcome,
                report,
                overturns: std::collections::BTreeSet::new(),
                by,
            },
        )?;
    }
    Ok(())
}

/// Somebody flips a byte of a stored artefact on the disk.
fn tampered_artefact(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let source = props.material.prompt_source();
    let change = propose(realm, props, source, "trainer", props.grant)?;
    let dossier = realm.ledger().dossier(&change).ok_or_else(|| Failure::missing("change", &change))?;
    let digest = dossier.proposal.body.artefacts.first().map(|artefact| artefact.digest);
    let digest = digest.ok_or_else(|| Failure::missing("artefact", &change))?;
    let contents = contents(realm)?;
    // Content names are random, so the demo damages each file in turn until the artefact is hit, and restores the rest.
    for path in contents {
        let whole = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
        let mut damaged = whole.clone();
        if let Some(byte) = damaged.get_mut(whole.len() / 2) {
            *byte ^= 1;
        }
        std::fs::write(&path, &damaged).map_err(|error| Failure::file(&path, &error))?;
        let outcome = realm.vault.read(&realm.tenant, &digest, 1 << 20);
        if let Err(error) = outcome {
            stage.refusal(
                "an artefact whose bytes were altered on the disk is examined",
                &Failure::from(error),
            );
            return std::fs::write(&path, &whole).map_err(|error| Failure::file(&path, &error));
        }
        std::fs::write(&path, &whole).map_err(|error| Failure::file(&path, &error))?;
    }
    Err(Failure::outside("an altered artefact was read as if it were whole", "this is a defect: report it"))
}

/// The vault's content files.
fn contents(realm: &Realm) -> Done<Vec<std::path::PathBuf>> {
    let mut folders = vec![realm.home.vault()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| Failure::file(&folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// A hostile client writes an approval with a signature that is not the approver's straight into the log.
fn forged_signature(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let source = Material::adapter_source(&props.material.within);
    let change = propose(realm, props, source, "trainer", props.grant)?;
    examine_and_review(realm, props, &change)?;
    act::decide(realm, &change)?;
    let request = act::ApprovalRequest {
        change: &change,
        by: "tina",
        capacity: Capacity::Technical,
        grant: None,
        note: None,
        days: 7,
    };
    let (mut envelope, _) = act::prepare_approval(realm, &request)?;
    let (approver, _) = realm.keys.public("tina")?;
    let sig = statement::Bytes::new(vec![7; 64]);
    envelope.add(statement::Signature { keyid: approver.id(), sig })?;
    match realm.submit_unasked(&envelope)? {
        Applied::NoOp(refusal) if refusal.has(dossier::Code::UnknownSigner) => {
            stage.refusal(
                "a forged approval in tina's name is written straight into the log",
                &refusal.into(),
            );
            Ok(())
        }
        _ => Err(Failure::outside("a forged signature had effect", "this is a defect: report it")),
    }
}

/// Eight days later the trainer's grant has run out.
fn expired_grant(realm: &mut Realm, stage: &mut Stage, props: &Props<'_>) -> Done {
    let source = Material::adapter_source(&props.material.within);
    let change = propose(realm, props, source, "trainer", props.grant)?;
    examine_and_review(realm, props, &change)?;
    act::decide(realm, &change)?;
    approve_all(realm, stage, &change)?;
    props.ahead_ms.store(8 * act::DAY_MS, Ordering::SeqCst);
    stage.fact("clock", "the demo's clock is moved eight days ahead; the trainer's grant ran seven");
    let outcome = order(realm, &change);
    expect_refusal(stage, "a change under an expired grant is ordered", "CS-GATE-017", outcome)
}
