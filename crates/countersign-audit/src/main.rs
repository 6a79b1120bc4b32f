//! `countersign-audit FILE`: verifies an export with no network and no server, and prints what it found.
//!
//! Exit status: 0 the record is clean, 1 it is not or the file is refused, 2 the command line is wrong. All that decides
//! is in crate `audit`; here are reading, writing and the command line.

mod extract;
mod refusal;

use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use audit::{AuditError, Expectations, Report, audit};
use clap::Parser;
use statement::{ChangeId, StatementId};

/// How long an audit runs before it says that it is running.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page's width where the terminal's is not known, in columns.
const WIDTH: usize = 100;

/// Verifies an export with no network and no server.
///
/// Hashes every leaf, checks every signature, decides every verdict, approval and release order again, and says what
/// that proves and what it does not.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
struct Arguments {
    /// The file that `countersign export` wrote.
    file: PathBuf,

    /// Print the report (or the refusal) as JSON; docs/audit-report.schema.json has its schema.
    #[arg(long)]
    json: bool,

    /// The id of the realm's first trust root, got by another way than this file.
    #[arg(long, value_name = "ID")]
    root: Option<StatementId>,

    /// The log's key, got by another way than this file.
    #[arg(long, value_name = "VKEY")]
    log_key: Option<String>,

    /// Which attestations of hosts count: keys, roots, statuses, measurements. None is required without it.
    #[arg(long, value_name = "FILE")]
    attestation_policy: Option<PathBuf>,

    /// Print one change whole instead of the page.
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    change: Option<ChangeId>,

    /// Write the sections, the statements and the attachments into a new folder.
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
}

const EXAMPLE: &str = "\
Example:
  countersign-audit quarter.export --root 0cec4ea48b985b907c2c12ee594dc468f6b16678aeb19fad9cb9ab5b6c3b9073

Exit status:
  0  the record is clean
  1  it is not, or the file is refused
  2  the command line is wrong";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => status,
        Err(error) => {
            // Where not even this can be written there is nobody to tell.
            drop(writeln!(std::io::stderr(), "countersign-audit: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = std::fs::read(&arguments.file)
        .with_context(|| format!("`{}` cannot be read", arguments.file.display()))?;
    let report = match patiently(&file, &expectations(arguments)?)? {
        Ok(report) => report,
        Err(error) => {
            print(&if arguments.json {
                refusal::to_json(&error)?
            } else {
                refusal::render(&error, width())
            })?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(folder) = &arguments.extract {
        extract(&file, folder)?;
    }
    let text = match &arguments.change {
        _ if arguments.json => report.to_json()?,
        None => report.render(width()),
        Some(change) => match report.render_change(change, width()) {
            Some(page) => page,
            None => bail!("the record has no change `{change}`"),
        },
    };
    print(&text)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn expectations(arguments: &Arguments) -> anyhow::Result<Expectations> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let attestation = match &arguments.attestation_policy {
        None => None,
        Some(path) => {
            let bytes =
                std::fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
            let policy = audit::AttestationPolicy::parse(&bytes);
            Some(policy.map_err(|error| anyhow::anyhow!("[{}] {error}", error.code()))?)
        }
    };
    Ok(Expectations {
        attestation,
        root: arguments.root,
        log_key: arguments.log_key.clone(),
        now_ms: Some(u64::try_from(now.as_millis()).context("the clock is beyond reason")?),
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

/// Audits, and says so on a terminal where it takes long.
fn patiently(file: &[u8], expectations: &Expectations) -> anyhow::Result<Result<Report, AuditError>> {
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel();
        scope.spawn(move || {
            // The other end is gone only when nobody waits for the answer any more.
            drop(done.send(audit(file, expectations)));
        });
        match wait.recv_timeout(PATIENCE) {
            Ok(answer) => return Ok(answer),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the audit ended without an answer"),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            let megabytes = file.len() / 1_000_000;
            writeln!(stderr, "auditing {megabytes} MB: every hash, signature and decision again …")?;
        }
        wait.recv().context("the audit ended without an answer")
    })
}

fn extract(file: &[u8], folder: &Path) -> anyhow::Result<()> {
    extract::into(file, folder).with_context(|| format!("cannot extract into `{}`", folder.display()))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("the answer cannot be written")
}

fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH)
}
