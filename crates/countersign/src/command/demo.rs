//! `countersign demo`: the whole way of a change, and what is refused, in a realm made for it.
//!
//! Everything shown happens: real keys sign real statements about real bytes, the log is on disk, the export is audited
//! by the code that `countersign-audit` runs. The persons are made up, and their keys share one passphrase.

mod cast;
mod examination;
mod live;
mod material;
mod refusals;
mod stage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audit::{Expectations, audit};
use statement::kind::{Capacity, EvidenceKind, Level, ModificationKind, Outcome};
use statement::{ChangeId, SlotId, StatementId};
use zeroize::Zeroizing;

use super::Setting;
use crate::act::{self, ArtefactSource};
use crate::cli::DemoArgs;
use crate::failure::{Done, Failure};
use crate::home::{Home, read_bounded};
use crate::intact::Intact;
use crate::keys::PassphraseSource;
use crate::realm::Realm;
use crate::show;
use crate::text::word;
use crate::worker::Worker;
use material::Material;
use stage::Stage;

/// The reports that the demo's reviewers sign.
const REPORTS: [(EvidenceKind, &str, &str); 3] = [
    (
        EvidenceKind::FormalVerification,
        "fiona",
        "Demo report: the bound on the largest element of the change was checked by hand.",
    ),
    (
        EvidenceKind::SecurityReview,
        "sven",
        "Demo report: files, names and configuration were looked at; nothing stands out.",
    ),
    (
        EvidenceKind::ComplianceReview,
        "clara",
        "Demo report: the change is within the purpose that was registered.",
    ),
];

/// The persons who approve, and in which capacity.
const APPROVERS: [(&str, Capacity); 3] =
    [("tina", Capacity::Technical), ("emil", Capacity::Ethics), ("sora", Capacity::Security)];

/// `countersign demo`.
pub(super) fn run(setting: &Setting, args: &DemoArgs) -> Done {
    if args.examination {
        return examination::run(setting, args);
    }
    let scratch = tempfile::tempdir().map_err(|error| Failure::file(Path::new("/tmp"), &error))?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().join("realm"));
    let home = Home::new(&folder);
    let mut stage = Stage::new(setting.output);
    let worker = Worker::find(setting.worker.as_deref())?;
    let ahead_ms = Arc::new(AtomicU64::new(0));
    let clock = {
        let (system, ahead_ms) = (translog::system_clock(), Arc::clone(&ahead_ms));
        let clock: translog::Clock =
            Arc::new(move || system().saturating_add(ahead_ms.load(Ordering::SeqCst)));
        clock
    };

    stage
        .heading("Countersign: nothing a model changes about itself takes effect until it is countersigned.");
    stage.say("A company serves two models. A realm is made for it in a folder: keys, policy, log, vault.");
    let passphrase = PassphraseSource::Known(Arc::new(Zeroizing::new("only for the demo".to_owned())));
    let officers = ["ada".to_owned(), "ben".to_owned()];
    let founding = act::Founding {
        name: "demo",
        officers: &officers,
        days: 365,
        monitor_quorum: 2,
        worker: setting.worker.as_deref(),
    };
    stage.busy("making keys (each sealed with Argon2id)");
    let mut realm = act::found(&home, passphrase, &founding, Arc::clone(&clock))?;
    cast::enrol_all(&mut realm)?;
    stage.fact("trust root", &realm.settings.root.to_string());
    stage.fact("rule", "two officers sign every enrolment, policy and slot; persons count, not accounts");

    let material = Material::make(scratch.path(), args.adapter.as_deref())?;
    stage.fact("adapter", &material.described);
    let slots = cast::define_slots(&mut realm, &material)?;
    let grant = cast::grant_to_trainer(&mut realm, &slots)?;
    stage.fact(
        "slots",
        "bias-screen (real adapter's place), small-model (with its base weights), both take prompts",
    );

    stage.heading("1. A model proposes an adapter for itself. It is within its scope.");
    let adapter = ArtefactSource {
        role: statement::kind::ComponentRole::Adapter,
        modification: ModificationKind::Adapter,
        path: material.adapter.clone(),
        name: None,
    };
    let change = propose(&mut realm, &slots.large, adapter, grant, "a better bias detector")?;
    examine_and_review(&mut realm, &mut stage, &worker, &change)?;
    approve_all(&mut realm, &mut stage, &change)?;
    order_and_admit(&mut realm, &mut stage, &change)?;

    stage.heading("2. A person proposes another system prompt for the same model.");
    let prompt = material.prompt_source();
    let change = propose(&mut realm, &slots.large, prompt, grant, "answer in two sentences")?;
    examine_and_review(&mut realm, &mut stage, &worker, &change)?;
    approve_all(&mut realm, &mut stage, &change)?;
    order_and_admit(&mut realm, &mut stage, &change)?;

    stage.heading("3. What is refused, and why. Every attempt is in the log, with who asked.");
    refusals::show_all(
        &mut realm,
        &mut stage,
        &refusals::Props { material: &material, slots: &slots, grant, ahead_ms: &ahead_ms, worker: &worker },
    )?;

    stage.heading("4. Approved is not proven: two changes go live in stages, and the gateway watches them.");
    let place = scratch.path().join("live");
    live::show(&mut realm, &mut stage, &live::Props { setting, worker: &worker, folder: &place, clock })?;

    stage.heading("5. The record leaves the house in one file, and an outsider checks it.");
    let out = args
        .keep
        .as_ref()
        .map_or_else(|| scratch.path().join("demo.export"), |keep| keep.join("demo.export"));
    realm.publish()?;
    let super::export::Written { leaves, bytes, .. } = super::export::write(&realm, &out, None)?;
    stage.fact("export", &format!("{leaves} leaves, {bytes} bytes: {}", out.display()));
    audit_export(&mut stage, &realm, &out)?;
    audit_tampered(&mut stage, &realm, &out)?;
    stage.finish(args.keep.as_deref());
    Ok(())
}

fn propose(
    realm: &mut Realm,
    slot: &SlotId,
    source: ArtefactSource,
    grant: statement::StatementId,
    summary: &str,
) -> Done<ChangeId> {
    let as_model = if source.modification == ModificationKind::Adapter {
        act::AsModel::Model
    } else {
        act::AsModel::Person
    };
    act::propose(
        realm,
        act::ProposalRequest {
            slot: slot.clone(),
            source,
            by: "trainer",
            as_model,
            level: Level::Tuning,
            grant: Some(grant),
            contexts: std::collections::BTreeSet::new(),
            summary: Some(summary),
            rebase: None,
            isolation: crate::cli::Isolation::Standard,
        },
    )
    .map(|proposed| proposed.change)
}

/// Has the worker measure the bytes, and the reviewers sign their reports; shows the decision.
fn examine_and_review(realm: &mut Realm, stage: &mut Stage, worker: &Worker, change: &ChangeId) -> Done {
    stage.fact("tracking id", change.as_str());
    stage.busy("measuring the bytes in a worker process");
    act::examine(realm, worker, change, "erik", None)?;
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    for finding in dossier.findings.values() {
        let measured: Vec<String> =
            finding.body.measures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        stage.fact("measured", &format!("{}: {}", word(&finding.body.outcome), measured.join(", ")));
    }
    for (evidence, by, report) in REPORTS {
        act::sign_review(
            realm,
            &act::ReviewRequest {
                change,
                evidence,
                outcome: Outcome::Pass,
                report,
                overturns: std::collections::BTreeSet::new(),
                by,
            },
        )?;
    }
    stage.fact(
        "reviewed",
        "formal bound by fiona, security by sven, compliance by clara (signed by hand, report attached)",
    );
    let (_, decision) = act::decide(realm, change)?;
    stage.block(&show::decision(&decision));
    Ok(())
}

fn approve_all(realm: &mut Realm, stage: &mut Stage, change: &ChangeId) -> Done {
    for (by, capacity) in APPROVERS {
        let request = act::ApprovalRequest { change, by, capacity, grant: None, note: None, days: 7 };
        let (envelope, reviewed) = act::prepare_approval(realm, &request)?;
        let approved = act::approve(realm, change, envelope, reviewed, by)?.statement;
        stage.fact("approved", &format!("by {by} ({}): statement {}", word(&capacity), approved.short()));
    }
    Ok(())
}

/// Orders for a day and a month, after reading what is ordered.
pub(super) fn order(realm: &mut Realm, change: &ChangeId) -> Done<StatementId> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let intact = Intact::of(realm, dossier);
    let window = act::Window { admit_ms: act::DAY_MS, serve_days: 30 };
    act::order(realm, change, "olga", &window, intact)
}

fn order_and_admit(realm: &mut Realm, stage: &mut Stage, change: &ChangeId) -> Done {
    let order = order(realm, change)?;
    realm.publish()?;
    stage.fact("ordered", &format!("by olga: release order {}", order.short()));
    let admitted = act::admit(realm, change)?;
    let text = format!(
        "a gateway that checks for itself may serve state {} in {} (log of {} leaves, witnessed)",
        admitted.state().short(),
        admitted.slot(),
        admitted.tree_size()
    );
    stage.fact("admitted", &text);
    Ok(())
}

fn expectations(realm: &Realm) -> Expectations {
    Expectations {
        root: Some(realm.settings.root),
        log_key: Some(realm.settings.log_key.clone()),
        now_ms: Some(realm.now_ms()),
        ..Expectations::none()
    }
}

fn audit_export(stage: &mut Stage, realm: &Realm, out: &Path) -> Done {
    let bytes = read_bounded(out, 1 << 30)?;
    let report = audit(&bytes, &expectations(realm))?;
    stage.block(&report.render(110));
    Ok(())
}

/// One altered byte in the middle of the file is found.
fn audit_tampered(stage: &mut Stage, realm: &Realm, out: &Path) -> Done {
    let mut bytes = read_bounded(out, 1 << 30)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    match audit(&bytes, &expectations(realm)) {
        Err(error) => {
            stage.refusal("the same file with one bit flipped", &Failure::from(error));
            Ok(())
        }
        Ok(_) => Err(Failure::outside("a tampered export passed its audit", "this is a defect: report it")),
    }
}
