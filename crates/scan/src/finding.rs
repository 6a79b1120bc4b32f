//! What a rule says of a file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing follows from it alone.
    Info,
    /// A person looks at it before the file is used.
    Warning,
    /// The file is not to be used as it is.
    Error,
}

impl Severity {
    /// The name in rules and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The file as a whole.
    File,
    /// A byte, counted from the start of the file (or of the member that `path` names after `!`).
    Byte(u64),
    /// A value in a JSON document (RFC 6901).
    Pointer(String),
    /// A tensor by name.
    Tensor(String),
    /// A line of a text, counted from one.
    Line(u64),
    /// A member of the file's metadata, by key.
    Key(String),
    /// A module of the model, by path.
    Module(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => write!(f, "the file"),
            Self::Byte(at) => write!(f, "byte {at}"),
            Self::Pointer(pointer) => write!(f, "{pointer}"),
            Self::Tensor(name) => write!(f, "tensor {name}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Module(path) => write!(f, "module {path}"),
        }
    }
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// The file, as the scan was given it; a member of an archive after `!`.
    pub path: String,
    /// Where in the file.
    pub place: Place,
    /// What is there, naming the thing.
    pub message: String,
    /// What was seen, for somebody who wants to look for themselves: imported names, figures, bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// A stranger's text, escaped and shortened, fit for a message.
pub fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 120;
    let mut shown = String::new();
    for letter in text.chars().take(SHOWN_MAX) {
        // What draws nothing, or turns the text around it, is written as its number.
        if is_invisible(letter) || letter.is_control() || letter == '`' {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('\u{2026}');
    }
    shown
}

/// Letters that readers do not see: zero-width, bidirectional controls, tags, variation selectors beyond the first
/// sixteen (which emoji use), and invisible operators.
pub(crate) const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}
