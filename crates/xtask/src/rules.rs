//! The rules about the workspace's crates, as functions of what Cargo says: each answers the breaches.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use crate::workspace::{files, layer, members, read};

/// The layers of crates that decide: pure, so that an outsider can read, test and re-run them.
pub const DECIDING: std::ops::RangeInclusive<u64> = 10..=19;

/// Crates that bring the world in. No deciding crate, nor the vocabulary below it, depends on them in any way.
const WORLDLY: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "memmap2",
    "mio",
    "object_store",
    "postgres",
    "redb",
    "reqwest",
    "rusqlite",
    "smol",
    "sqlx",
    "tempfile",
    "tokio",
    "ureq",
    "walkdir",
];
/// Crates that a deciding crate does not name itself; cryptography beneath it may bring them for uses it has not.
const WORLDLY_IF_NAMED: &[&str] =
    &["fastrand", "getrandom", "rand", "rand_core", "rustix", "libc", "chrono", "time"];

/// Licences that the project can be shipped with.
pub const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// How many crates the auditor may consist of, everything that it links counted: an outsider has to trust each.
pub const AUDITOR_BUDGET: usize = 170;

/// Every crate declares its layer, and what it depends on stands strictly below.
pub fn layers(metadata: &Metadata) -> Vec<String> {
    let members = members(metadata);
    let layer_of: BTreeMap<&str, Option<u64>> =
        members.iter().map(|package| (package.name.as_str(), layer(package))).collect();
    let mut breaches = Vec::new();
    for package in &members {
        let Some(own) = layer(package) else {
            breaches.push(format!("`{}` declares no layer", package.name));
            continue;
        };
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
        {
            match layer_of.get(dependency.name.as_str()) {
                Some(Some(below)) if *below >= own => {
                    breaches.push(format!(
                        "`{}` ({own}) depends on `{}` ({below})",
                        package.name, dependency.name
                    ));
                }
                _ => {}
            }
        }
    }
    breaches
}

/// A crate's folder has its name.
pub fn folders(metadata: &Metadata) -> Vec<String> {
    let members = members(metadata);
    let wrong = members.iter().filter(|package| {
        package.manifest_path.parent().and_then(|folder| folder.file_name()) != Some(package.name.as_str())
    });
    wrong.map(|package| format!("`{}` lives in `{}`", package.name, package.manifest_path)).collect()
}

/// What a package links when it is built by itself, itself left out: without the features that other members of the
/// workspace ask for.
pub fn linked_alone(name: &str) -> Result<BTreeSet<String>> {
    let mut tree = crate::process::cargo();
    tree.args([
        "tree",
        "--locked",
        "--package",
        name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let output = tree.output().context("`cargo tree` cannot be run")?;
    if !output.status.success() {
        anyhow::bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let crates = lines.filter(|line| !line.is_empty() && !line.ends_with("(proc-macro)"));
    Ok(crates.filter(|line| !line.starts_with(&format!("{name} "))).map(str::to_owned).collect())
}

/// What a package links, itself left out: everything but its tests and build scripts.
pub fn linked<'a>(metadata: &'a Metadata, name: &str) -> Result<Vec<&'a Package>> {
    let resolve = metadata.resolve.as_ref().context("`cargo metadata` resolved nothing")?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start = members(metadata).into_iter().find(|package| package.name.as_str() == name);
    let start = start.with_context(|| format!("there is no crate `{name}`"))?;
    let mut open = vec![&start.id];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in &node.deps {
            let normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if normal && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    let packages = metadata.packages.iter().filter(|package| seen.contains(&package.id));
    Ok(packages.filter(|package| !is_macro(package)).collect())
}

/// A procedural macro runs in the compiler and is no part of the program.
fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(cargo_metadata::Target::is_proc_macro)
}

/// The deciding crates and the vocabulary do not bring the world in.
pub fn worldly(metadata: &Metadata) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for package in members(metadata)
        .iter()
        .filter(|package| layer(package).is_some_and(|layer| layer <= *DECIDING.end()))
    {
        for linked in linked(metadata, &package.name)? {
            if WORLDLY.contains(&linked.name.as_str()) {
                breaches.push(format!("`{}` links `{}`", package.name, linked.name));
            }
        }
        let named = package.dependencies.iter().filter(|dependency| {
            dependency.kind != DependencyKind::Development
                && WORLDLY_IF_NAMED.contains(&dependency.name.as_str())
        });
        breaches
            .extend(named.map(|dependency| format!("`{}` depends on `{}`", package.name, dependency.name)));
    }
    Ok(breaches)
}

/// The auditor is made of the vocabulary, deciding crates, and few others.
pub fn auditor(metadata: &Metadata) -> Result<Vec<String>> {
    let linked = linked(metadata, "countersign-audit")?;
    let own: BTreeSet<&PackageId> = members(metadata).into_iter().map(|package| &package.id).collect();
    let mut breaches: Vec<String> = linked
        .iter()
        .filter(|package| {
            own.contains(&package.id) && layer(package).is_none_or(|layer| layer > *DECIDING.end())
        })
        .map(|package| format!("`countersign-audit` links `{}`", package.name))
        .collect();
    let alone = linked_alone("countersign-audit")?.len();
    if alone > AUDITOR_BUDGET {
        breaches.push(format!("`countersign-audit` links {alone} crates, more than {AUDITOR_BUDGET}"));
    }
    Ok(breaches)
}

/// Lines of Rust in each crate, the largest first.
pub fn lines(metadata: &Metadata) -> Result<Vec<(String, usize)>> {
    let mut counts = Vec::new();
    for package in members(metadata) {
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        let mut count = 0;
        for path in files(folder.as_std_path(), ".rs")? {
            count += read(&path)?.lines().count();
        }
        counts.push((package.name.to_string(), count));
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(counts)
}

/// Every crate comes from crates.io or from here, under a licence that the project can be shipped with.
pub fn provenance(metadata: &Metadata) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        if package.source.as_ref().is_some_and(|source| !source.is_crates_io()) {
            breaches.push(format!("`{}` does not come from crates.io", package.name));
        }
        let licence = package.license.as_deref().unwrap_or_default();
        if !allows(licence) {
            breaches.push(format!("`{}` {} has the licence `{licence}`", package.name, package.version));
        }
    }
    breaches
}

/// Whether an SPDX expression can be met with allowed licences alone. What cannot be read cannot be met.
pub fn allows(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_of(&mut rest);
    rest.is_empty() && met == Some(true)
}

/// `all OR all OR ..`
fn any_of(words: &mut &[&str]) -> Option<bool> {
    let mut met = all_of(words)?;
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        met |= all_of(words)?;
    }
    Some(met)
}

/// `one AND one AND ..`
fn all_of(words: &mut &[&str]) -> Option<bool> {
    let mut met = one(words)?;
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        met &= one(words)?;
    }
    Some(met)
}

/// A licence, perhaps with an exception, or an expression in brackets.
fn one(words: &mut &[&str]) -> Option<bool> {
    let (&word, rest) = words.split_first()?;
    *words = rest;
    if word == "(" {
        let met = any_of(words)?;
        let (&close, rest) = words.split_first()?;
        *words = rest;
        return (close == ")").then_some(met);
    }
    let mut name = word.to_owned();
    if let [with @ "WITH", exception, rest @ ..] = *words {
        name = format!("{name} {with} {exception}");
        *words = rest;
    }
    Some(LICENCES.contains(&name.as_str()))
}

/// Crates that are there in several versions.
pub fn duplicates(metadata: &Metadata) -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &metadata.packages {
        versions.entry(package.name.to_string()).or_default().push(package.version.to_string());
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}
