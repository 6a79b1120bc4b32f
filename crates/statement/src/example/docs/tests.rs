use std::collections::BTreeSet;
use std::path::Path;

use super::files;
use crate::vectors::docs;

#[test]
fn the_committed_files_are_those_that_the_code_makes() {
    let files = files().unwrap();
    for (path, text) in &files {
        let committed = std::fs::read_to_string(docs().join(path)).unwrap_or_default();
        assert!(committed == *text, "`docs/statements/{path}` is out of date: run `cargo xtask gen`");
    }
    let mut present = BTreeSet::new();
    for folder in ["", "vectors"] {
        for entry in std::fs::read_dir(docs().join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                present.insert(Path::new(folder).join(entry.file_name()).to_str().unwrap().to_owned());
            }
        }
    }
    let made: BTreeSet<String> = files.into_keys().collect();
    assert_eq!(present, made, "files that nothing makes");
}

#[test]
fn the_text_has_no_gaps() {
    let files = files().unwrap();
    let readme = &files["README.md"];
    assert!(!readme.contains("{{"), "a placeholder is left");
    for kind in crate::Kind::ALL {
        assert!(readme.contains(&format!("| [`{0}`]({0}.schema.json) |", kind.name())));
        assert!(files[&format!("{}.schema.json", kind.name())].contains("\"description\""));
    }
    for (path, text) in &files {
        assert!(
            !text.contains("crate::") && !text.contains("[`RelyingParty`]"),
            "a link into the code in {path}"
        );
    }
}
