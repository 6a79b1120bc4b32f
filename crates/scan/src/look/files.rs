//! What a file is, and whether its name says so.

use super::notes::{Notes, shown};
use super::pickle;
use crate::finding::Place;
use crate::kind::{self, Kind};

/// A text longer than this is not taken for one by its first bytes alone.
const TEXT_HEAD_BYTES: usize = 4096;
/// A pickle without a mark of its own is looked for in files up to this size.
const BARE_PICKLE_BYTES_MAX: usize = 1 << 20;

/// Decides what a file is; a name that promises something else is a finding, and so is a program.
pub(super) fn kind_of(name: &str, bytes: &[u8], notes: &mut Notes<'_>) -> Kind {
    let promised = kind::by_name(name);
    let content = kind::by_content(bytes).or_else(|| without_magic(bytes, promised));
    let kind = match (content, promised) {
        (Some(content), Some(named)) if text_may_be(content, named) => named,
        (Some(content), Some(named)) => {
            if !kind::agree(content, named) {
                notes.find(
                    "SCAN-FIL-001",
                    Place::File,
                    format!("`{}` is named as {} and holds {}", shown(name), named.name(), content.name()),
                    [format!("first bytes {}", first_bytes(bytes))],
                );
            }
            special(content, named)
        }
        // No magic of its own: the name is believed, and reading it as that will fail if it is something else.
        (Some(kind), None) | (None, Some(kind)) => kind,
        (None, None) => Kind::Unknown,
    };
    if kind.is_program() {
        let rule = if matches!(kind, Kind::Python | Kind::Script) { "SCAN-FIL-002" } else { "SCAN-FIL-003" };
        notes.find(rule, Place::File, format!("`{}` is code: {}", shown(name), kind.name()), []);
    }
    if start_hook(name, bytes) {
        notes.find(
            "SCAN-FIL-007",
            Place::File,
            format!("`{}` is run or read when Python or a package starts", shown(name)),
            [],
        );
    }
    kind
}

/// Whether something of this name that begins with these bytes may be of a kind that is read. What has a megabyte or more is
/// no bare pickle ([`BARE_PICKLE_BYTES_MAX`]).
pub(super) fn may_be_read(name: &str, head: &[u8]) -> bool {
    kind::by_name(name).is_some()
        || kind::by_content(head).is_some()
        || text_kind(head).is_some()
        // The header of a safetensors file, which is longer than the head.
        || head.get(8) == Some(&b'{')
}

/// Any text may be JSON, a template or source; its name tells which.
const fn text_may_be(content: Kind, named: Kind) -> bool {
    match content {
        Kind::Text => matches!(
            named,
            Kind::Json | Kind::Template | Kind::Python | Kind::Script | Kind::Text | Kind::OtherModel
        ),
        Kind::Json => matches!(named, Kind::Template | Kind::Python | Kind::Script | Kind::Text),
        _ => false,
    }
}

/// The more special of two names for one content.
const fn special(content: Kind, named: Kind) -> Kind {
    match (content, named) {
        (Kind::Zip, Kind::TorchZip | Kind::Npz | Kind::Keras) => named,
        _ => content,
    }
}

/// What a file without magic bytes is. Pickles of protocols 0 and 1 read as text, or as nothing; what is short enough is
/// tried as one.
fn without_magic(bytes: &[u8], promised: Option<Kind>) -> Option<Kind> {
    let is_pickle_by_name = matches!(promised, Some(Kind::Pickle | Kind::TorchZip));
    if bytes.len() <= BARE_PICKLE_BYTES_MAX && pickle::is_bare(bytes) {
        return Some(Kind::Pickle);
    }
    // A text under a pickle's name is read as what a loader takes it for.
    if is_pickle_by_name { Some(Kind::Pickle) } else { text_kind(bytes) }
}

/// Whether the head reads as text, and of which sort.
fn text_kind(bytes: &[u8]) -> Option<Kind> {
    let head = bytes.get(..TEXT_HEAD_BYTES).unwrap_or(bytes);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A letter may be cut at the end of the head.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t' | '\u{c}');
    if text.chars().any(control) {
        return None;
    }
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    let json =
        begin.starts_with("{\"") || begin.starts_with('[') || begin.starts_with("{\n") || begin == "{}";
    Some(if json && !begin.starts_with("{%") && !begin.starts_with("{{") { Kind::Json } else { Kind::Text })
}

/// Names that Python, its installers or a shell act upon without being asked. `.pth` is the ending of weights as well
/// as of Python's path files; only a text of which a line begins with `import` is such a file.
fn start_hook(name: &str, bytes: &[u8]) -> bool {
    const NAMES: [&str; 7] = [
        "sitecustomize.py",
        "usercustomize.py",
        "setup.py",
        "conftest.py",
        "__main__.py",
        ".bashrc",
        ".profile",
    ];
    let imports =
        |text: &str| text.lines().any(|line| line.starts_with("import ") || line.starts_with("import\t"));
    NAMES.contains(&name)
        || name.to_ascii_lowercase().ends_with(".pth") && std::str::from_utf8(bytes).is_ok_and(imports)
}

pub(super) fn first_bytes(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    shown.join(" ")
}

/// A file of a kind that is known, or not, and cannot be read here.
pub(super) fn not_examined(kind: Kind, notes: &mut Notes<'_>) {
    notes.find(
        "SCAN-FIL-008",
        Place::File,
        format!("nothing here reads this file ({}); what it holds was not looked at", kind.name()),
        [],
    );
    notes.unexamined(&format!("{} is not read", kind.name()));
}
