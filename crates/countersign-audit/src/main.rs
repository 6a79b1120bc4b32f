//! `countersign-audit FILE`: verifies an export with no network and no server, and prints what it found.
//!
//! Exit status: 0 the record is clean, 1 it is not or the file is refused, 2 the command line is wrong. All that decides
//! is in crate `audit`; here are reading, writing and the command line.

mod extract;
mod fault;
mod file;
mod refusal;
mod span;

use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit::report::ChangeReport;
use audit::{AuditError, Expectations, Report, audit};
use clap::Parser;
use fault::Fault;
use statement::StatementId;

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

    /// A signed checkpoint of the log that you have from elsewhere (a witness, `countersign log head`, an earlier export):
    /// the export must hold all that it held. May be given several times.
    #[arg(long, value_name = "FILE")]
    known_checkpoint: Vec<PathBuf>,

    /// How old the checkpoint may be by the newest time a witness saw it: `90s`, `30min`, `24h`, `7d`. Older is not clean.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    max_age: Option<u64>,

    /// The moment that ages and ends are judged by, in seconds since 1970, in place of this machine's clock.
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,

    /// What is only to be known is not clean either: for scripts, which look at the exit status and not at the page.
    #[arg(long)]
    strict: bool,

    /// Which attestations of hosts count: keys, roots, statuses, measurements. None is required without it.
    #[arg(long, value_name = "FILE")]
    attestation_policy: Option<PathBuf>,

    /// What Intel says of platforms, as `dcap-qvl` writes it, for quotes of TDX and SGX that carry none. It may be given
    /// several times; each is tried. Counts where this program was built with `--features dcap`.
    #[arg(long, value_name = "FILE")]
    collateral: Vec<PathBuf>,

    /// Print one change whole instead of the page; the beginning of its id suffices. With `--json`, the member of the
    /// report's `changes`.
    #[arg(long, value_name = "ID")]
    change: Option<String>,

    /// Write the sections, the statements and the attachments into a new folder.
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
}

const EXAMPLE: &str = "\
Example:
  countersign-audit quarter.export --root 0cec4ea48b985b907c2c12ee594dc468f6b16678aeb19fad9cb9ab5b6c3b9073
  countersign-audit quarter.export --known-checkpoint last-quarter.checkpoint --max-age 7d

Exit status:
  0  the record is clean
  1  it is not, or the file is refused; with --strict, also where there is something to be known
  2  the command line is wrong";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fault = match run(&arguments) {
        Ok(status) => return status,
        Err(fault) => fault,
    };
    let told = if arguments.json { refusal::to_json(&fault) } else { refusal::render(&fault, width()) };
    // A refused export is an answer; that there is none is not.
    let is_answer = arguments.json || matches!(fault, Fault::Refused(_));
    if !is_answer || print(&told).is_err() {
        // Where not even this can be written there is nobody to tell.
        drop(std::io::stderr().write_all(told.as_bytes()));
    }
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<ExitCode, Fault> {
    let file = file::read(&arguments.file, file::EXPORT_BYTES_MAX)?;
    let report = patiently(&file, &expectations(arguments)?).map_err(Fault::Refused)?;
    if let Some(folder) = &arguments.extract {
        extract::into(&file, folder)?;
    }
    let change = arguments.change.as_deref().map(|text| the_change(&report, text)).transpose()?;
    let text = match change {
        None if arguments.json => report.to_json().map_err(Fault::Json)?,
        None => report.render(width()),
        Some(change) if arguments.json => serde_json::to_string_pretty(change).map_err(Fault::Json)? + "\n",
        Some(change) => report
            .render_change(&change.change, width())
            .ok_or_else(|| Fault::NoChange(change.change.to_string()))?,
    };
    print(&text)?;
    let is_enough = report.is_clean() && (!arguments.strict || report.warnings.is_empty());
    Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The one change whose id begins so.
fn the_change<'a>(report: &'a Report, text: &str) -> Result<&'a ChangeReport, Fault> {
    let mut found = report.changes_beginning(text);
    match (found.next(), found.next()) {
        (Some(change), None) => Ok(change),
        (Some(_), Some(_)) => Err(Fault::Ambiguous(text.to_owned())),
        (None, _) => Err(Fault::NoChange(text.to_owned())),
    }
}

fn expectations(arguments: &Arguments) -> Result<Expectations, Fault> {
    let now_ms = if let Some(seconds) = arguments.at {
        seconds.checked_mul(1000).ok_or(Fault::Clock)?
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Fault::Clock)?;
        u64::try_from(now.as_millis()).map_err(|_| Fault::Clock)?
    };
    let policy = |path: &PathBuf| {
        let parsed = audit::AttestationPolicy::parse(&file::read(path, file::SMALL_BYTES_MAX)?);
        parsed.map_err(|error| Fault::Policy {
            path: path.clone(),
            code: error.code(),
            what: error.to_string(),
        })
    };
    Ok(Expectations {
        attestation: arguments.attestation_policy.as_ref().map(policy).transpose()?,
        collateral: arguments
            .collateral
            .iter()
            .map(|path| file::read(path, file::SMALL_BYTES_MAX))
            .collect::<Result<_, _>>()?,
        root: arguments.root,
        log_key: arguments.log_key.clone(),
        now_ms: Some(now_ms),
        age_max_ms: arguments.max_age,
        known: arguments
            .known_checkpoint
            .iter()
            .map(|path| file::read(path, file::SMALL_BYTES_MAX))
            .collect::<Result<_, _>>()?,
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

/// Audits, and says so on a terminal where it takes long.
fn patiently(file: &[u8], expectations: &Expectations) -> Result<Report, AuditError> {
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel();
        scope.spawn(move || {
            // The other end is gone only when nobody waits for the answer any more.
            drop(done.send(audit(file, expectations)));
        });
        match wait.recv_timeout(PATIENCE) {
            Ok(answer) => return answer,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(AuditError::Worker),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            let megabytes = file.len() / 1_000_000;
            let told = format!("auditing {megabytes} MB: every hash, signature and decision again …\n");
            // A terminal that is gone does not stop the audit.
            drop(stderr.write_all(told.as_bytes()));
        }
        wait.recv().unwrap_or(Err(AuditError::Worker))
    })
}

fn print(text: &str) -> Result<(), Fault> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Fault::Write)
}

fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH)
}
