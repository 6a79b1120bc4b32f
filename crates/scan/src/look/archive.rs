//! Zip archives: PyTorch's, TorchScript's, NumPy's, Keras's and any other. What readers disagree about is a finding;
//! every member is looked at as a file of its own, archives in archives among them, within one budget.

use tensor::pickle::AllowList;
use tensor::safetensors::View;
use tensor::torch::{self, Checkpoint};
use tensor::zip::{Archive, Budget, Entry as Member, Error, Limits, Oddity};

use super::notes::{Notes, shown};
use super::pickle::{self, Tail};
use super::{content, files, script, tensors};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;
use crate::kind::{self, Kind};
use crate::report::Examined;

/// Unpacked bytes of one file, archives inside archives included.
pub(super) const UNPACKED_BYTES_MAX: u64 = 1 << 31;
/// Archives inside archives, at most.
pub(super) const DEPTH_MAX: u32 = 3;
/// Bytes from which it is told what a member is that unpacks out of all proportion.
const HEAD_BYTES: usize = 4096;
/// Bytes that a tensor may take when its elements do not lie together and must be copied.
const COPIED_BYTES_MAX: u64 = 1 << 28;

/// What one file may still cost.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(super) budget: Budget,
    pub(super) depth: u32,
}

impl Allowance {
    pub(super) const fn new() -> Self {
        Self { budget: Budget::new(UNPACKED_BYTES_MAX), depth: 0 }
    }
}

/// Looks into an archive.
pub(super) fn look(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    bytes: &[u8],
    allowance: &mut Allowance,
    notes: &mut Notes<'_>,
) -> Examined {
    let archive = match Archive::read(bytes, &Limits::STANDARD) {
        Ok(archive) => archive,
        Err(error) => {
            broken(&error, notes);
            return Examined::No;
        }
    };
    anomalies(&archive, notes);
    let kind = kind_of(&archive);
    let mut whole = Examined::Whole;
    for (index, member) in archive.entries().iter().enumerate() {
        if member.name.ends_with('/') && member.size == 0 {
            continue;
        }
        // Storages are looked at as the tensors that they are part of.
        if matches!(kind, Kind::TorchZip) && is_storage(&member.name) {
            continue;
        }
        whole = whole.max(one(artefact, entry, &archive, index, member, kind, allowance, notes));
    }
    if kind == Kind::TorchZip {
        whole = whole.max(checkpoint(bytes, notes));
    }
    whole
}

/// Looks at one member under its own name.
#[expect(clippy::too_many_arguments, reason = "one step of a walk, with all that the walk knows")]
fn one(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    archive: &Archive<'_>,
    index: usize,
    member: &Member,
    kind: Kind,
    allowance: &mut Allowance,
    notes: &mut Notes<'_>,
) -> Examined {
    if let Some(examined) = passed_over(archive, index, member, notes) {
        return examined;
    }
    let contents = match archive.contents(index, &mut allowance.budget) {
        Ok(contents) => contents,
        Err(error) => {
            broken(&error, notes);
            return Examined::Part;
        }
    };
    for anomaly in &contents.anomalies {
        odd(&anomaly.to_string(), anomaly.at, &anomaly.oddity, notes);
    }
    if let Some(error) = &contents.broken {
        broken(error, notes);
    }
    let is_script = kind == Kind::TorchZip && is_script(archive);
    let mut examined = Examined::Whole;
    notes.member(&shown(&member.name), |notes| {
        let bytes: &[u8] = &contents.bytes;
        let own = Entry::file(entry.path, bytes);
        let name = crate::artefact::file_name(&member.name);
        // TorchScript's code is read by its own interpreter, and is no Python. Whatever else lies beside it is looked at as
        // what it is.
        if is_script && script::is_source(&member.name, bytes) && !pickle::is_bare(bytes) {
            script::look(&String::from_utf8_lossy(bytes), notes);
            notes.seen(Kind::Text, bytes.len() as u64, Examined::Whole);
            return;
        }
        let found = files::kind_of(name, bytes, notes);
        examined = if is_script && found == Kind::Pickle {
            pickle::look(bytes, AllowList::script(), Tail::Nothing, notes)
        } else {
            content(artefact, &Entry { path: &member.name, ..own }, found, bytes, allowance, notes)
        };
        notes.seen(found, bytes.len() as u64, examined);
    });
    examined
}

/// A member that unpacks out of all proportion, which is a finding by itself, and that nothing here would read: its head says
/// so, and the rest stays packed.
fn passed_over(
    archive: &Archive<'_>,
    index: usize,
    member: &Member,
    notes: &mut Notes<'_>,
) -> Option<Examined> {
    Limits::STANDARD.ratio_above(member.packed, member.size)?;
    let head = archive.head(index, HEAD_BYTES).ok()?;
    let name = crate::artefact::file_name(&member.name);
    if files::may_be_read(name, &head) {
        return None;
    }
    notes.member(&shown(&member.name), |notes| {
        let kind = files::kind_of(name, &head, notes);
        files::not_examined(kind, notes);
        notes.unexamined(
            "it was not unpacked: it is out of all proportion, and nothing here reads such contents",
        );
        notes.seen(kind, member.size, Examined::No);
    });
    Some(Examined::Part)
}

/// Whether PyTorch takes a checkpoint for a program: it asks for the constants.
fn is_script(archive: &Archive<'_>) -> bool {
    archive.entries().iter().any(|entry| entry.name.ends_with("/constants.pkl"))
}

/// What an archive is, by its members.
fn kind_of(archive: &Archive<'_>) -> Kind {
    let has = |test: &dyn Fn(&str) -> bool| archive.entries().iter().any(|entry| test(&entry.name));
    if has(&|name| name == "data.pkl" || name.to_ascii_lowercase().ends_with("/data.pkl")) {
        Kind::TorchZip
    } else if has(&|name| name == "config.json") && has(&|name| kind::by_name(name) == Some(Kind::Hdf5)) {
        Kind::Keras
    } else if has(&|name| kind::by_name(name) == Some(Kind::Npy)) {
        Kind::Npz
    } else {
        Kind::Zip
    }
}

/// `<root>/data/<number>`, and TorchScript's constants.
fn is_storage(name: &str) -> bool {
    name.rsplit_once('/').is_some_and(|(folder, last)| {
        (folder.ends_with("/data") || folder.ends_with("/constants"))
            && !last.is_empty()
            && last.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The tensors of a checkpoint.
fn checkpoint(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    let checkpoint = match Checkpoint::read(bytes, &torch::Limits::STANDARD) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let message = format!("the checkpoint's tensors cannot be read: {error}");
            notes.find("SCAN-PTH-001", Place::File, message, [error.code().to_owned()]);
            notes.unexamined("the tensors of the checkpoint");
            return Examined::Part;
        }
    };
    storages(&checkpoint, notes)
}

/// The values of a checkpoint, and bytes in it that no tensor uses.
pub(super) fn storages(checkpoint: &Checkpoint<'_>, notes: &mut Notes<'_>) -> Examined {
    for finding in &checkpoint.findings {
        let message = match finding {
            torch::Finding::Repeated { name } => format!("two tensors are named `{}`", shown(name)),
            torch::Finding::Longer { key, bytes } => {
                format!("storage `{}` has {bytes} bytes more than its elements", shown(key))
            }
            torch::Finding::Unused { entry, bytes } => {
                format!("no tensor uses the {bytes} bytes of `{}`", shown(entry))
            }
            torch::Finding::SeveralRoots => "there is more than one `data.pkl`".to_owned(),
            torch::Finding::Trailing { bytes } => {
                format!("{bytes} bytes follow the last part of the checkpoint")
            }
        };
        notes.find("SCAN-PTH-002", Place::File, message, []);
    }
    let mut examined = Examined::Whole;
    let mut held = Vec::new();
    for tensor in &checkpoint.tensors {
        let shape: Option<Vec<usize>> =
            tensor.shape.iter().map(|&dimension| usize::try_from(dimension).ok()).collect();
        let (Some(dtype), Some(shape)) = (tensor.element.plain, shape) else {
            notes.unexamined(&format!(
                "the values of tensor `{}` ({})",
                shown(&tensor.name),
                tensor.element.name
            ));
            examined = Examined::Part;
            continue;
        };
        match checkpoint.elements(tensor, COPIED_BYTES_MAX) {
            Ok(data) => held.push((tensor.name.as_str(), dtype, shape, data)),
            Err(error) => {
                notes.unexamined(&format!("the values of tensor `{}`: {error}", shown(&tensor.name)));
                examined = Examined::Part;
            }
        }
    }
    if !checkpoint.unread.is_empty() {
        let names: Vec<String> = checkpoint.unread.iter().take(3).map(|unread| shown(&unread.what)).collect();
        notes.unexamined(&format!("tensors inside objects that are not understood: {}", names.join(", ")));
    }
    let views: Vec<View<'_>> =
        held.iter().map(|(name, dtype, shape, data)| View { name, dtype: *dtype, shape, data }).collect();
    tensors::all(&views, notes);
    examined
}

fn anomalies(archive: &Archive<'_>, notes: &mut Notes<'_>) {
    for anomaly in archive.anomalies() {
        odd(&anomaly.to_string(), anomaly.at, &anomaly.oddity, notes);
    }
}

fn odd(told: &str, at: u64, oddity: &Oddity, notes: &mut Notes<'_>) {
    let rule = match oddity {
        Oddity::Name { .. } | Oddity::Link => "SCAN-ZIP-002",
        Oddity::Ratio { .. } | Oddity::Total { .. } => "SCAN-ZIP-003",
        Oddity::Crc { .. } | Oddity::Length { .. } | Oddity::PackedTail { .. } => "SCAN-ZIP-004",
        _ => "SCAN-ZIP-001",
    };
    notes.find(rule, Place::Byte(at), told.to_owned(), [oddity.id().to_owned()]);
}

fn broken(error: &Error, notes: &mut Notes<'_>) {
    let rule = match error {
        Error::Bomb { .. } | Error::TooManyEntries { .. } => "SCAN-ZIP-003",
        _ => "SCAN-FIL-009",
    };
    notes.find(rule, Place::File, error.to_string(), [error.code().to_owned()]);
    notes.unexamined("a member of the archive that cannot be unpacked");
}
