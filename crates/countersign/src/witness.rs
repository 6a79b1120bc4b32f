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
use merkle::{Cosigner as _, WatchedLog};
use signer::{KeyFile, WitnessKey};
use translog::witness::{Response, WitnessStore};
use translog::{Clock, Disk, Log, system_clock};

use crate::failure::{Done, Failure};
use crate::home::{Home, RemoteWitness, Settings};
use crate::http;
use crate::keys::Keys;
use crate::realm::WITNESS_KEY;

/// The largest request of the witness protocol: 63 proof lines and a note.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Runs a witness: cosigns checkpoints that continue what it has seen, and refuses forks.
///
/// Example: countersign witness --state ./witness --key witness.key --name example.com/witness \
///   --log ORIGIN=VKEY --listen 127.0.0.1:7380
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
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

/// Takes a witness's answer into the log's checkpoint.
pub(crate) fn take(log: &Log, response: &Response, verifier: &str) -> Done {
    if response.status != 200 {
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let hint = "look at the witness's evidence: it may have seen another history of this log";
        return Err(Failure::outside(format!("the witness answers {}: {}", response.status, text.trim()), hint));
    }
    log.add_cosignatures(&response.body, &[verifier.parse()?])?;
    Ok(())
}

/// Asks a witness elsewhere for its cosignature; where it knows another size than we think, once more from there.
pub(crate) fn ask(log: &Log, witness: &RemoteWitness, origin: &str) -> Done {
    let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
    let mut known = 0;
    for _ in 0..2 {
        let (status, body) = http::post(&url, &log.witness_request(known)?)?;
        match status {
            200 => {
                log.add_cosignatures(&body, &[witness.key.parse()?])?;
                return Ok(());
            }
            409 => match std::str::from_utf8(&body).ok().and_then(|text| text.trim().parse().ok()) {
                Some(size) => known = size,
                None => return Err(refused(&url, origin, &body)),
            },
            _ => return Err(refused(&url, origin, &body)),
        }
    }
    Err(refused(&url, origin, b"it keeps changing its mind about the size it knows"))
}

fn refused(url: &str, origin: &str, body: &[u8]) -> Failure {
    let text: String = String::from_utf8_lossy(body).chars().take(400).collect();
    let hint = "the witness may not watch this log, or may have seen another history of it";
    Failure::outside(format!("witness `{url}` does not cosign `{origin}`: {}", text.trim()), hint)
}

/// `countersign witness`.
pub(crate) fn run(args: &WitnessArgs) -> Done {
    if !args.key.exists() {
        let (file, _) = KeyFile::generate(signer::FileScheme::Ed25519, signer::Protection::Unsealed)?;
        file.write_new(&args.key)?;
    }
    let key = WitnessKey::new(&args.name, Arc::new(KeyFile::read(&args.key)?.open_unsealed()?))?;
    println!("verifier key: {}", key.verifier());
    let logs = args.logs.iter().map(|log| watched(log)).collect::<Done<Vec<_>>>()?;
    let disk = Disk::open(&args.state).map_err(|error| Failure::file(&args.state, &error))?;
    let store = WitnessStore::open(Arc::new(disk), vec![Arc::new(key)], logs, system_clock())?;
    let router = axum::Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(axum::extract::DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Arc::new(store));
    http::serve(args.listen, router)
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
