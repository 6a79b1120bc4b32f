//! What opens untrusted files: measures a change against its scope and answers a finding. Holds no key.
//!
//! Reads one job (JSON) from standard input, writes one answer (JSON, at most 1 MiB) to standard output. It says what
//! it read by digest, so that whoever signs can compare that with what was proposed. It decides nothing else.

mod job;
mod measure;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use job::{Answer, Job};

/// The largest job.
const JOB_BYTES_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().take(JOB_BYTES_MAX).read_to_string(&mut text)?;
    let job: Job = serde_json::from_str(&text)?;
    let answer: Answer = measure::measure(&job)?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}
