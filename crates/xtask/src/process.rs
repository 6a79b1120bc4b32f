//! Running other programs: with a line that moves while one waits, and with a bound on the wait.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a waiting chore looks.
const GLANCE: Duration = Duration::from_millis(50);
/// How often a waiting chore says so, where no terminal shows a moving line.
const REPORT: Duration = Duration::from_secs(20);

/// The Cargo that runs this chore.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace::root());
    command
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.enumerate().map(|(place, word)| shown_word(place, word)).collect();
    words.join(" ")
}

fn shown_word(place: usize, word: &OsStr) -> String {
    let text = word.to_string_lossy();
    // The program by its name alone: `cargo`, not the path of a toolchain.
    let program = Path::new(word).file_name().map(OsStr::to_string_lossy);
    let text = if place == 0 { program.unwrap_or(text) } else { text };
    if text.contains(' ') { format!("'{text}'") } else { text.into_owned() }
}

/// Runs a command that talks for itself; says what is run.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("`{}` cannot be run", shown(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed: {status}", shown(command)) }
}

/// Runs a command quietly for at most `limit`, with a moving line that says `what`. Its output is shown if it fails.
pub fn run_quietly(what: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("`{}` cannot be run", shown(command)))?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status = wait(what, &mut child, limit)?;
    let Some(status) = status else {
        // What the child had started may still hold the pipes, so nobody waits for their end.
        bail!("`{}` took longer than {} s", shown(command), limit.as_secs());
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok(out);
    }
    bail!("`{}` failed: {status}\n{}", shown(command), tail(&format!("{out}{err}")))
}

/// Waits for a child, with a moving line; ends it at the limit and answers none.
fn wait(what: &str, child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let line = Waiting::new(what);
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        line.glance();
        std::thread::sleep(GLANCE);
    }
}

/// A line that says what is waited for, and for how long already.
#[derive(Debug)]
pub struct Waiting {
    bar: ProgressBar,
    what: String,
    begin: Instant,
    said: std::cell::Cell<Instant>,
}

impl Waiting {
    /// Begins to wait.
    pub fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        if !std::io::stderr().is_terminal() {
            eprintln!("  {what} …");
        }
        Self { bar, what: what.to_owned(), begin: now, said: std::cell::Cell::new(now) }
    }

    /// Shows that it is still waited.
    pub fn glance(&self) {
        self.bar.tick();
        if self.bar.is_hidden() && self.said.get().elapsed() > REPORT {
            eprintln!("  {} … {} s", self.what, self.begin.elapsed().as_secs());
            self.said.set(Instant::now());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Reads a child's pipe on a thread of its own, so that it never fills.
fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks has still given what it gave.
            if pipe.read_to_end(&mut bytes).is_err() {
                bytes.extend_from_slice(b"\n(the output broke off)");
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last lines of a long output.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n")
}

/// Whether a program is there.
pub fn is_there(program: &str) -> bool {
    let found = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    found.is_some_and(|folders| folders.iter().any(|folder| folder.join(program).is_file()))
}

/// Whether a command runs and succeeds; its output is of no interest.
pub fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
