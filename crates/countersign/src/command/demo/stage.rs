//! How the demo speaks.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::Output;
use crate::failure::Failure;
use crate::text::print;

/// Prints the demo's story as it happens, or one JSON object a line.
pub(super) struct Stage {
    output: Output,
    bold: bool,
    refused: usize,
}

impl Stage {
    pub(super) fn new(output: Output) -> Self {
        Self { output, bold: std::io::stdout().is_terminal(), refused: 0 }
    }

    fn emphasis(&self, text: &str) -> String {
        if self.bold { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn put(&self, value: &Value, text: &str) {
        match self.output {
            Output::Json => print(&format!("{value}\n")),
            Output::Text => print(&format!("{text}\n")),
        }
    }

    pub(super) fn heading(&self, text: &str) {
        self.put(&json!({ "heading": text }), &format!("\n{}", self.emphasis(text)));
    }

    pub(super) fn say(&self, text: &str) {
        if self.output == Output::Text {
            print(&format!("{text}\n"));
        }
    }

    /// Something that takes a moment.
    pub(super) fn busy(&self, text: &str) {
        if self.output == Output::Text && std::io::stderr().is_terminal() {
            eprintln!("  … {text}");
        }
    }

    pub(super) fn fact(&self, label: &str, text: &str) {
        self.put(&json!({ label: text }), &format!("  {label:<12} {text}"));
    }

    pub(super) fn block(&self, text: &str) {
        self.put(&json!({ "text": text }), &indented(text));
    }

    /// Something that happened by itself, and when.
    pub(super) fn event(&self, at: Duration, text: &str) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let text_line = format!("  {:>9.1} s  {text}", at.as_secs_f64());
        self.put(&json!({ "at_ms": at_ms, "event": text }), &text_line);
    }

    /// What became of the users' requests.
    pub(super) fn traffic(&self, answered: u64, failed: u64, moved: u64, text: &str) {
        let value = json!({ "answered": answered, "failed": failed, "moved": moved, "traffic": text });
        self.put(&value, &format!("  {:<12} {text}", "traffic"));
    }

    /// Something that was refused, as it should be.
    pub(super) fn refusal(&mut self, what: &str, failure: &Failure) {
        self.refused += 1;
        let text = format!("  {}\n{}", self.emphasis(what), indented(&failure.to_string()));
        self.put(&json!({ "attempt": what, "refused": failure }), &text);
    }

    pub(super) fn finish(&self, kept: Option<&Path>) {
        let kept = kept.map_or_else(
            || "Keep the realm to look around in it: countersign demo --keep FOLDER".to_owned(),
            |folder| format!("The realm is kept in {}.", folder.display()),
        );
        let text = format!(
            "\n{} attempts were refused as they should be; three changes were countersigned and released, and a fourth \
             that was good on paper was taken back.\n{kept}",
            self.refused
        );
        self.put(&json!({ "refused": self.refused, "done": true }), &text);
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
