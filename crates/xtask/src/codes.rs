//! The stable codes of everything that a user can be refused: found in the sources, listed in `docs/errors.md`.
//!
//! A code is written once, where it is given out. This module reads how: a match arm in a `code` function, a line of
//! a table macro, or an argument of a call; and finds its meaning (the variant's message or documentation) and hint
//! beside it. What it cannot read is an error, so a new way of writing codes cannot drop out of the list in silence.

mod render;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

pub use render::document;

use crate::workspace::{read, root};

/// Which crate gives out the codes with which beginning, and what they are about.
pub const FAMILIES: &[Family] = &[
    Family::new("CS-STM", "statement", "Statements that cannot be read"),
    Family::new("CS-MRK", "merkle", "Proofs, notes, checkpoints and witnesses"),
    Family::new("CS-TSR", "tensor", "Model files, and scopes that they leave"),
    Family::new("CS-BOX", "sandbox", "Workers and the box around them"),
    Family::new("CS-MBX", "modelbox", "Models that run in a box"),
    Family::new("CS-TRC", "trace", "What workers did, and proofs of it"),
    Family::new("CS-ENG", "engine", "The engine that serves a model"),
    Family::new("CS-MDL", "model", "Running and training models"),
    Family::new("CS-QNT", "quant", "Quantising weights"),
    Family::new("CS-SEL", "seal", "Seals of weights, and signatures of model folders"),
    Family::new("CS-FLD", "dossier", "Statements that have no effect"),
    Family::new("CS-GATE", "dossier", "What gates refuse"),
    Family::new("CS-STOP", "dossier", "Logs that cannot be read any further"),
    Family::new("CS-POL", "policy", "Policies that cannot be used"),
    Family::new("CS-AUD", "audit", "Exports that are refused"),
    Family::new("CS-BUN", "bundle", "Bundles that cross to other machines and processes"),
    Family::new("CS-LOG", "translog", "The log on disk"),
    Family::new("CS-VLT", "vault", "The artefact store"),
    Family::new("CS-SGN", "signer", "Keys and signing"),
    Family::new("CS-SCN", "scan", "Scans that cannot be asked for"),
    Family::new("CS-STA", "stats", "Statistics that cannot be computed"),
    Family::new("CS-RLO", "rollout", "Rollouts that cannot be planned or judged"),
    Family::new("CS-WCH", "watch", "Watching that cannot be set up"),
    Family::new("CS-EVI", "evidence", "Evidence of hosts that does not verify"),
    Family::new("CS-ATT", "attest", "Hosts that cannot attest"),
    Family::new("CS-RNG", "range", "The red-team range"),
    Family::new("CS-CAL", "calibration", "Calibrations, and the evidence of examinations"),
    Family::new("CS-EXM", "examine", "Examinations that cannot be made"),
    Family::new("CS-GWY", "gateway", "The gateway, and what it refuses"),
    Family::new("CS-CHN", "channel", "Channels to engines"),
    Family::new("CS-MON", "monitor", "Monitors"),
    Family::new("CS-LCH", "launch", "Engines that are launched"),
    Family::new("CS-CLI", "countersign", "The command line"),
    Family::new("CS-SRV", "countersign", "Parts that run as processes of their own"),
    Family::new("CS-ACL", "countersign-audit", "The auditor's command line"),
    Family::new("CS-WRK", "countersign-worker", "Files that the worker cannot measure")
        .with_hint("propose a file that can be read as what it says it is"),
];

/// Codes with one beginning.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The beginning.
    pub prefix: &'static str,
    /// The crate that alone gives them out; others may only name them.
    pub owner: &'static str,
    /// What they are about.
    pub title: &'static str,
    /// What to do about those that have no hint of their own in the sources.
    pub hint: Option<&'static str>,
}

impl Family {
    const fn new(prefix: &'static str, owner: &'static str, title: &'static str) -> Self {
        Self { prefix, owner, title, hint: None }
    }

    const fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    fn of(code: &str) -> Option<&'static Self> {
        let (prefix, _) = code.rsplit_once('-')?;
        FAMILIES.iter().find(|family| family.prefix == prefix)
    }
}

/// A code with what it means and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: String,
    /// What happened; several where a code stands for variants of one thing.
    pub meanings: Vec<String>,
    /// What to do about it; several where that depends on the thing.
    pub hints: Vec<String>,
}

/// How a code stands in the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// In a match arm or a table: once.
    Defined,
    /// As the argument of a call that makes an error.
    Called,
    /// In any other way.
    Mentioned,
}

/// A place in the sources where a code stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    code: String,
    manner: Manner,
    meanings: Vec<String>,
    hint: Option<String>,
}

/// Every code that the workspace's crates give out, by code.
pub fn all() -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    let mut named = BTreeSet::new();
    let folders = std::fs::read_dir(root().join("crates")).context("`crates`")?;
    for folder in folders {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        if name == "xtask" {
            continue;
        }
        for site in scan::folder(&folder.path().join("src")).with_context(|| format!("crate `{name}`"))? {
            let family =
                Family::of(&site.code).with_context(|| format!("`{}` is of no known family", site.code))?;
            if family.owner == name {
                let hint = site.hint.clone().or_else(|| family.hint.map(str::to_owned));
                add(&mut entries, Site { hint, ..site })?;
            } else {
                named.insert((name.clone(), site.code));
            }
        }
    }
    for (name, code) in named {
        if !entries.contains_key(&code) {
            bail!("crate `{name}` names `{code}`, which its owner does not give out");
        }
    }
    complete(&entries)?;
    Ok(entries)
}

fn add(entries: &mut BTreeMap<String, Entry>, site: Site) -> Result<()> {
    let Site { code, manner, meanings, hint } = site;
    let hints: Vec<String> = hint.into_iter().collect();
    match (manner, entries.get_mut(&code)) {
        // Such as a comparison with a code.
        (Manner::Mentioned, _) => {}
        (Manner::Defined | Manner::Called, None) => {
            entries.insert(code.clone(), Entry { code, meanings, hints });
        }
        // A call may say the same thing of several things; a table says it once.
        (Manner::Called, Some(entry)) => {
            join(&mut entry.meanings, meanings);
            join(&mut entry.hints, hints);
        }
        (Manner::Defined, Some(entry)) if entry.meanings == meanings && entry.hints == hints => {}
        (Manner::Defined, Some(entry)) => {
            bail!("`{code}` means two things: {:?} and {meanings:?}", entry.meanings)
        }
    }
    Ok(())
}

fn join(texts: &mut Vec<String>, more: Vec<String>) {
    texts.extend(more);
    texts.sort();
    texts.dedup();
}

/// Every code has a meaning and a hint.
fn complete(entries: &BTreeMap<String, Entry>) -> Result<()> {
    for entry in entries.values() {
        if entry.meanings.is_empty() || entry.meanings.iter().any(String::is_empty) {
            bail!("`{}` has no meaning beside it that `xtask` can read", entry.code);
        }
        if entry.hints.is_empty() || entry.hints.iter().any(String::is_empty) {
            bail!("`{}` has no hint beside it that `xtask` can read", entry.code);
        }
    }
    Ok(())
}

/// Every code that stands anywhere in a crate's sources, tests left out: found without reading the syntax.
pub fn literals() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for folder in std::fs::read_dir(root().join("crates")).context("`crates`")? {
        let folder = folder?;
        // This crate only talks about codes.
        if folder.file_name() != "xtask" {
            for (path, _) in crate::source::files(&folder.path().join("src"))? {
                let text = read(&path)?;
                // Tests beside the code name codes as well; what is shipped stands before them.
                let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                found.extend(in_text(shipped));
            }
        }
    }
    Ok(found)
}

/// The quoted codes in a text.
fn in_text(text: &str) -> Vec<String> {
    text.split('"').skip(1).filter(|part| is_code(part)).map(str::to_owned).collect()
}

/// Whether a string is a code: `CS-`, capital letters, and three digits.
pub(crate) fn is_code(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some("CS"), Some(family), Some(number), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    !family.is_empty()
        && family.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.len() == 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
}
