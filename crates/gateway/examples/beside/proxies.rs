//! Processes: engines, the gateway, and the proxies beside it.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::{KEY, Outcome};

/// A process, ended with the measurement.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Tells it to stop, and waits: a program that counts writes its counts then.
    pub(crate) fn end(mut self) -> Outcome<()> {
        let told = Command::new("kill").arg(self.0.id().to_string()).status()?;
        if !told.success() {
            return Err("it had ended before".into());
        }
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is this program's own child; that it has ended already is no matter.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> Outcome<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

/// Starts this program, and reads nothing of it.
pub(crate) fn spawn(arguments: &[&str]) -> Outcome<Running> {
    Ok(Running(Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::null()).spawn()?))
}

/// A command, under another program where one is named.
fn command(program: &Path, under: &[String]) -> Command {
    match under {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Starts this program, and reads where it listens.
pub(crate) fn start(arguments: &[&str], under: &[String]) -> Outcome<(Running, SocketAddr)> {
    let mut command = command(&std::env::current_exe()?, under);
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    Ok((running, line.trim().parse()?))
}

/// Starts nginx as a proxy with connections kept alive on both sides, unbuffered, and nothing else on.
pub(crate) fn nginx(
    program: &str,
    folder: &Path,
    engine: SocketAddr,
    under: &[String],
) -> Outcome<(Running, SocketAddr)> {
    let address = free()?;
    // What counts instructions follows one process.
    let processes = if under.is_empty() { "worker_processes 2;" } else { "master_process off;" };
    let text = format!(
        "daemon off; {processes} pid {folder}/pid; error_log stderr crit;\nevents {{ worker_connections 4096; }}\nhttp {{ \
         access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; \
         uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;\n upstream engine {{ server {engine}; \
         keepalive 256; keepalive_requests 1000000; }}\n server {{ listen {address}; location / {{ proxy_pass http://engine; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}",
        folder = folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text)?;
    let mut command = command(Path::new(program), under);
    command.arg("-p").arg(folder).arg("-c").arg(&file);
    listening(program, &mut command, address)
}

/// Starts haproxy as a proxy with connections kept alive on both sides, told not to gather, and nothing else on.
pub(crate) fn haproxy(
    program: &str,
    folder: &Path,
    engine: SocketAddr,
    under: &[String],
) -> Outcome<(Running, SocketAddr)> {
    let address = free()?;
    let text = format!(
        "global\n maxconn 4096\n nbthread 2\ndefaults\n mode http\n option http-no-delay\n http-reuse always\n \
         timeout connect 5s\n timeout client 60s\n timeout server 60s\nfrontend clients\n bind {address}\n \
         default_backend engines\nbackend engines\n server engine {engine}\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let mut command = command(Path::new(program), under);
    command.arg("-db").arg("-f").arg(&file);
    listening(program, &mut command, address)
}

/// Starts LiteLLM's proxy with one worker, a key and one model, and nothing else on.
pub(crate) fn litellm(program: &str, folder: &Path, engine: SocketAddr) -> Outcome<(Running, SocketAddr)> {
    let address = free()?;
    let model = json!({ "model_name": "support", "litellm_params": { "api_base": format!("http://{engine}/v1"), "api_key": "none", "model": "openai/made" } });
    // JSON is YAML.
    let text = json!({ "general_settings": { "master_key": KEY }, "model_list": [model] });
    let file = folder.join("litellm.yaml");
    std::fs::write(&file, text.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).args(["--host", "127.0.0.1", "--num_workers", "1"]);
    command.args(["--port", &address.port().to_string()]);
    // Prices are read from its package, and not from the network; it says nothing of every request.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
    listening(program, &mut command, address)
}

/// Starts Portkey's gateway, which is told with each request where to.
pub(crate) fn portkey(program: &str) -> Outcome<(Running, SocketAddr)> {
    let address = free()?;
    let mut command = Command::new("node");
    command.args([program, "--headless", &format!("--port={}", address.port())]);
    listening(program, &mut command, address)
}

/// An address that nobody listens on.
fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn listening(program: &str, command: &mut Command, address: SocketAddr) -> Outcome<(Running, SocketAddr)> {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut running = Running(child.map_err(|error| format!("`{program}`: {error}"))?);
    while TcpStream::connect(address).is_err() {
        if let Some(status) = running.0.try_wait()? {
            return Err(format!("`{program}` ended: {status}").into());
        }
        std::thread::yield_now();
    }
    Ok((running, address))
}
