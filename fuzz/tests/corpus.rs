//! Every file of the committed corpus, through its target.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_fuzz::{run, targets};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn the_corpus_is_replayed() {
    let mut replayed = 0;
    for target in targets() {
        let mut files: Vec<_> =
            std::fs::read_dir(corpus().join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 2, "`{target}` has a corpus of {}", files.len());
        for file in files {
            println!("{}", file.display());
            run(target, &std::fs::read(&file).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 100, "{replayed} files");
}

#[test]
fn every_target_has_its_corpus_and_binary() {
    let names = |folder: &str| -> BTreeSet<String> {
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let targets: BTreeSet<String> = targets().map(str::to_owned).collect();
    let binaries = names("fuzz_targets");
    assert_eq!(names("corpus"), binaries);
    // Without the feature, the large ones are not among the functions.
    assert!(targets.is_subset(&binaries), "{targets:?}");
    assert!(cfg!(not(feature = "large")) || targets == binaries, "{targets:?}");
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for target in binaries {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "`{target}` is no binary");
    }
}
