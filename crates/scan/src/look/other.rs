//! Kinds that are read in part: NumPy arrays (for the pickle that an array of objects is), Keras (for layers that carry
//! code), TensorFlow graphs (for operators that act outside the graph), YAML (for tags that make objects).

use tensor::json::Value;
use tensor::pickle::AllowList;

use super::json::{each, string};
use super::notes::{Notes, shown};
use super::pickle::{self, Tail};
use crate::finding::Place;
use crate::report::Examined;

/// Looks at one array. An array of objects is a pickle behind a header.
pub(super) fn npy(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    let broken = |notes: &mut Notes<'_>| {
        notes.find("SCAN-FIL-009", Place::File, "the array's header cannot be read".to_owned(), []);
        notes.unexamined("the array");
        Examined::Part
    };
    // Version 1 has a length of two bytes, later ones of four (NumPy, `lib/format.py`).
    let wide = bytes.get(6).is_some_and(|version| *version >= 2);
    let length = if wide {
        bytes.get(8..12).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
    } else {
        bytes.get(8..10).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes).map(u32::from)
    };
    let begin = if wide { 12 } else { 10 };
    let Some(end) =
        length.and_then(|length| usize::try_from(length).ok()).and_then(|length| length.checked_add(begin))
    else {
        return broken(notes);
    };
    let Some((header, data)) = bytes.get(begin..end).zip(bytes.get(end..)) else { return broken(notes) };
    let header = String::from_utf8_lossy(header);
    let objects = ["'O'", "'|O'", "\"O\"", "\"|O\"", "object", "'<O'", "'>O'", "O8", "O4"];
    if objects.iter().any(|mark| header.contains(mark)) {
        let message = "the array holds Python objects: loading it runs a pickle".to_owned();
        notes.find("SCAN-NPY-001", Place::Byte(end as u64), message, [shown(&header)]);
        return pickle::look(data, AllowList::standard(), Tail::Nothing, notes);
    }
    Examined::Whole
}

/// Layers that carry code, in a Keras configuration.
pub(super) fn keras(config: &Value, notes: &mut Notes<'_>) {
    each(config, &mut String::new(), &mut |pointer, key, value| {
        let place = || Place::Pointer(pointer.to_owned());
        if let (Value::Object(_), Some("Lambda" | "__lambda__")) = (value, string(value, "class_name")) {
            notes.find(
                "SCAN-KER-001",
                place(),
                "a layer is a lambda: its code runs when the model is loaded".to_owned(),
                [],
            );
        }
        if let ("module", Value::Text(module)) = (key, value) {
            let known = ["keras", "tensorflow", "tf_keras", "keras_nlp", "keras_cv", "keras_hub", "builtins"];
            if !known.iter().any(|name| module == name || module.starts_with(&format!("{name}.")))
                || module == "builtins"
            {
                let message = format!("loading imports the module `{}`", shown(module));
                notes.find("SCAN-KER-002", place(), message, []);
            }
        }
    });
}

/// What can be told of an HDF5 file without reading its structure: whether the configuration in it, which is JSON in
/// one piece, names lambda layers.
pub(super) fn hdf5(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    for mark in [&b"\"class_name\": \"Lambda\""[..], b"\"class_name\":\"Lambda\"", b"\"__lambda__\""] {
        if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
            let message = "a layer is a lambda: its code runs when the model is loaded".to_owned();
            notes.find("SCAN-KER-001", Place::Byte(at as u64), message, []);
            break;
        }
    }
    notes.find(
        "SCAN-FIL-008",
        Place::File,
        "HDF5 is not read; only its lambda layers are looked for".to_owned(),
        [],
    );
    notes.unexamined("an HDF5 file, but for the names of its layers");
    Examined::Part
}

/// Whether a file's name ends in one of these, whatever their case.
fn has_extension(name: &str, known: &[&str]) -> bool {
    let extension = std::path::Path::new(name).extension();
    extension.is_some_and(|extension| known.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Operators of a TensorFlow graph that act outside it. A node's operator stands in its second field (`NodeDef.op`):
/// in the binary form after that field's tag and the name's length, in the text form in quotes. They are looked for
/// wherever they stand, so that functions of the graph are covered as well.
pub(super) fn tensorflow(name: &str, bytes: &[u8], notes: &mut Notes<'_>) {
    const TAG: u8 = 0x12;
    let operators = notes.rules.list("SCAN-TFL-001", "operators");
    let mut found: Vec<(usize, &str)> = Vec::new();
    if has_extension(name, &["pb"]) {
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == TAG) {
            let Some((length, rest)) = bytes.get(at + 1..).and_then(<[u8]>::split_first) else { continue };
            let Some(operator) = rest.get(..usize::from(*length)) else { continue };
            if let Some(known) = operators.iter().find(|known| known.as_bytes() == operator) {
                found.push((at, known.as_str()));
            }
        }
    } else if has_extension(name, &["pbtxt"]) {
        let text = String::from_utf8_lossy(bytes);
        for known in operators {
            found.extend(text.match_indices(&format!("op: \"{known}\"")).map(|(at, _)| (at, known.as_str())));
        }
    }
    for (at, operator) in found {
        let message = format!("the graph has an operator `{operator}`, which acts outside it when it is run");
        notes.find("SCAN-TFL-001", Place::Byte(at as u64), message, [operator.to_owned()]);
    }
}

/// Tags of a YAML document that have Python make objects, call functions or import modules.
pub(super) fn yaml(name: &str, bytes: &[u8], notes: &mut Notes<'_>) {
    if !has_extension(name, &["yaml", "yml"]) {
        return;
    }
    let tags = notes.rules.list("SCAN-CFG-009", "tags");
    for (number, line) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = String::from_utf8_lossy(line);
        // What stands behind a `#` at the beginning is said, not meant.
        if text.trim_start().starts_with('#') {
            continue;
        }
        for prefix in ["!!", "tag:yaml.org,2002:"] {
            if tags.iter().any(|tag| text.contains(&format!("{prefix}{tag}"))) {
                let message =
                    "a tag makes a Python object or calls a function when the document is loaded".to_owned();
                notes.find("SCAN-CFG-009", Place::Line(number), message, [shown(&text)]);
            }
        }
    }
}
