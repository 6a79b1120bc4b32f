//! How the demo speaks.

use std::io::IsTerminal as _;
use std::path::Path;

use serde_json::json;

use crate::command::Output;
use crate::failure::Failure;

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

    pub(super) fn heading(&self, text: &str) {
        match self.output {
            Output::Json => println!("{}", json!({ "heading": text })),
            Output::Text => println!("\n{}", self.emphasis(text)),
        }
    }

    pub(super) fn say(&self, text: &str) {
        if self.output == Output::Text {
            println!("{text}");
        }
    }

    /// Something that takes a moment.
    pub(super) fn busy(&self, text: &str) {
        if self.output == Output::Text && std::io::stderr().is_terminal() {
            eprintln!("  … {text}");
        }
    }

    pub(super) fn fact(&self, label: &str, text: &str) {
        match self.output {
            Output::Json => println!("{}", json!({ label: text })),
            Output::Text => println!("  {label:<12} {text}"),
        }
    }

    pub(super) fn block(&self, text: &str) {
        match self.output {
            Output::Json => println!("{}", json!({ "text": text })),
            Output::Text => {
                for line in text.lines() {
                    println!("    {line}");
                }
            }
        }
    }

    /// Something that was refused, as it should be.
    pub(super) fn refusal(&mut self, what: &str, failure: &Failure) {
        self.refused += 1;
        match self.output {
            Output::Json => println!("{}", json!({ "attempt": what, "refused": failure })),
            Output::Text => {
                println!("  {}", self.emphasis(what));
                for line in failure.to_string().lines() {
                    println!("    {line}");
                }
            }
        }
    }

    pub(super) fn finish(&self, kept: Option<&Path>) {
        if self.output == Output::Json {
            println!("{}", json!({ "refused": self.refused, "done": true }));
            return;
        }
        println!("\n{} attempts were refused as they should be; two changes were countersigned and released.", self.refused);
        match kept {
            Some(folder) => println!("The realm is kept in {}.", folder.display()),
            None => println!("Keep the realm to look around in it: countersign demo --keep FOLDER"),
        }
    }
}
