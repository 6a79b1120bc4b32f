//! Spot checks of a running engine: blocks of the file that it has mapped, drawn at random, against a seal.
//!
//! What this shows: that the process has this very file mapped, that the drawn blocks of the file are those that were
//! sealed, and (where the system lets this program read the process's memory) that the process sees the same bytes.
//! What it does not show: that the process computes with what it has mapped. Weights that an engine has copied,
//! converted or sent to another device are not looked at.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use sandbox::Input;
use scan::ReadIn;
use seal::spot::{draw, missed_ppm};
use seal::{Mark, Seal};
use serde_json::json;

use super::fingerprint::{Hashed, Model, Place, ask_spots, weight_files};
use super::{told_with, with_place};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::text::line;

/// Largest list of mappings that is read, in bytes.
const MAPS_BYTES_MAX: u64 = 64 << 20;

/// Most processes that are looked at below the one that was named.
const CHILDREN_MAX: usize = 256;

/// A part of a file in a process's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    begin: u64,
    end: u64,
    /// Where in the file it begins.
    offset: u64,
}

/// Draws blocks and checks them.
pub(super) fn check(setting: &Setting, model: &Model<'_>, seal: &Seal, process: u32) -> Done {
    let files = weight_files(model);
    let named = process;
    let (process, mapped) = serving(named, &files)?;
    let memory = File::open(format!("/proc/{process}/mem")).ok();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::outside(format!("no randomness: {error}"), "check the system"))?;
    let spots = draw(seal, &seed, model.args.blocks);
    let (hashed, read_in) = ask_spots(model, seal, &spots)?;
    let mut in_memory = 0_u64;
    for (spot, hashed) in spots.iter().zip(&hashed) {
        let differs = || seal::Error::Mismatch { tensor: spot.tensor.clone(), block: spot.block };
        let sealed = seal.tensor(&spot.tensor).ok_or_else(differs)?;
        if hashed.shape.as_deref() != Some(sealed.shape()) {
            return Err(differs().into());
        }
        let mark = Mark::new(hashed.mark);
        seal.prove(&spot.tensor, spot.block)?.verify(seal.rule(), mark, seal.root())?;
        if let Some(memory) = &memory
            && let Some(same) = same_in_memory(memory, &files, &mapped, hashed)
        {
            if !same {
                return Err(differs().into());
            }
            in_memory += 1;
        }
    }
    told(setting, seal, (named, process), (spots.len() as u64, in_memory), &read_in);
    Ok(())
}

fn told(
    setting: &Setting,
    seal: &Seal,
    (named, process): (u32, u32),
    (checked, in_memory): (u64, u64),
    read_in: &ReadIn,
) {
    let total = seal.blocks();
    // Rounded down: fewer changed blocks are missed sooner.
    let missed = missed_ppm(total, (total / 100).max(1), checked);
    let mut text = String::new();
    line(&mut text, &format!("{}  {}", seal.root(), seal.rule().name()));
    if named != process {
        line(
            &mut text,
            &format!("  not process {named} itself, but one that it or its children have started:"),
        );
    }
    line(
        &mut text,
        &format!("  process {process} has the file mapped; {checked} of {total} blocks are as sealed"),
    );
    line(
        &mut text,
        &format!("  read in the process's memory: {in_memory}; in the file alone: {}", checked - in_memory),
    );
    line(
        &mut text,
        &format!("  a change of one block in a hundred would have been missed with probability {missed} ppm"),
    );
    line(
        &mut text,
        "  not shown: that the process computes with what it has mapped (copies are not looked at)",
    );
    let value = json!({
        "blocks": total,
        "checked": checked,
        "in_memory": in_memory,
        "missed_ppm_of_one_percent": missed,
        "named": named,
        "process": process,
        "root": seal.root().to_string(),
    });
    setting.print(&told_with(value, read_in), &with_place(text, read_in));
}

/// Whether the process sees the bytes of the block's elements as the files have them; none where they cannot be compared: parts
/// that are not mapped, memory that may not be read.
fn same_in_memory(memory: &File, files: &[&Input], mapped: &[Vec<Mapping>], hashed: &Hashed) -> Option<bool> {
    let compared = hashed.places.iter().map(|place| same_there(memory, files, mapped, place));
    let compared: Vec<bool> = compared.collect::<Option<_>>()?;
    (!compared.is_empty()).then(|| compared.iter().all(|same| *same))
}

fn same_there(memory: &File, files: &[&Input], mapped: &[Vec<Mapping>], place: &Place) -> Option<bool> {
    let (file, mappings) = (files.get(place.file)?, mapped.get(place.file)?);
    let mut part = vec![0; usize::try_from(place.bytes).ok()?];
    file.file.read_exact_at(&mut part, place.offset).ok()?;
    let end = place.offset.checked_add(place.bytes)?;
    let mapping = mappings.iter().find(|mapping| {
        mapping.offset <= place.offset && end <= mapping.offset.saturating_add(mapping.end - mapping.begin)
    })?;
    let mut seen = vec![0; part.len()];
    memory.read_exact_at(&mut seen, mapping.begin + (place.offset - mapping.offset)).ok()?;
    Some(seen == part)
}

/// The process that has the files mapped: the one that was named, or one that it has started, since an engine may run its model
/// in a box.
fn serving(named: u32, files: &[&Input]) -> Done<(u32, Vec<Vec<Mapping>>)> {
    let of = |process| files.iter().map(|file| mappings(process, Path::new(&file.name))).collect::<Done<_>>();
    let refused = match of(named) {
        Ok(mapped) => return Ok((named, mapped)),
        Err(refused) => refused,
    };
    let found = started_by(named).into_iter().find_map(|process| Some((process, of(process).ok()?)));
    found.ok_or(refused)
}

/// The processes that a process has started, and those that they have.
fn started_by(process: u32) -> Vec<u32> {
    let (mut found, mut next) = (vec![process], 0);
    while let Some(process) = found.get(next).copied().filter(|_| found.len() <= CHILDREN_MAX) {
        next += 1;
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found.split_off(1)
}

/// Where the process has this file mapped.
fn mappings(process: u32, path: &Path) -> Done<Vec<Mapping>> {
    let list = format!("/proc/{process}/maps");
    let list = Path::new(&list);
    let failed = |error| Failure::file(list, &error);
    let mut text = String::new();
    let file = File::open(list).map_err(failed)?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, MAPS_BYTES_MAX), &mut text)
        .map_err(failed)?;
    let own = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
    let inode = std::fs::metadata(&own).map_err(|error| Failure::file(path, &error))?.ino();
    let found: Vec<Mapping> =
        text.lines().filter_map(|entry| mapping(entry, &own.to_string_lossy(), inode)).collect();
    if found.is_empty() {
        let message = format!("process {process} has not mapped `{}`", path.display());
        return Err(Failure::new(
            "CS-CLI-022",
            message,
            "it serves another file, or has copied its weights, which this check cannot see",
        ));
    }
    Ok(found)
}

/// `begin-end perms offset device inode path`, where path and inode are those of the file. A file that was replaced
/// since shows as deleted and does not count.
fn mapping(entry: &str, path: &str, inode: u64) -> Option<Mapping> {
    let mut parts = entry.split_ascii_whitespace();
    let (range, _, offset, _, number) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (_, name) = entry.split_once(" /").map(|(before, name)| (before, format!("/{name}")))?;
    if name != path || number.parse() != Ok(inode) {
        return None;
    }
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (begin, end) = range.split_once('-')?;
    let (begin, end) = (hex(begin)?, hex(end)?);
    (end > begin).then_some(Mapping { begin, end, offset: hex(offset)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_as_the_kernel_writes_them() {
        let entry = "7f10a0000000-7f10a0100000 r--s 00002000 fe:00 1234                       /models/a b.safetensors";
        let wanted = Mapping { begin: 0x7f10_a000_0000, end: 0x7f10_a010_0000, offset: 0x2000 };
        assert_eq!(mapping(entry, "/models/a b.safetensors", 1234), Some(wanted));
        assert_eq!(mapping(entry, "/models/a b.safetensors", 1235), None, "another file of that name");
        assert_eq!(mapping(entry, "/models/b.safetensors", 1234), None);
        let gone = format!("{entry} (deleted)");
        assert_eq!(mapping(&gone, "/models/a b.safetensors", 1234), None, "replaced since");
        assert_eq!(mapping("7f10-7f20 rw-p 00000000 00:00 0", "", 0), None);
    }
}
