//! The legacy form: magic number, protocol, the machine's sizes, the object, the keys of the storages, and the
//! storages, each after its number of elements.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::Error;
use super::tensors::{Collector, Need};
use super::{Checkpoint, Finding, Layout, Limits};
use crate::pickle::{Pickle, Value, ValueId};

/// 0x1950a86a20f9469cfc6c, as the long integer of the first pickle.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// Whether a file begins as the legacy form does.
fn is_magic(pickle: &Pickle<'_>) -> bool {
    pickle.top.is_some_and(|top| matches!(pickle.value(top), Value::Long(digits) if **digits == MAGIC))
}

pub(super) fn read<'a>(file: &'a [u8], limits: &Limits) -> Result<Checkpoint<'a>, Error> {
    // The first pickle is some fifteen bytes; a file of another kind is not walked to its end.
    let magic = Pickle::read_at(file.get(..64.min(file.len())).unwrap_or_default(), 0, &limits.pickle);
    if !is_magic(&magic) {
        return Err(Error::NotTorch);
    }
    let mut at = magic.end;
    let mut next = || {
        let begin = usize::try_from(at).unwrap_or(usize::MAX);
        let pickle = Pickle::read_at(file, begin, &limits.pickle);
        at = pickle.end;
        match &pickle.fault {
            Some(fault) => Err(Error::Pickle { fault: fault.clone() }),
            None => Ok(pickle),
        }
    };
    let protocol = next()?;
    if protocol.top.and_then(|top| protocol.integer(top)) != Some(PROTOCOL) {
        return Err(Error::NotTorch);
    }
    let machine = next()?;
    if is_big_endian(&machine) {
        return Err(Error::ByteOrder);
    }
    let object = next()?;
    let keys = next()?;
    let mut collector = Collector::new(&object, limits, 0);
    collector.collect("")?;
    let storages = storages(file, at, &keys, &collector.needs)?;
    let mut checkpoint = Checkpoint {
        layout: Layout::Legacy,
        root: String::new(),
        tensors: Vec::new(),
        storages: Vec::new(),
        unread: collector.unread,
        findings: Vec::new(),
        big_endian: false,
    };
    let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
    if storages.end < length {
        checkpoint.findings.push(Finding::Trailing { bytes: length - storages.end });
    }
    let mut used: Vec<&str> = Vec::new();
    for need in collector.needs.iter().cloned() {
        let root = need.part.as_ref().map_or(&need.key, |(root, _, _)| root);
        let (begin, bytes) = storages.spans.get(root).copied().ok_or_else(|| Error::storage_missing(root))?;
        let first = need.part.as_ref().map_or(0, |(_, _, first)| *first);
        let skipped = first.checked_mul(need.element.bytes).ok_or_else(|| Error::storage_missing(root))?;
        let length = need.elements.saturating_mul(need.element.bytes);
        if skipped.saturating_add(length) > bytes {
            return Err(Error::storage_missing(root));
        }
        let at = begin + skipped;
        let bytes = slice(file, at, length).ok_or_else(|| Error::storage_missing(root))?;
        checkpoint.add_storage(need, Cow::Borrowed(bytes), Some(at))?;
    }
    used.extend(
        collector.needs.iter().map(|need| need.part.as_ref().map_or(need.key.as_str(), |part| &part.0)),
    );
    let used: std::collections::HashSet<&str> = used.into_iter().collect();
    let mut unused: Vec<_> = storages.spans.iter().filter(|(key, _)| !used.contains(key.as_str())).collect();
    unused.sort();
    for (key, (_, bytes)) in unused {
        checkpoint.findings.push(Finding::Unused { entry: crate::error::shown(key), bytes: *bytes });
    }
    checkpoint.add_tensors(collector.tensors, 0)?;
    Ok(checkpoint)
}

fn is_big_endian(machine: &Pickle<'_>) -> bool {
    let Some(Value::Dict(entries)) = machine.top.map(|top| machine.value(top)) else { return false };
    entries.iter().any(|(key, value)| {
        machine.text(*key) == Some("little_endian") && *machine.value(*value) == Value::Bool(false)
    })
}

/// Where the storages are: first byte and length by key.
struct Storages {
    spans: HashMap<String, (u64, u64)>,
    end: u64,
}

fn storages(file: &[u8], begin: u64, keys: &Pickle<'_>, needs: &[Need]) -> Result<Storages, Error> {
    let ids: &[ValueId] = keys.top.and_then(|top| keys.items(top)).unwrap_or_default();
    let mut widths: HashMap<&str, (u64, u64)> = HashMap::new();
    for need in needs {
        let (root, elements) =
            need.part.as_ref().map_or((&need.key, need.elements), |(root, elements, _)| (root, *elements));
        widths.insert(root, (need.element.bytes, elements));
    }
    let mut spans = HashMap::new();
    let mut at = begin;
    for id in ids {
        let key = match keys.value(*id) {
            Value::Text(text) => text.clone().into_owned(),
            Value::Integer(key) => key.to_string(),
            _ => return Err(Error::storage_missing("?")),
        };
        let missing = || Error::storage_missing(&key);
        let head = slice(file, at, 8).and_then(|head| head.first_chunk().copied()).ok_or_else(missing)?;
        let elements = u64::from_le_bytes(head);
        // Without a tensor that refers to it, nothing says how wide the elements are.
        let (width, said) = widths.get(key.as_str()).copied().ok_or_else(missing)?;
        if elements != said {
            return Err(missing());
        }
        let bytes = elements.checked_mul(width).ok_or_else(missing)?;
        at += 8;
        slice(file, at, bytes).ok_or_else(missing)?;
        spans.insert(key, (at, bytes));
        at += bytes;
    }
    Ok(Storages { spans, end: at })
}

fn slice(file: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let end = at.checked_add(length)?;
    file.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
}
