//! Documents that are made from the sources, and documents that speak of them.

use xtask::codes;
use xtask::workspace::{files, read, root};

#[test]
fn every_code_has_one_meaning_and_a_hint_and_is_listed() {
    let entries = codes::all().unwrap();
    let listed = read(&root().join("docs/errors.md")).unwrap();
    for code in codes::literals().unwrap() {
        assert!(entries.contains_key(&code), "`{code}` stands in the sources and is given out nowhere");
        assert!(listed.contains(&format!("| {code} |")), "`{code}` is not listed: run `cargo xtask gen`");
    }
    assert_eq!(listed, codes::document(&entries), "docs/errors.md is not up to date: run `cargo xtask gen`");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut documents = files(&root().join("docs"), ".md").unwrap();
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut dead = Vec::new();
    for path in documents {
        let text = read(&path).unwrap();
        for target in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            let file = target.split('#').next().unwrap();
            let is_elsewhere = target.contains("://") || file.is_empty();
            if !is_elsewhere && !path.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn decisions_are_numbered_without_a_gap() {
    let paths = files(&root().join("docs/adr"), ".md").unwrap();
    for (number, path) in (1..).zip(&paths) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with(&format!("{number:04}-")), "{name} should be number {number}");
        let text = read(path).unwrap();
        for part in ["# ", "## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(part), "{name} has no `{part}`");
        }
    }
    assert!(!paths.is_empty());
}

#[test]
fn the_architecture_names_every_crate() {
    let text = read(&root().join("ARCHITECTURE.md")).unwrap();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name `{name}`");
    }
}
