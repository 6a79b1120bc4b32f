//! What a request costs the gateway, beside nginx: processor time of the proxy's processes and latency, at a fixed rate.
//!
//! ```text
//! cargo run --release -p gateway --example beside -- PROXY [--rate N] [--seconds N] [--nginx PROGRAM]
//! ```
//!
//! PROXY is `gateway`, `nginx`, or `none`, which asks the engine itself: the floor under both. The engine is a process that
//! answers every request with the same kilobyte; requests have a kilobyte too. The gateway runs with everything on: keys,
//! assignment, metrics, the order verified from the trust root of a made realm (the auditor's fixture), half of the users on a
//! candidate in a stage that counts them. Prints one line of JSON. The load is open: a request is due when it is due, and late
//! ones count from then.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audit::fixture::{Plan, Realm, SLOT};
use bytes::Bytes;
use gateway::{Config, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use merkle::tile::{bundles_between, encode_bundle};
use serde_json::{Value, json};
use statement::Digest;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const KEY: &str = "a-key-for-this-measurement";
/// Clock ticks in a second, as Linux counts processor time for programs.
const TICKS: u64 = 100;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: u64| option(name).map_or(Ok(usual), |text| text.parse());
    match arguments.first().map(String::as_str) {
        Some("engine") => engine(),
        Some("serve") => serve(&arguments.get(1).cloned().ok_or("no engine")?),
        Some(proxy) => {
            let nginx = option("--nginx").unwrap_or_else(|| "nginx".to_owned());
            measure(proxy, number("--rate", 900)?, number("--seconds", 20)?, &nginx)
        }
        None => Err("which proxy: gateway, nginx, none".into()),
    }
}

/// A process that has said where it listens, ended with the measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It is this program's own child; that it has ended already is no matter.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(arguments: &[&str]) -> Outcome<(Running, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    Ok((running, line.trim().parse()?))
}

/// Answers every request with the same kilobyte.
fn engine() -> Outcome<()> {
    let text = json!({ "id": "x", "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "a".repeat(900) } }] });
    let text = Bytes::from(text.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let text = text.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let text = text.clone();
                async move {
                    request.into_body().collect().await?;
                    let mut response = Response::new(Full::new(text));
                    let json = hyper::header::HeaderValue::from_static("application/json");
                    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
                    Ok::<_, hyper::Error>(response)
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

/// Runs the gateway on a made realm.
fn serve(engine: &str) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut realm = Realm::new();
    let change = realm.release(Plan::tuning("measured"));
    let tiles = folder.path().join("tiles");
    publish(&realm, &tiles)?;
    let (file, _) = signer::KeyFile::generate(signer::FileScheme::Ed25519, signer::Protection::Unsealed)?;
    let key_path = folder.path().join("rollout.key");
    file.write_new(&key_path)?;
    let plan = folder.path().join("plan.json");
    std::fs::write(&plan, half().to_string())?;
    let order = &realm.dossier(&change).order.as_ref().ok_or("no order")?.body;
    let state = |state: statement::StateId| json!({ "state": state, "model": "made", "engines": [format!("http://{engine}")] });
    let config = json!({
        "keys": [{ "name": "app", "sha256": Digest::of(KEY.as_bytes()), "context": "non-critical", "concurrent": 4096, "per_minute": 10_000_000 }],
        "listen": "127.0.0.1:0",
        "log": { "folder": tiles },
        "realm": { "log_key": realm.log_signer().verifier().to_string(), "name": realm.id(), "origin": realm.origin(), "root": realm.ledger().world().roots().first() },
        "rollout_key": key_path,
        "slots": [{ "slot": SLOT, "model": "support", "system_prompts": "refused", "unit": [{ "header": "x-session-id" }],
                    "release": { "stages": plan }, "states": [state(order.from_state), state(order.to_state)] }],
        "state": folder.path().join("gateway"),
    });
    let config = Config::parse(config.to_string().as_bytes())?;
    // The fixture's clock, moved on by the real one.
    let (from, began) = (realm.now_ms(), Instant::now());
    let clock = move || from + u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
    let (mut warden, server) = Warden::open(config, Arc::new(clock))?;
    warden.tick();
    println!("{}", server.address());
    std::thread::spawn(move || server.run(2, std::future::pending()));
    Ok(warden.run(&AtomicBool::new(false))?)
}

/// Half of the users, for longer than any measurement.
fn half() -> Value {
    let metrics = json!([
        { "expected_ppm": [5_000], "measure": "rate", "name": "errors", "tolerated_ppm": 500_000 },
        { "expected_ppm": [10_000], "measure": { "quantile": { "limit": 60_000_000 } }, "name": "latency-p99", "tolerated_ppm": 500_000 },
    ]);
    let stage = |kind: &str, share: u32, duration: u64, units: u64| {
        json!({ "contexts": "all", "duration_ms": duration, "extension_ms": 0, "margins_ppm": [900_000, 900_000], "reports": [],
                "share_ppm": share, "stage": kind, "units_min": units })
    };
    json!({ "alpha_ppm": 1_000, "metrics": metrics, "stages": [stage("canary", 500_000, 86_400_000, 1), stage("full", 1_000_000, 0, 0)], "version": 1 })
}

fn publish(realm: &Realm, tiles: &Path) -> Outcome<()> {
    let entries = realm.entries();
    for path in bundles_between(0, entries.len() as u64) {
        let from = usize::try_from(path.index())? * 256;
        let bundle = entries.get(from..from + usize::from(path.width())).ok_or("a bundle beyond the log")?;
        let full = tiles.join(path.to_string());
        std::fs::create_dir_all(full.parent().ok_or("no folder")?)?;
        std::fs::write(full, encode_bundle(bundle)?)?;
    }
    std::fs::write(tiles.join("checkpoint"), realm.checkpoint(entries.len() as u64, 2).to_bytes())?;
    Ok(())
}

/// Starts nginx as a proxy with connections kept alive on both sides, and nothing else on.
fn nginx(program: &str, folder: &Path, engine: SocketAddr) -> Outcome<(Running, SocketAddr)> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let text = format!(
        "daemon off; worker_processes 2; pid {folder}/pid; error_log stderr crit;\nevents {{ worker_connections 4096; }}\nhttp {{ \
         access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; \
         uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;\n upstream engine {{ server {engine}; \
         keepalive 256; keepalive_requests 1000000; }}\n server {{ listen {address}; location / {{ proxy_pass http://engine; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}",
        folder = folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text)?;
    let child =
        Command::new(program).arg("-p").arg(folder).arg("-c").arg(&file).stderr(Stdio::null()).spawn();
    let running = Running(child.map_err(|error| format!("`{program}`: {error}"))?);
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::yield_now();
    }
    Ok((running, address))
}

fn measure(proxy: &str, rate: u64, seconds: u64, nginx_program: &str) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (_engine, engine) = start(&["engine"])?;
    let (running, address) = match proxy {
        "gateway" => start(&["serve", &engine.to_string()])?,
        "nginx" => nginx(nginx_program, folder.path(), engine)?,
        "none" => (start(&["engine"])?.0, engine),
        other => return Err(format!("`{other}` is no proxy").into()),
    };
    let process = running.0.id();
    // Connections and code are warm before anything counts.
    load(address, rate, Duration::from_secs(2))?;
    let before = processor_us(process)?;
    let mut found = load(address, rate, Duration::from_secs(seconds))?;
    let spent = processor_us(process)?.saturating_sub(before);
    found.latencies_us.sort_unstable();
    let at = |part: f64| {
        let last = found.latencies_us.len().saturating_sub(1);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (part * last as f64) as usize;
        found.latencies_us.get(rank).copied().unwrap_or(0)
    };
    let requests = found.latencies_us.len() as u64;
    let line = json!({
        "proxy": proxy, "rate": rate, "requests": requests, "failed": found.failed,
        "cpu_us_per_request": spent.checked_div(requests), "p50_us": at(0.5), "p99_us": at(0.99),
    });
    println!("{line}");
    Ok(())
}

/// What a load met.
struct Found {
    latencies_us: Vec<u64>,
    failed: u64,
}

fn load(address: SocketAddr, rate: u64, how_long: Duration) -> Outcome<Found> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let body =
            json!({ "model": "support", "messages": [{ "role": "user", "content": "b".repeat(900) }] });
        let body = Bytes::from(body.to_string());
        let failed = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let mut requests = Vec::new();
        let total = rate * how_long.as_secs();
        for number in 0..total {
            let due = began + Duration::from_nanos(1_000_000_000 / rate * number);
            tokio::time::sleep_until(due.into()).await;
            let request = Request::post(format!("http://{address}/v1/chat/completions"))
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {KEY}"))
                .header("x-session-id", format!("s{}", number % 5_000))
                .body(Full::new(body.clone()))?;
            let (client, failed) = (client.clone(), Arc::clone(&failed));
            requests.push(tokio::spawn(async move {
                let good = match client.request(request).await {
                    Ok(response) if response.status().is_success() => {
                        response.into_body().collect().await.is_ok()
                    }
                    _ => false,
                };
                failed.fetch_add(u64::from(!good), Ordering::Relaxed);
                u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)
            }));
        }
        let mut latencies_us = Vec::with_capacity(requests.len());
        for request in requests {
            latencies_us.push(request.await?);
        }
        Ok(Found { latencies_us, failed: failed.load(Ordering::Relaxed) })
    })
}

/// Processor time of a process and its children so far.
fn processor_us(process: u32) -> Outcome<u64> {
    let mut total = own_us(process)?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(other) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if parent(other) == Some(process) {
            total += own_us(other)?;
        }
    }
    Ok(total)
}

fn fields(process: u32) -> Outcome<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in parentheses and may hold anything.
    let rest = text.rsplit_once(')').ok_or("no name")?.1;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent(process: u32) -> Option<u32> {
    fields(process).ok()?.get(1)?.parse().ok()
}

fn own_us(process: u32) -> Outcome<u64> {
    let fields = fields(process)?;
    let ticks = |at: usize| -> Outcome<u64> { Ok(fields.get(at).ok_or("too short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) * 1_000_000 / TICKS)
}
