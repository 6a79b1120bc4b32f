//! Layers, licences, sizes, and the purity of what decides.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use cargo_metadata::Metadata;
use xtask::workspace::{layer, members, metadata, read, root};
use xtask::{purity, rules};

fn here() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| metadata().unwrap())
}

#[track_caller]
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn dependencies_point_strictly_down() {
    none(&rules::layers(here()));
}

#[test]
fn a_folder_has_the_name_of_its_crate() {
    none(&rules::folders(here()));
}

#[test]
fn what_decides_links_nothing_that_brings_the_world_in() {
    none(&rules::worldly(here()).unwrap());
}

#[test]
fn what_decides_does_not_look_at_the_world() {
    let mut breaches = Vec::new();
    let deciding = members(here())
        .into_iter()
        .filter(|package| layer(package).is_some_and(|layer| layer == 0 || rules::DECIDING.contains(&layer)));
    for package in deciding {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        breaches.extend(purity::impurities(&folder.join("src")).unwrap());
    }
    none(&breaches);
}

#[test]
fn the_auditor_is_made_of_what_decides_and_few_others() {
    let linked = rules::linked_alone("countersign-audit").unwrap();
    println!("the auditor links {} crates of at most {}", linked.len(), rules::AUDITOR_BUDGET);
    none(&rules::auditor(here()).unwrap());
}

#[test]
fn no_crate_is_above_a_quarter_of_all_lines() {
    let lines = rules::lines(here()).unwrap();
    let all: usize = lines.iter().map(|(_, count)| count).sum();
    let (name, most) = lines.first().unwrap();
    assert!(most * 4 <= all, "`{name}` has {most} of {all} lines; all: {lines:?}");
}

#[test]
fn every_dependency_has_a_known_source_and_a_permissive_licence() {
    none(&rules::provenance(here()));
    for (name, versions) in rules::duplicates(here()) {
        println!("in several versions: {name} {}", versions.join(", "));
    }
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-2.0) AND BSD-3-Clause",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(rules::allows(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "MIT MIT", "MIT WITH LLVM-exception", "OR"]
    {
        assert!(!rules::allows(bad), "{bad}");
    }
}

#[test]
fn clippy_is_as_strict_in_what_decides_as_elsewhere() {
    let common = read(&root().join("clippy.toml")).unwrap();
    let mut files = BTreeSet::new();
    for package in members(here()) {
        if layer(package).is_some_and(|layer| layer <= *rules::DECIDING.end()) {
            let path = package.manifest_path.parent().unwrap().join("clippy.toml");
            let own = read(path.as_std_path()).unwrap();
            for line in common.lines() {
                assert!(own.contains(line), "`{path}` lacks `{line}`");
            }
            files.insert(own);
        }
    }
    assert_eq!(files.len(), 1, "the deciding crates have different `clippy.toml`s");
}

#[test]
fn deny_toml_allows_the_same_licences() {
    let text = read(&root().join("deny.toml")).unwrap();
    let list = text.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(allowed, rules::LICENCES);
}
