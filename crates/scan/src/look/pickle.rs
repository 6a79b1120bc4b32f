//! Pickles: what they import and call, against the list of what a model file needs.

use tensor::pickle::{AllowList, Concern, Import, Limits, Objection, Pickle, Reference, Stream};

use super::notes::{Notes, shown};
use crate::finding::Place;
use crate::report::Examined;

/// Places at which a pickle inside a pickle is looked for, at most. A chance match ends after a few opcodes.
const NESTED_MAX: usize = 4096;
/// The longest stream in which pickles are looked for at every byte; beyond it there are weights.
const NESTED_BYTES_MAX: usize = 1 << 26;

/// What may stand after the last pickle of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Nothing,
    /// Storages, which somebody else accounts for.
    Storages,
}

/// Looks at a stream of pickles.
pub(super) fn look(bytes: &[u8], list: &AllowList, tail: Tail, notes: &mut Notes<'_>) -> Examined {
    let Ok(stream) = Stream::read(bytes, &Limits::STANDARD) else { return Examined::Whole };
    for pickle in &stream.pickles {
        for objection in list.objections(pickle) {
            object(&objection, 0, notes);
        }
    }
    let whole = stream.pickles.iter().all(Pickle::is_whole);
    if tail == Tail::Nothing {
        if stream.pickles.len() > 1 {
            let message = format!(
                "{} pickles stand one after the other; a loader reads the first",
                stream.pickles.len()
            );
            let at = stream.pickles.get(1).map_or(0, |pickle| pickle.begin);
            notes.find("SCAN-PKL-008", Place::Byte(at), message, []);
        }
        if let Some(at) = stream.trailing_at.filter(|_| whole) {
            let left = bytes.len() as u64 - at.min(bytes.len() as u64);
            notes.find("SCAN-PKL-008", Place::Byte(at), format!("{left} bytes follow the pickle"), []);
        }
    }
    nested(bytes, &stream, list, notes);
    if whole { Examined::Whole } else { Examined::Part }
}

/// One objection as a finding.
fn object(objection: &Objection, shift: u64, notes: &mut Notes<'_>) {
    let subject = shown(&objection.subject);
    let (rule, message) = match &objection.concern {
        Concern::Import(class) if class.is_dangerous() => {
            ("SCAN-PKL-001", format!("loading imports `{subject}` ({})", class.name()))
        }
        Concern::Import(_) => {
            ("SCAN-PKL-002", format!("loading imports `{subject}`, which a model file has no need of"))
        }
        Concern::Unresolved => {
            ("SCAN-PKL-003", format!("loading imports `{subject}`, whose name is put together while it runs"))
        }
        Concern::Call(class) if class.is_dangerous() => {
            ("SCAN-PKL-004", format!("loading calls `{subject}`"))
        }
        // The import has been told already.
        Concern::Call(_) => return,
        Concern::CallOfResult => {
            ("SCAN-PKL-005", format!("loading calls what another call returned: `{subject}`"))
        }
        Concern::Changed => ("SCAN-PKL-005", format!("loading changes what it imported: `{subject}`")),
        Concern::Arguments => {
            ("SCAN-PKL-005", format!("loading calls `{subject}` with arguments that it is not allowed with"))
        }
        Concern::MemoPlace(place) => {
            ("SCAN-PKL-006", format!("the memo's place {place} makes a loader ask for gigabytes"))
        }
        Concern::Fault(kind) => ("SCAN-PKL-007", format!("the pickle breaks: {kind}")),
    };
    let mut evidence = vec![format!("{} at byte {}", objection.opcode, objection.at + shift)];
    if objection.after_fault && rule != "SCAN-PKL-007" {
        evidence.push("after the place where Python's reader stops".to_owned());
    }
    if rule == "SCAN-PKL-007" {
        evidence.clear();
    }
    notes.find(rule, Place::Byte(objection.at + shift), message, evidence);
}

/// Pickles inside the bytes and texts of a pickle, to be loaded by what the outer one calls.
fn nested(bytes: &[u8], outer: &Stream<'_>, list: &AllowList, notes: &mut Notes<'_>) {
    let reach = outer.pickles.last().map_or(0, |pickle| pickle.end);
    let reach = usize::try_from(reach).unwrap_or(usize::MAX).min(bytes.len()).min(NESTED_BYTES_MAX);
    let Some(looked) = bytes.get(..reach) else { return };
    let begins: Vec<u64> = outer.pickles.iter().map(|pickle| pickle.begin).collect();
    let candidates = looked
        .windows(3)
        .enumerate()
        .filter(|(_, window)| matches!(window, [0x80, 2..=5, b'c' | b'(' | 0x95 | 0x8c | b'}' | b']']))
        .map(|(at, _)| at)
        .filter(|at| !begins.contains(&(*at as u64)))
        .take(NESTED_MAX);
    let bounds = Limits { values: 1 << 16, events: 1 << 12, pickles: 1 };
    for at in candidates {
        let pickle = Pickle::read_at(looked, at, &bounds);
        if !pickle.is_whole() {
            continue;
        }
        if let Some(objection) = list.objections(&pickle).first() {
            let message =
                format!("a pickle inside the pickle would import or call `{}`", shown(&objection.subject));
            notes.find("SCAN-PKL-009", Place::Byte(at as u64), message, []);
        }
    }
}

/// Whether bytes without a magic number of their own are a pickle all the same: protocols 0 and 1 have none. They are
/// if they read to the end without fault and import something.
pub(super) fn is_bare(bytes: &[u8]) -> bool {
    let bounds = Limits { values: 1 << 16, events: 1 << 12, pickles: 1 };
    let pickle = Pickle::read_at(bytes, 0, &bounds);
    let plausible = pickle.imports.iter().any(is_plausible);
    // What was called before a break has been done.
    plausible && (pickle.is_whole() || !pickle.calls.is_empty())
}

/// Whether an import has the form of one: words of Python joined by dots.
fn is_plausible(import: &Import<'_>) -> bool {
    let words = |path: &str| {
        !path.is_empty()
            && path.split('.').all(|word| {
                word.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
                    && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
            })
    };
    matches!(&import.reference, Reference::Named { module, name } if words(module) && words(name))
}
