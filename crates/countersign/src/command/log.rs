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

use super::Setting;
use crate::cli::LogCommand;
use crate::failure::{Done, Failure};
use crate::home::Settings;
use crate::http;

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
            let text = proof.iter().map(|hash| format!("{hash}\n")).collect::<String>();
            let text = format!("# tree {new} continues tree {old}\n{text}");
            setting.print(&json!({ "old": old, "new": new, "proof": proof }), &text);
            Ok(())
        }
        LogCommand::Fsck => check(setting, &settings),
        LogCommand::Serve { listen } => serve(setting, listen),
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
    let text = serde_json::to_string_pretty(&value).map_err(|error| Failure::outside(error, "report a defect"))?;
    setting.print(&value, &format!("{text}\n"));
    Ok(())
}

fn prove(setting: &Setting, settings: &Settings, index: u64) -> Done {
    let log = read(setting, settings)?;
    let bytes = log.checkpoint().to_bytes();
    let proof = LogProof::new(
        index,
        log.inclusion_proof(index, log.size())?,
        SignedCheckpoint::parse(&bytes)?,
    )?;
    let text = String::from_utf8_lossy(&proof.to_bytes()).into_owned();
    setting.print(&json!({ "index": index, "proof": text }), &text);
    Ok(())
}

fn check(setting: &Setting, settings: &Settings) -> Done {
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
    for finding in &report.findings {
        text.push_str(&format!("  [{}] {finding}\n", finding.kind.code()));
    }
    let value = json!({ "entries": report.entries, "tiles": report.tiles, "published": report.published,
                        "findings": findings, "unlisted": report.unlisted });
    setting.print(&value, &text);
    if report.is_clean() {
        Ok(())
    } else {
        Err(Failure::new("CS-CLI-013", "the log has faults", "each is listed above, with what to do about it"))
    }
}

fn serve(setting: &Setting, listen: std::net::SocketAddr) -> Done {
    let root = Arc::new(setting.home.log().join("tiles"));
    let router = axum::Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .with_state(root);
    http::serve(listen, router)
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
