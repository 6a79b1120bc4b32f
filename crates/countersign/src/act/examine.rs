//! Examining: run the worker, sign its findings; decide by the policy, sign the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use attest::Sources;
use dossier::Dossier;
use evidence::{Claims, Hex, inputs_digest};
use policy::gate::{self, DECIDER, Decision};
use sandbox::{Boundaries, Held, Level};
use signer::FileKey;
use statement::kind::{
    AttestedBy, EvidenceKind, Finding, Isolation, ModificationKind, Outcome, Verdict, Violation,
};
use statement::{ChangeId, Digest, Name, StatementId, Tracking};
use trace::{Step, Trace};

use super::propose::{base_component, rebuild_artefact};
use crate::busy::while_busy;
use crate::failure::{Done, Failure};
use crate::realm::{AUTOMATION_KEY, Realm};
use crate::shelf::{self, Shelf};
use crate::text::word;
use crate::worker::{Answer, Answered, Measuring, Worker, boxed, isolation, not_enforced};

/// The examiner that checks bytes against the scope.
const SCOPE_EXAMINER: &str = concat!("scope/", env!("CARGO_PKG_VERSION"));

/// Measures the change's artefact against its scope and signs the finding; with what the host says about itself, where
/// that is asked for.
pub(crate) fn examine(
    realm: &mut Realm,
    worker: &Worker,
    change: &ChangeId,
    by: &str,
    host: Option<&Sources>,
) -> Done<StatementId> {
    let key = realm.keys.open(by)?;
    let finding = measured(realm, worker, change, Level::Standard, host)?;
    found_out(realm, &key, change, finding)
}

/// Signs and submits what was measured, perhaps before the log was opened: the change must still stand as it was.
pub(crate) fn found_out(
    realm: &mut Realm,
    key: &FileKey,
    change: &ChangeId,
    finding: Finding,
) -> Done<StatementId> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    if dossier.proposal.id != finding.proposal {
        let message = format!("`{change}` was proposed anew while it was examined; nothing was signed");
        return Err(Failure::new("CS-CLI-060", message, "examine it as it stands now"));
    }
    realm.say(key, Tracking::Change(change.clone()), finding)
}

/// What the worker finds out, with its steps and what the host says in the vault.
pub(crate) fn measured(
    shelf: &impl Shelf,
    worker: &Worker,
    change: &ChangeId,
    level: Level,
    host: Option<&Sources>,
) -> Done<Finding> {
    can_attest(host)?;
    concluded(shelf, scope_finding(shelf, worker, change, level)?, host)
}

/// Whether what is asked of the host can be had: asked before anything long begins.
pub(super) fn can_attest(host: Option<&Sources>) -> Done {
    if host.is_some_and(Sources::is_none) {
        return Err(Failure::new(
            "CS-CLI-041",
            "nothing on this host can attest the run",
            "examine on a host with a TPM or in a confidential machine, name a TPM with `--tpm`, or leave `--attest` out",
        ));
    }
    Ok(())
}

/// The finding with its steps, and what the host says of the run, in the vault.
pub(super) fn concluded(
    shelf: &impl Shelf,
    found: (Finding, Trace),
    host: Option<&Sources>,
) -> Done<Finding> {
    let mut finding = traced(shelf, found)?;
    if let Some(sources) = host {
        let attested = attested(shelf, &finding, sources)?;
        finding.attachments.insert(attested.attachment);
        finding.attested = Some(attested);
    }
    Ok(finding)
}

/// What the host says about the run that the finding is about, kept in the vault.
fn attested(shelf: &impl Shelf, finding: &Finding, sources: &Sources) -> Done<AttestedBy> {
    let (Some(worker), Some(trace)) = (finding.worker, finding.trace) else {
        return Err(Failure::usage("only what a worker did can be attested"));
    };
    let claims = Claims {
        inputs: inputs_digest(&finding.inputs),
        nonce: Hex::new(finding.proposal.digest().as_bytes().to_vec()),
        trace_root: trace.root,
        worker,
    };
    let attestation = while_busy("asking the host", || Ok(sources.attest(&claims)?))?;
    let hosts = attestation.attesting();
    Ok(AttestedBy { attachment: shelf::attach(shelf, attestation.to_bytes()?)?, hosts })
}

fn scope_finding(
    shelf: &impl Shelf,
    worker: &Worker,
    change: &ChangeId,
    level: Level,
) -> Done<(Finding, Trace)> {
    let dossier = shelf.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let proposal = &dossier.proposal.body;
    let subject = match proposal.modification {
        ModificationKind::Adapter => "adapter",
        ModificationKind::Weights => "weights",
        ModificationKind::Prompt => "prompt",
        ModificationKind::Settings => "settings",
        other => {
            return Err(Failure::usage(format!("no examiner measures a change of kind `{}`", word(&other))));
        }
    };
    let folder = crate::home::private_folder()?;
    let artefact = proposal.artefacts.first().ok_or_else(|| Failure::missing("artefact", change))?;
    let candidate = folder.path().join("candidate");
    let scope = folder.path().join("scope.json");
    let base = folder.path().join("base");
    let (files, base) = while_busy("reading what is examined", || {
        let files = rebuild_artefact(shelf, &artefact.digest, &candidate)?;
        rebuild_artefact(shelf, &proposal.scope, &scope)?;
        let base = match base_component(shelf, dossier) {
            // Weights may be held elsewhere, or be no file that can be measured; then relative limits stay undecided.
            Some(digest) => {
                weights_of(shelf, &digest, &base).filter(|(path, _)| is_measurable(path, subject))
            }
            None => None,
        };
        Ok((files, base))
    })?;
    let measuring = Measuring {
        subject,
        candidate: &candidate,
        scope: &scope,
        base: base.as_ref().map(|(path, _)| path.as_path()),
    };
    let Answered { said: answer, run, boundaries } =
        while_busy("measuring the change in its box", || worker.measure(&measuring, level))?;
    check_inputs(&answer, &files, &proposal.scope, base.as_ref().map(|(_, digest)| digest))?;
    let mut inputs = answer.inputs.clone();
    inputs.insert(artefact.digest);
    let finding = Finding {
        attachments: BTreeSet::new(),
        attested: None,
        boundaries: held(&boundaries)?,
        evidence: EvidenceKind::Scope,
        examiner: SCOPE_EXAMINER.parse()?,
        inputs,
        isolation: isolation(level),
        measures: measures(&answer, &boundaries)?,
        outcome: answer.outcome,
        proposal: dossier.proposal.id,
        trace: None,
        violations: violations(&answer)?,
        violations_left_out: answer.violations_left_out,
        worker: Some(worker.digest()),
    };
    let mut steps = vec![boxed(worker.digest(), &run, &boundaries)?];
    steps.extend(answer.steps);
    steps.push(Step::Output { digest: trace::output(&finding)? });
    Ok((finding, Trace::new(steps)?))
}

/// Keeps the steps in the vault, and names them in the finding.
fn traced(shelf: &impl Shelf, (mut finding, trace): (Finding, Trace)) -> Done<Finding> {
    let attachment = shelf::attach(shelf, trace.to_bytes())?;
    finding.attachments.insert(attachment);
    finding.trace = Some(trace.signed(attachment));
    // What is signed is what an auditor will find.
    trace.agrees(&finding)?;
    Ok(finding)
}

/// The file of a component that can be measured: the component itself, or the one file of weights in its folder. None
/// where it is held elsewhere.
fn weights_of(shelf: &impl Shelf, component: &Digest, to: &Path) -> Option<(PathBuf, Digest)> {
    rebuild_artefact(shelf, component, to).ok()?;
    if to.is_file() {
        return Some((to.to_owned(), *component));
    }
    let files = super::propose::files_of(shelf, component)?;
    let mut weights = files.into_iter().filter(|(name, _)| name.ends_with(".safetensors"));
    let (name, digest) = weights.next().filter(|_| weights.next().is_none())?;
    Some((to.join(name), digest))
}

/// A reference to weights that are held elsewhere is text; tensors are not.
fn is_measurable(base: &Path, subject: &str) -> bool {
    if matches!(subject, "prompt" | "settings") {
        return true;
    }
    let mut head = [0; 9];
    let read = std::fs::File::open(base).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    read.is_ok() && head.last() == Some(&b'{')
}

/// What the worker says it read must be what was put before it. A change passes only if every file of it was read: a
/// folder may hold nothing that no examiner looks at.
fn check_inputs(answer: &Answer, files: &BTreeSet<Digest>, scope: &Digest, base: Option<&Digest>) -> Done {
    let allowed: BTreeSet<&Digest> = files.iter().chain([scope]).chain(base).collect();
    let foreign = answer.inputs.iter().any(|digest| !allowed.contains(digest));
    if foreign || !answer.inputs.contains(scope) {
        let hint = "the worker did not measure what was proposed; nothing was signed";
        return Err(Failure::outside("the worker read other files than it was given", hint));
    }
    let unread = files.difference(&answer.inputs).count();
    if answer.outcome != Outcome::Fail && unread > 0 {
        let hint = "propose a folder with nothing but adapter_config.json and adapter_model.safetensors";
        return Err(Failure::outside(
            format!("{unread} files of the artefact are read by no examiner"),
            hint,
        ));
    }
    Ok(())
}

/// The boundaries that held.
pub(super) fn held(boundaries: &Boundaries) -> Done<BTreeSet<Name>> {
    let held = boundaries.each().filter(|(_, held)| *held == Held::Enforced);
    Ok(held.map(|(boundary, _)| boundary.name().parse()).collect::<Result<_, _>>()?)
}

/// What was measured; and of the box, what this host could not enforce.
fn measures(answer: &Answer, boundaries: &Boundaries) -> Done<BTreeMap<Name, i64>> {
    let mut measures = of_the_box(boundaries)?;
    for (name, value) in &answer.measures {
        measures.insert(name.parse()?, signed(*value));
    }
    Ok(measures)
}

/// What this host could not enforce around the worker.
pub(super) fn of_the_box(boundaries: &Boundaries) -> Done<BTreeMap<Name, i64>> {
    let names = not_enforced(boundaries).map(|boundary| format!("box-without-{}", boundary.name()));
    names.map(|name| Ok((name.parse()?, 1))).collect()
}

fn violations(answer: &Answer) -> Done<BTreeSet<Violation>> {
    let mut violations = BTreeSet::new();
    for against in &answer.violations {
        // What could not be read was not measured.
        let is_measured = against.limit != 0 || against.measured != 0;
        violations.insert(Violation {
            code: against.code.parse()?,
            limit: is_measured.then(|| signed(against.limit)),
            measured: is_measured.then(|| signed(against.measured)),
            place: against.place.clone(),
        });
    }
    Ok(violations)
}

/// Signed bytes hold integers up to 2^53 - 1; what is larger is told as that.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX).min(statement::json::INTEGER_MAX)
}

/// What somebody found whom no box held: a person who looked, or another tool.
pub(super) struct Said {
    pub(super) examiner: Name,
    pub(super) evidence: EvidenceKind,
    pub(super) isolation: Isolation,
    pub(super) outcome: Outcome,
}

/// A finding that rests on a report alone, about the artefacts of the change as it is proposed now.
pub(super) fn reported(dossier: &Dossier, report: Digest, said: Said) -> Finding {
    let proposal = &dossier.proposal;
    Finding {
        attachments: BTreeSet::from([report]),
        attested: None,
        boundaries: BTreeSet::new(),
        evidence: said.evidence,
        examiner: said.examiner,
        inputs: proposal.body.artefacts.iter().map(|artefact| artefact.digest).collect(),
        isolation: said.isolation,
        measures: BTreeMap::new(),
        outcome: said.outcome,
        proposal: proposal.id,
        trace: None,
        violations: BTreeSet::new(),
        violations_left_out: 0,
        worker: None,
    }
}

/// A person's finding.
pub(crate) struct ReviewRequest<'a> {
    pub(crate) change: &'a ChangeId,
    pub(crate) evidence: EvidenceKind,
    pub(crate) outcome: Outcome,
    pub(crate) report: &'a str,
    /// Findings on other proposals that this one takes back or outweighs.
    pub(crate) overturns: BTreeSet<StatementId>,
    pub(crate) by: &'a str,
}

/// Signs a finding that a person made; the report goes into the vault as a salted attachment.
pub(crate) fn review(realm: &mut Realm, request: &ReviewRequest<'_>) -> Done<StatementId> {
    let key = realm.keys.open(request.by)?;
    let dossier =
        realm.ledger().dossier(request.change).ok_or_else(|| Failure::missing("change", request.change))?;
    let report = realm.attach(request.report)?;
    let said = Said {
        examiner: "person".parse()?,
        evidence: request.evidence,
        isolation: Isolation::Manual,
        outcome: request.outcome,
    };
    let mut finding = reported(dossier, report, said);
    finding.inputs.extend(request.overturns.iter().map(|finding| *finding.digest()));
    realm.say(&key, Tracking::Change(request.change.clone()), finding)
}

/// Decides by the policy and the findings, and records the verdict, signed by the automation key.
pub(crate) fn decide(realm: &mut Realm, change: &ChangeId) -> Done<(StatementId, Decision)> {
    let dossier = realm.ledger().dossier(change).ok_or_else(|| Failure::missing("change", change))?;
    let now_ms = realm.log_time_ms();
    let (decision, policy) = realm
        .with_rules(|rules| Ok((gate::decide(realm.ledger().world(), dossier, rules, now_ms)?, rules.id)))?;
    let verdict = Verdict {
        decider: DECIDER.parse()?,
        findings: decision.findings.clone(),
        outcome: decision.outcome,
        policy,
        proposal: dossier.proposal.id,
        reasons: decision
            .reasons
            .iter()
            .map(|reason| reason.code.as_str().parse())
            .collect::<Result<_, _>>()?,
        score: decision.score.clone(),
        tree_size: realm.ledger().world().size(),
    };
    let key = realm.keys.open(AUTOMATION_KEY)?;
    let id = realm.say(&key, Tracking::Change(change.clone()), verdict)?;
    Ok((id, decision))
}
