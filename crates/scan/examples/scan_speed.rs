//! What the benchmark asks of a scan: `found FOLDER` says which of the things in a folder findings above `info` stand
//! against; `time PATH REPEAT` says how long a scan takes with the reading of its files, and the reading alone.

#![expect(clippy::expect_used, reason = "a benchmark stops where its files are not there")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use scan::{Artefact, Entry, Report, Rules, Selection, Severity};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rules = Rules::built_in().expect("the rules are built in");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["found", folder] => {
            let mut found: Vec<String> = Vec::new();
            for path in children(Path::new(folder)) {
                if scanned(&read(&path), &rules).reaches(Severity::Warning) {
                    found.push(name(&path));
                }
            }
            println!("{}", serde_json::json!({ "countersign": found }));
        }
        ["time", path, repeat] => {
            let repeat: usize = repeat.parse().expect("a number of repetitions");
            let path = Path::new(path);
            let seconds = |work: &dyn Fn() -> usize| {
                let mut times: Vec<f64> = (0..repeat)
                    .map(|_| {
                        let begin = Instant::now();
                        std::hint::black_box(work());
                        begin.elapsed().as_secs_f64()
                    })
                    .collect();
                times.sort_by(f64::total_cmp);
                times.get(times.len() / 2).copied().unwrap_or(0.0)
            };
            let bytes: usize = read(path).iter().map(|(_, bytes)| bytes.len()).sum();
            let whole = seconds(&|| scanned(&read(path), &rules).findings.len());
            let reading = seconds(&|| read(path).len());
            println!("{}", serde_json::json!({ "s": whole, "read_s": reading, "bytes": bytes }));
        }
        _ => eprintln!("scan_speed found FOLDER | time PATH REPEAT"),
    }
}

fn scanned(files: &[(String, Vec<u8>)], rules: &Rules) -> Report {
    let entries = files.iter().map(|(path, bytes)| Entry::file(path, bytes)).collect();
    scan::scan(&Artefact::new(entries), rules, &Selection::default(), &|_| {})
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Every file at or below a path, with its bytes.
fn read(path: &Path) -> Vec<(String, Vec<u8>)> {
    if path.is_file() {
        return vec![(name(path), fs::read(path).expect("a file"))];
    }
    let mut files = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for child in children(&folder) {
            if child.is_dir() {
                open.push(child);
            } else {
                let shown = child.strip_prefix(path).unwrap_or(&child).to_string_lossy().into_owned();
                files.push((shown, fs::read(&child).expect("a file")));
            }
        }
    }
    files
}
