//! Witnesses: the one on this machine, those elsewhere, and being one (C2SP tlog-witness).

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use clap::Args;
use merkle::note::VerifierKey;
use merkle::{Cosigner as _, Hash, VerifiedCheckpoint, WatchedLog};
use signer::{KeyFile, WitnessKey};
use translog::witness::{Response, WitnessStore};
use translog::{Clock, Disk, Log, LogError, system_clock};

use crate::failure::{Done, Failure};
use crate::home::{Home, RemoteWitness, Settings, read_bounded};
use crate::http;
use crate::keys::Keys;
use crate::realm::WITNESS_KEY;

/// The largest request of the witness protocol: 63 proof lines and a note.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// A witness to run.
#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    /// Where the witness keeps its state.
    #[arg(long)]
    state: PathBuf,
    /// The witness's key file (unsealed Ed25519; made if absent).
    #[arg(long)]
    key: PathBuf,
    /// The witness's name, as in its verifier key.
    #[arg(long)]
    name: String,
    /// A log to watch, as ORIGIN=VERIFIER-KEY; may be repeated.
    #[arg(long = "log", required = true)]
    logs: Vec<String>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7380")]
    listen: std::net::SocketAddr,
}

/// The local witness's verifier key.
pub(crate) fn local_verifier(realm: &str, keys: &Keys) -> Done<VerifierKey> {
    Ok(local_key(realm, keys)?.verifier().clone())
}

fn local_key(realm: &str, keys: &Keys) -> Done<WitnessKey<Arc<signer::FileKey>>> {
    Ok(WitnessKey::new(&format!("{realm}/local-witness"), keys.open(WITNESS_KEY)?)?)
}

/// Opens the state of the witness on this machine.
pub(crate) fn open_local(home: &Home, settings: &Settings, keys: &Keys, clock: &Clock) -> Done<WitnessStore> {
    let folder = home.witness();
    let disk = Disk::open(&folder).map_err(|error| Failure::file(&folder, &error))?;
    let log = WatchedLog::new(&settings.origin, vec![settings.log_key.parse()?]);
    let cosigner = Arc::new(local_key(settings.realm.as_str(), keys)?);
    Ok(WitnessStore::open(Arc::new(disk), vec![cosigner], vec![log], Arc::clone(clock))?)
}

/// What the witness on this machine has cosigned last, where that is more than, or other than, what the log holds now:
/// the log was rolled back or replaced.
pub(crate) fn compare(
    home: &Home,
    seen: Option<&VerifiedCheckpoint>,
    size: u64,
    root: impl Fn(u64) -> Result<Hash, LogError>,
    head: &[u8],
) -> Done {
    let Some(seen) = seen else { return Ok(()) };
    let head = String::from_utf8_lossy(head);
    let evidence =
        format!("the witness has cosigned:\n{}\nthe log says:\n{head}", seen.signed().note().text());
    if seen.size() > size {
        let (more, path) = (seen.size(), home.log());
        let message =
            format!("`{}` has been rolled back: {size} leaves, and {more} were witnessed", path.display());
        return Err(Failure::contradicted(message, &evidence));
    }
    if root(seen.size())? != *seen.root() {
        let message = format!("`{}` is not the log that was witnessed", home.log().display());
        return Err(Failure::contradicted(message, &evidence));
    }
    Ok(())
}

/// The checkpoint of this log that the witness on this machine keeps. Where the log is read beside its writer, this is
/// asked before: what a witness cosigns afterwards is no contradiction.
pub(crate) fn last_cosigned(home: &Home, settings: &Settings) -> Done<Option<VerifiedCheckpoint>> {
    let folder = home.witness().join("logs");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(&folder, &error)),
    };
    let key: VerifierKey = settings.log_key.parse()?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::file(&folder, &error))?.path();
        let bytes = read_bounded(&path, REQUEST_BYTES_MAX)?;
        if let Ok(checkpoint) = VerifiedCheckpoint::open(&bytes, &settings.origin, std::slice::from_ref(&key))
        {
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

/// Takes the local witness's answer into the log's checkpoint.
pub(crate) fn take(home: &Home, log: &Log, response: &Response, verifier: &str) -> Done {
    if response.status != 200 {
        let text = String::from_utf8_lossy(&response.body);
        let evidence = format!("the log says:\n{}", String::from_utf8_lossy(&log.checkpoint()));
        let forks = home.witness().join("forks");
        let message = format!(
            "the witness on this machine answers {}: {}; its evidence is in `{}`",
            response.status,
            text.trim(),
            forks.display()
        );
        return Err(Failure::contradicted(message, &evidence));
    }
    log.add_cosignatures(&response.body, &[verifier.parse()?])?;
    Ok(())
}

/// Why a witness elsewhere has not cosigned.
pub(crate) enum Unwitnessed {
    /// It does not answer, or does not watch this log.
    Absent(Failure),
    /// It has seen another history of this log.
    Refused(Failure),
}

impl<E: Into<Failure>> From<E> for Unwitnessed {
    fn from(error: E) -> Self {
        Self::Absent(error.into())
    }
}

/// Asks a witness elsewhere for its cosignature; where it knows another size than we think, once more from there.
pub(crate) fn ask(log: &Log, witness: &RemoteWitness, origin: &str) -> Result<(), Unwitnessed> {
    let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
    let contradicted = |what: &str| {
        let ours = String::from_utf8_lossy(&log.checkpoint()).into_owned();
        let message = format!("witness `{url}` has seen another history of `{origin}`: {what}");
        let evidence = format!("the witness keeps both checkpoints; this log says:\n{ours}");
        Unwitnessed::Refused(Failure::contradicted(message, &evidence))
    };
    let mut known = 0;
    for _ in 0..2 {
        let (status, body) = http::post(&url, &log.witness_request(known)?)?;
        let text: String = String::from_utf8_lossy(&body).trim().chars().take(400).collect();
        match (status, text.parse()) {
            (200, _) => {
                log.add_cosignatures(&body, &[witness.key.parse()?])?;
                return Ok(());
            }
            (409, Ok(size)) if size > log.size() => {
                return Err(contradicted(&format!(
                    "it has cosigned {size} leaves, and here are {}",
                    log.size()
                )));
            }
            (409, Ok(size)) => known = size,
            (422, _) => return Err(contradicted(&text)),
            _ => {
                let hint = "the witness may not watch this log: its operator adds it with --log";
                let message = format!("witness `{url}` does not cosign `{origin}`: {status} {text}");
                return Err(Unwitnessed::Absent(Failure::outside(message, hint)));
            }
        }
    }
    // Somebody else has the witness cosign this log at the same time; what it has now is no older than this.
    Err(contradicted("it says another size each time, so another copy of this log is being witnessed"))
}

/// `countersign witness`.
pub(crate) fn run(args: &WitnessArgs) -> Done {
    if !args.key.exists() {
        let (file, _) = KeyFile::generate(signer::FileScheme::Ed25519, signer::Protection::Unsealed)?;
        file.write_new(&args.key)?;
    }
    let key = WitnessKey::new(&args.name, Arc::new(KeyFile::read(&args.key)?.open_unsealed()?))?;
    crate::text::print(&format!("verifier key: {}\n", key.verifier()));
    let logs = args.logs.iter().map(|log| watched(log)).collect::<Done<Vec<_>>>()?;
    let disk = Disk::open(&args.state).map_err(|error| Failure::file(&args.state, &error))?;
    let store = WitnessStore::open(Arc::new(disk), vec![Arc::new(key)], logs, system_clock())?;
    let router = axum::Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(axum::extract::DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Arc::new(store));
    http::serve(args.listen, &router)
}

fn watched(text: &str) -> Done<WatchedLog> {
    let Some((origin, key)) = text.split_once('=') else {
        return Err(Failure::usage(format!("`{text}` is not ORIGIN=VERIFIER-KEY")));
    };
    Ok(WatchedLog::new(origin, vec![key.parse()?]))
}

async fn add_checkpoint(State(store): State<Arc<WitnessStore>>, body: Bytes) -> impl IntoResponse {
    // The store syncs its state before it answers, so this belongs on a thread that may block.
    let answer = tokio::task::spawn_blocking(move || store.add_checkpoint(&body)).await;
    match answer {
        Ok(response) => {
            let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, response.content_type)], response.body)
        }
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], b"stopped\n".to_vec())
        }
    }
}
