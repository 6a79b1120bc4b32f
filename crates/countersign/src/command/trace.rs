//! `countersign trace`: what the worker of a finding did, and proofs of it.

use std::path::Path;

use dossier::Recorded;
use serde_json::json;
use statement::Digest;
use statement::kind::{Finding, TraceRoot};
use trace::{PROOF_BYTES_MAX, Proof, Step, TRACE_BYTES_MAX, Trace};

use super::Setting;
use crate::cli::TraceCommand;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::outfile::{OutFile, Readers};
use crate::realm::Record;
use crate::text::{line, word};

/// `countersign trace`.
pub(super) fn run(setting: &Setting, command: &TraceCommand) -> Done {
    match command {
        TraceCommand::Show { finding, leaf, out } => show(setting, finding, *leaf, out.as_deref()),
        TraceCommand::Verify { proof, finding, root, leaves } => {
            let (root, leaves) = match (finding, root, leaves) {
                (Some(finding), ..) => {
                    let realm = setting.read()?;
                    let signed = signed(&find(&realm, finding)?.body)?;
                    (signed.root, signed.leaves)
                }
                (None, Some(root), Some(leaves)) => (root.parse::<Digest>()?, *leaves),
                _ => return Err(Failure::usage("give `--finding`, or `--root` and `--leaves`")),
            };
            verify(setting, proof, &root, leaves)
        }
    }
}

fn show(setting: &Setting, finding: &str, leaf: Option<u64>, out: Option<&Path>) -> Done {
    let realm = setting.read()?;
    let finding = find(&realm, finding)?;
    let signed = signed(&finding.body)?;
    let attachment = realm.attachment(&signed.attachment, TRACE_BYTES_MAX as u64)?;
    let trace = Trace::parse(attachment.content())?;
    trace.agrees(&finding.body)?;
    let mut text = String::new();
    line(&mut text, &format!("finding {}: {} steps, root {}", finding.id, signed.leaves, signed.root));
    if let Some(leaf) = leaf {
        let proof = trace.prove(leaf)?;
        // Nobody gets a proof that does not hold.
        proof.verify(&signed.root, signed.leaves)?;
        line(&mut text, &told(leaf, &proof.step));
        if let Some(out) = out {
            let mut bytes = proof.to_bytes()?;
            bytes.push(b'\n');
            OutFile::put(out, Readers::Everybody, &bytes)?;
            line(&mut text, &format!("proof written to {}", out.display()));
        }
        setting.print(&json!({ "finding": finding.id, "trace": signed, "proof": proof }), &text);
        return Ok(());
    }
    for (leaf, step) in (0..).zip(trace.steps()) {
        line(&mut text, &told(leaf, step));
    }
    setting.print(&json!({ "finding": finding.id, "trace": signed, "steps": trace.steps() }), &text);
    Ok(())
}

fn verify(setting: &Setting, path: &Path, root: &Digest, leaves: u64) -> Done {
    let proof = Proof::parse(&read_bounded(path, PROOF_BYTES_MAX)?)?;
    proof.verify(root, leaves)?;
    let text =
        format!("step {} of {leaves} is what was signed:\n{}\n", proof.leaf, told(proof.leaf, &proof.step));
    setting
        .print(&json!({ "included": true, "leaf": proof.leaf, "leaves": leaves, "step": proof.step }), &text);
    Ok(())
}

/// The one finding with a trace that is meant: a statement, or the change it is about.
fn find<'a>(realm: &'a Record<impl Sized>, what: &str) -> Done<&'a Recorded<Finding>> {
    let all = || realm.ledger().dossiers().flat_map(|dossier| dossier.findings.values());
    let by_id: Vec<_> =
        all().filter(|finding| what.len() >= 8 && finding.id.to_string().starts_with(what)).collect();
    let found = if by_id.is_empty() {
        let of_change = realm.dossier(what)?.findings.values();
        of_change.filter(|finding| finding.body.trace.is_some()).collect()
    } else {
        by_id
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::missing("finding with a trace", what)),
        several => {
            let ids: Vec<String> = several.iter().map(|finding| finding.id.to_string()).collect();
            Err(Failure::usage(format!("`{what}` has several findings: {}", ids.join(", "))))
        }
    }
}

fn signed(finding: &Finding) -> Done<TraceRoot> {
    finding.trace.ok_or_else(|| Failure::missing("trace", "of this finding"))
}

/// A step for people.
fn told(leaf: u64, step: &Step) -> String {
    let what = match step {
        Step::Box { isolation, not_enforced, profile, worker, .. } => {
            let lacking: Vec<&str> = not_enforced.iter().map(statement::Name::as_str).collect();
            let lacking =
                if lacking.is_empty() { String::new() } else { format!(", without {}", lacking.join(", ")) };
            format!("box      {}, profile {profile}, worker {}{lacking}", word(isolation), worker.short())
        }
        Step::Input { bytes, digest, name } => {
            format!("opened   {} ({bytes} bytes, {digest})", scan::finding::shown(name))
        }
        Step::Stage { name, outcome } => format!("stage    {name}: {}", word(outcome)),
        Step::Model { files, name } => {
            format!("model    {} ({} files)", scan::finding::shown(name), files.len())
        }
        Step::Scored { model, sequences, tokens, .. } => {
            format!("scored   {tokens} tokens of {sequences} sequences on {}", scan::finding::shown(model))
        }
        Step::Generated { model, tokens, .. } => {
            format!("generated {tokens} tokens on {}", scan::finding::shown(model))
        }
        Step::Output { digest } => format!("answered {digest}"),
    };
    format!("{leaf:>4}  {what}")
}
