//! Commands on the log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use merkle::{LogProof, SignedCheckpoint, TilePath, VerifierKey};
use serde_json::json;
use statement::Leaf;
use translog::{Disk, ReadLog, fsck};

use super::{Output, Setting};
use crate::cli::{LogCommand, LogWitnessCommand};
use crate::failure::{Done, Failure};
use crate::home::{RemoteWitness, Settings};
use crate::http;
use crate::intact::Survey;
use crate::realm::Heads as _;
use crate::text::{line, print, word};
use crate::witness::{Unwitnessed, ask, compare, last_cosigned};

/// `countersign log`.
pub(super) fn run(setting: &Setting, command: LogCommand) -> Done {
    let settings = setting.home.settings()?;
    match command {
        LogCommand::Head => {
            let checkpoint = read(setting, &settings)?.checkpoint().to_bytes();
            let text = String::from_utf8_lossy(&checkpoint).into_owned();
            setting.print(&json!({ "checkpoint": text }), &text);
            Ok(())
        }
        LogCommand::Entry { index } => entry(setting, &settings, index),
        LogCommand::Prove { index } => prove(setting, &settings, index),
        LogCommand::Consistency { old, new } => {
            let log = read(setting, &settings)?;
            let new = new.unwrap_or(log.size());
            let proof: Vec<_> = log.consistency_proof(old, new)?;
            let mut text = format!("# tree {new} continues tree {old}\n");
            for hash in &proof {
                line(&mut text, &hash.to_string());
            }
            setting.print(&json!({ "old": old, "new": new, "proof": proof }), &text);
            Ok(())
        }
        LogCommand::Fsck => check(setting, &settings),
        LogCommand::Rebuild => rebuild(setting),
        LogCommand::Serve { listen } => {
            // Opened once, so that a folder that cannot be served is refused by name and not by silence.
            read(setting, &settings)?;
            serve(setting, listen)
        }
        LogCommand::Witness(command) => witness(setting, settings, command),
    }
}

fn disk(setting: &Setting) -> Done<Disk> {
    let path = setting.home.log();
    Disk::open_existing(&path).map_err(|error| Failure::file(&path, &error))
}

fn read(setting: &Setting, settings: &Settings) -> Done<ReadLog> {
    let key: VerifierKey = settings.log_key.parse()?;
    Ok(ReadLog::open(Arc::new(disk(setting)?), &settings.origin, &[key])?)
}

fn entry(setting: &Setting, settings: &Settings, index: u64) -> Done {
    let log = read(setting, settings)?;
    let bytes = log.entry(index)?;
    let leaf = Leaf::parse(index, &bytes)?;
    let payload: serde_json::Value = serde_json::from_slice(leaf.envelope.payload.as_slice())
        .map_err(|error| Failure::outside(error, "the entry is damaged; run `countersign log fsck`"))?;
    let value = json!({
        "index": index,
        "stamp_ms": leaf.stamp_ms,
        "statement": leaf.id,
        "leaf_hash": log.leaf_hash(index)?,
        "signed_by": leaf.envelope.signatures.iter().map(|signature| signature.keyid).collect::<Vec<_>>(),
        "payload": payload,
    });
    let text =
        serde_json::to_string_pretty(&value).map_err(|error| Failure::outside(error, "report a defect"))?;
    setting.print(&value, &format!("{text}\n"));
    Ok(())
}

fn prove(setting: &Setting, settings: &Settings, index: u64) -> Done {
    let log = read(setting, settings)?;
    let bytes = log.checkpoint().to_bytes();
    let proof =
        LogProof::new(index, log.inclusion_proof(index, log.size())?, SignedCheckpoint::parse(&bytes)?)?;
    let text = String::from_utf8_lossy(&proof.to_bytes()).into_owned();
    setting.print(&json!({ "index": index, "proof": text }), &text);
    Ok(())
}

fn check(setting: &Setting, settings: &Settings) -> Done {
    let seen = last_cosigned(&setting.home, settings)?;
    let key: VerifierKey = settings.log_key.parse()?;
    let report = fsck(&disk(setting)?, &settings.origin, &[key]);
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({ "code": finding.kind.code(), "text": finding.to_string() }))
        .collect();
    let mut text = format!(
        "{} entries read, {} tiles compared, published up to {}\n",
        report.entries,
        report.tiles,
        report.published.map_or("nothing".to_owned(), |size| size.to_string()),
    );
    for finding in report.findings.iter().filter(|finding| !finding.kind.is_error()) {
        line(&mut text, &format!("  {finding}"));
    }
    if !report.is_clean() {
        if setting.output == Output::Text {
            print(&text);
        }
        let listed = report.findings.iter().filter(|finding| finding.kind.is_error());
        let faults = listed.map(|finding| Failure::new(finding.kind.code(), finding, finding.kind.hint()));
        let first =
            Failure::new("CS-CLI-013", "the log has faults", "keep a copy of it before anything is mended");
        return Err(faults.fold(first, Failure::and));
    }
    let log = read(setting, settings)?;
    compare(&setting.home, seen.as_ref(), log.size(), |size| log.root(size), &log.checkpoint().to_bytes())?;
    let survey = setting.survey()?;
    line(&mut text, &surveyed(&survey));
    let value = json!({ "entries": report.entries, "tiles": report.tiles, "published": report.published,
                        "findings": findings, "unlisted": report.unlisted, "vault": survey });
    if survey.faults.is_empty() || setting.output == Output::Text {
        setting.print(&value, &text);
    }
    if survey.faults.is_empty() { Ok(()) } else { Err(lacking(survey)) }
}

/// How many contents, and what a statement says was destroyed.
fn surveyed(survey: &Survey) -> String {
    let Survey { whole, bytes, purged, kept, faults } = survey;
    let counted = [
        (purged.len(), "purged, as the record says"),
        (kept.len(), "purged by the record and still there: `countersign purge` again destroys them"),
        (faults.len(), "not whole"),
    ];
    let mut lines = vec![format!("{whole} contents of the vault read to their end, {bytes} bytes")];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    lines.extend(counted.map(|(count, what)| format!("  {count} {what}")));
    lines.join("\n")
}

/// The most contents that are named one by one.
const NAMED_MAX: usize = 100;

/// Every content that is not whole, as a refusal.
fn lacking(survey: Survey) -> Failure {
    let count = survey.faults.len();
    let message = format!("{count} of the contents that the record names are not whole in the vault");
    let hint = "restore the vault from a copy; what is gone for good is told by `countersign purge`";
    let faults = survey.faults.into_iter().take(NAMED_MAX).map(|fault| {
        let matter = word(&fault.matter);
        let told = format!("{matter}: `{}` ({}): {}", fault.digest, fault.named, fault.cause.message);
        Failure { message: told, ..fault.cause }
    });
    faults.fold(Failure::new("CS-CLI-081", message, hint), Failure::and)
}

/// Writes what is served anew from the write-ahead log.
fn rebuild(setting: &Setting) -> Done {
    let (realm, repaired) = setting.rebuild()?;
    realm.publish()?;
    let mut text =
        format!("{} of the served files were missing or wrong and are written anew\n", repaired.len());
    for path in &repaired {
        line(&mut text, &format!("  {path}"));
    }
    line(&mut text, &format!("the checkpoint speaks of {} leaves and is cosigned", realm.log().size()));
    setting.print(&json!({ "rebuilt": repaired, "leaves": realm.log().size() }), &text);
    Ok(())
}

/// Whom this machine asks to cosign. The trust root decides whose cosignature counts.
fn witness(setting: &Setting, mut settings: Settings, command: LogWitnessCommand) -> Done {
    match command {
        LogWitnessCommand::List => {
            let lines =
                settings.witnesses.iter().map(|witness| format!("{}  {}\n", witness.url, witness.key));
            let text: String = lines.collect();
            setting.print(&json!(settings.witnesses), &text);
            Ok(())
        }
        LogWitnessCommand::Add { url, key } => {
            let verifier: VerifierKey = key.parse()?;
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(Failure::usage(format!("`{url}` is no HTTP address")));
            }
            if settings.witnesses.iter().any(|witness| witness.url == url) {
                return Err(Failure::usage(format!("`{url}` is asked already")));
            }
            let added = RemoteWitness { key, url };
            let realm = setting.open()?;
            ask(realm.own_log()?, &added, &settings.origin).map_err(|unwitnessed| match unwitnessed {
                Unwitnessed::Absent(failure) | Unwitnessed::Refused(failure) => failure,
            })?;
            let root = realm.ledger().world().root();
            let counts =
                root.is_some_and(|root| root.body.witnesses.keys.iter().any(|known| known.key == added.key));
            let mut text = format!("witness {} is asked from now on, and has cosigned\n", verifier.name());
            if !counts {
                text.push_str(
                    "  the trust root does not name it: its cosignature is kept, and does not count yet\n",
                );
            }
            setting.print(&json!({ "witness": added, "in_trust_root": counts }), &text);
            settings.witnesses.push(added);
            setting.home.write_settings(&settings)
        }
        LogWitnessCommand::Remove { url } => {
            let before = settings.witnesses.len();
            settings.witnesses.retain(|witness| witness.url != url);
            if settings.witnesses.len() == before {
                let hint = "`countersign log witness list` shows which are asked";
                return Err(Failure::new("CS-CLI-002", format!("there is no witness `{url}`"), hint));
            }
            setting.home.write_settings(&settings)?;
            setting.print(&json!({ "removed": url }), &format!("witness {url} is asked no more\n"));
            Ok(())
        }
    }
}

fn serve(setting: &Setting, listen: std::net::SocketAddr) -> Done {
    let root = Arc::new(setting.home.log().join("tiles"));
    let router = axum::Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .with_state(root);
    http::serve(listen, &router)
}

async fn checkpoint(State(root): State<Arc<std::path::PathBuf>>) -> impl IntoResponse {
    file(root.join("checkpoint"), "text/plain; charset=utf-8", "no-cache").await
}

async fn tile(State(root): State<Arc<std::path::PathBuf>>, Path(path): Path<String>) -> impl IntoResponse {
    // Only canonical tile paths reach the disk.
    match TilePath::parse(format!("tile/{path}").as_bytes()) {
        Ok(tile) => {
            let immutable = "public, max-age=31536000, immutable";
            file(root.join(tile.to_string()), "application/octet-stream", immutable).await
        }
        Err(_) => absent(),
    }
}

type Answer = (StatusCode, [(header::HeaderName, &'static str); 2], Vec<u8>);

async fn file(path: std::path::PathBuf, kind: &'static str, cache: &'static str) -> Answer {
    match tokio::fs::read(&path).await {
        Ok(bytes) => (StatusCode::OK, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], bytes),
        Err(_) => absent(),
    }
}

fn absent() -> Answer {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (StatusCode::NOT_FOUND, headers, b"there is no such tile\n".to_vec())
}
