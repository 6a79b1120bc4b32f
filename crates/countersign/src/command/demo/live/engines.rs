//! Engines for the demo: processes of this program, ended with the scene.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{MODEL, Props};
use crate::failure::{Done, Failure};

/// A process that serves the model with a prompt.
pub(super) struct Engine {
    child: Child,
    out: Option<ChildStdout>,
}

impl Engine {
    /// Starts it. It opens the model while others start.
    pub(super) fn begin(props: &Props<'_>, model: &Path, prompt: &Path) -> Done<Self> {
        let program =
            std::env::current_exe().map_err(|error| Failure::file(Path::new("/proc/self/exe"), &error))?;
        let mut command = Command::new(&program);
        command.args(["--json", "engine", "--name", MODEL, "--listen", "127.0.0.1:0", "--threads", "1"]);
        command.args(["--drain-seconds", "1", "--queue", "1024"]);
        command.arg("--model").arg(model).arg("--system").arg(prompt);
        if let Some(worker) = &props.setting.worker {
            command.arg("--worker").arg(worker);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure::file(&program, &error))?;
        let out = child.stdout.take();
        Ok(Self { child, out })
    }

    /// Waits until it listens, and answers where.
    pub(super) fn address(&mut self) -> Done<String> {
        let mut said = String::new();
        if let Some(out) = self.out.take() {
            BufReader::new(out)
                .read_line(&mut said)
                .map_err(|error| Failure::file(Path::new("engine"), &error))?;
        }
        let told: Option<Value> = serde_json::from_str(&said).ok();
        let url = told.as_ref().and_then(|told| told.get("listening")?.as_str()?.strip_suffix("/v1"));
        url.map(str::to_owned).ok_or_else(|| {
            Failure::outside(
                format!("an engine did not start: `{}`", said.trim_end()),
                "its own message is above",
            )
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let asked = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let told = asked.is_some_and(|process| {
            rustix::process::kill_process(process, rustix::process::Signal::TERM).is_ok()
        });
        if !told {
            // It is this program's own child; that it has ended already is no matter.
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}
