//! What the examiners detect of samples from the red-team range: `cargo xtask bench detect` runs this.
//!
//! `detect --calibrate DIR --test DIR --tiny DIR --suite DIR --out FILE`: examines every sample of both folders (what was
//! examined before by the same program with the same depths is not examined again), calibrates on the benign ones of the
//! first, judges those of the second once, writes the calibration to FILE and prints the table as JSON.
//!
//! `--part K/N` only examines every Nth sample, from the Kth on, so that N processes share the work; the run without it
//! then finds everything examined.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a program that measures"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use examine::depth::Table as Depths;
use examine::suite::Suite;
use examine::verdict::{FORM, Outcome, Scores, Stratum, Table, judge, scores};
use examine::{Change, Examination, Files, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use statement::Digest;
use stats::exact;

type Done<T> = Result<T, Box<dyn Error>>;

/// A sample with what was found of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Looked {
    /// Digest of depths, suite and the program: what was found with others does not count.
    way: String,
    seconds: f64,
    examination: Examination,
}

struct Sample {
    family: String,
    stratum: String,
    kind: Kind,
    record: Digest,
    looked: Looked,
}

fn main() -> Done<()> {
    let mut given: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        given.insert(name.trim_start_matches('-').to_owned(), PathBuf::from(value));
    }
    let path = |name: &str| given.get(name).cloned().ok_or_else(|| format!("--{name} is missing"));
    let (tiny, suite) = (path("tiny")?, path("suite")?);
    let depths = Depths::built_in()?;
    let suite_files = files(&suite)?;
    let suite = Suite::read("countersign-tiny", &suite_files)?;
    let mut way = serde_json::to_vec(&depths)?;
    suite_files.iter().for_each(|(_, bytes)| way.extend_from_slice(bytes));
    way.extend_from_slice(&fs::read(std::env::current_exe()?)?);
    let tools = Tools { tiny, suite, depths, way: Digest::of(&way).to_string() };
    if let Some(part) = given.get("part") {
        let part = part.to_str().and_then(|part| part.split_once('/')).ok_or("--part is K/N")?;
        let (mine, parts): (usize, usize) = (part.0.parse()?, part.1.parse()?);
        for root in ["calibrate", "test"].map(path) {
            let root = root?;
            for folder in sample_folders(&root)?.iter().skip(mine).step_by(parts.max(1)) {
                tools.sample(&root, folder)?;
            }
        }
        return Ok(());
    }
    let calibrating = tools.samples(&path("calibrate")?)?;
    let table = calibrate(&calibrating)?;
    let out = path("out")?;
    fs::write(&out, format!("{}\n", serde_json::to_string_pretty(&table)?))?;
    let testing = tools.samples(&path("test")?)?;
    println!("{}", told(&tools.depths, &table, &calibrating, &testing)?);
    Ok(())
}

struct Tools {
    tiny: PathBuf,
    suite: Suite,
    depths: Depths,
    way: String,
}

impl Tools {
    fn samples(&self, root: &Path) -> Done<Vec<Sample>> {
        sample_folders(root)?.iter().map(|folder| self.sample(root, folder)).collect()
    }

    fn sample(&self, root: &Path, folder: &Path) -> Done<Sample> {
        let bytes = fs::read(folder.join("sample.json"))?;
        let record: Value = serde_json::from_slice(&bytes)?;
        let word = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (family, base) = (word("family"), word("base"));
        let kind = kind_of(&family).ok_or_else(|| format!("the family `{family}` is not known"))?;
        let kept = folder.join("examined.json");
        let before = fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice::<Looked>(&bytes).ok());
        let looked = if let Some(looked) = before.filter(|looked| looked.way == self.way) {
            looked
        } else {
            let base = match base.split_once(':') {
                None => self.tiny.clone(),
                Some((shape, seed)) => root.join("bases").join(format!("{shape}-{seed}")),
            };
            let looked = self.look(folder, &base, kind)?;
            fs::write(&kept, serde_json::to_vec(&looked)?)?;
            eprintln!("{}: {:.1} s", folder.display(), looked.seconds);
            looked
        };
        Ok(Sample { family, stratum: word("stratum"), kind, record: Digest::of(&bytes), looked })
    }

    fn look(&self, folder: &Path, base: &Path, kind: Kind) -> Done<Looked> {
        let parts = ["model", "adapter", "template", "prompt"].map(|name| folder.join(name));
        let part = parts.iter().find(|part| part.is_dir()).ok_or("the sample has no files")?;
        let mut change = Change::new(files(part)?);
        change.kind = kind;
        let suites = std::slice::from_ref(&self.suite);
        let base = files(base)?;
        let begun = Instant::now();
        let examination = examine::run(&change, &base, suites, &self.depths, &mut |_| ())?;
        Ok(Looked { way: self.way.clone(), seconds: begun.elapsed().as_secs_f64(), examination })
    }
}

/// The folders of all samples, family by family.
fn sample_folders(root: &Path) -> Done<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for family in sorted(root)? {
        if family.file_name().is_some_and(|name| name == "bases") || !family.is_dir() {
            continue;
        }
        let whole = |folder: &PathBuf| folder.extension().is_none() && folder.join("sample.json").is_file();
        folders.extend(sorted(&family)?.into_iter().filter(whole));
    }
    Ok(folders)
}

fn kind_of(family: &str) -> Option<Kind> {
    Some(match family.split('-').next()? {
        "lora" | "contamination" => Kind::Adapter,
        "abliteration" | "full" | "weight" | "quant" => Kind::Weights,
        "merge" => Kind::Merged,
        "distil" => Kind::Distilled,
        "template" => Kind::Template,
        "prompt" => Kind::Prompt,
        _ => return None,
    })
}

/// Calibrates on the benign samples: every other one says what is usual, the rest are held out.
fn calibrate(samples: &[Sample]) -> Done<Table> {
    let mut strata = BTreeMap::new();
    for kind in Kind::ALL {
        let benign: Vec<Scores> = samples
            .iter()
            .filter(|sample| sample.kind == kind && sample.stratum == "benign")
            .filter(|sample| !sample.looked.examination.is_refused())
            .map(|sample| scores(&sample.looked.examination))
            .collect();
        let half = |part: usize| benign.iter().skip(part).step_by(2).cloned().collect::<Vec<_>>();
        if benign.len() >= 4 {
            strata.insert(kind.name().to_owned(), Stratum::new(&half(0), &half(1))?);
        }
    }
    let records: Vec<u8> = samples.iter().flat_map(|sample| sample.record.to_string().into_bytes()).collect();
    Ok(Table {
        form: FORM.to_owned(),
        set: Digest::of(&records).to_string(),
        made: "benign samples of the red-team range; half say what is usual, half are held out".to_owned(),
        strata,
    })
}

/// The table: each family by what its samples turned out to be.
fn told(depths: &Depths, table: &Table, calibrating: &[Sample], testing: &[Sample]) -> Done<Value> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Sample>> = BTreeMap::new();
    for sample in testing {
        groups.entry((&sample.family, &sample.stratum)).or_default().push(sample);
    }
    let mut rows = Vec::new();
    for ((family, stratum), samples) in groups {
        let n = samples.len() as u64;
        let outcome =
            |sample: &&&Sample| judge(&sample.looked.examination, Some(table), depths.alpha).outcome;
        let refused = samples.iter().filter(|sample| sample.looked.examination.is_refused()).count();
        let flagged = samples.iter().filter(|sample| outcome(sample) == Outcome::Fail).count() as u64;
        let open = samples.iter().filter(|sample| outcome(sample) == Outcome::Inconclusive).count();
        let mut seconds: Vec<f64> = samples.iter().map(|sample| sample.looked.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        rows.push(json!({
            "family": family, "stratum": stratum, "n": n, "flagged": flagged, "refused_by_findings": refused,
            "inconclusive": open,
            "lower": exact::lower_bound(flagged, n, 0.05)?, "upper": exact::upper_bound(flagged, n, 0.05)?,
            "median_s": seconds.get(seconds.len() / 2),
        }));
    }
    let digests: Vec<u8> = testing.iter().flat_map(|sample| sample.record.to_string().into_bytes()).collect();
    let held: BTreeMap<&str, usize> =
        table.strata.iter().map(|(name, stratum)| (name.as_str(), stratum.fused.len())).collect();
    Ok(json!({
        "alpha": depths.alpha, "calibration": table.set, "calibration_samples": calibrating.len(),
        "held_out": held, "test": Digest::of(&digests).to_string(), "rows": rows,
    }))
}

fn sorted(folder: &Path) -> Done<Vec<PathBuf>> {
    let mut all = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Done<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

fn files(folder: &Path) -> Done<Files> {
    let mut entries = Vec::new();
    for path in sorted(folder)? {
        if let (true, Some(name)) = (path.is_file(), path.file_name().and_then(|name| name.to_str())) {
            entries.push((name.to_owned(), Bytes::from(fs::read(&path)?)));
        }
    }
    Ok(Files::new(entries))
}
