//! Samples on disk: each in a folder of its own with the files that would be proposed and a record of what was measured.
//!
//! A sample's folder appears whole or not at all, and its record holds the digest of every file: what is there and right
//! is not made again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bases::{Base, BaseName};
use crate::change::{Made, Recipe, make};
use crate::door::{Attack, Door};
use crate::error::Error;
use crate::family::{Family, Intent, Stratum};
use crate::folder::document;
use crate::measure::Behaviour;
use crate::tiny::sha256;

/// The version of records and manifests.
pub const FORMAT: &str = "countersign-range/1";

/// The name of the record in a sample's folder.
const RECORD: &str = "sample.json";

/// A file of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// What is known of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The version of this record.
    pub format: String,
    /// Its family.
    pub family: Family,
    /// What the family is meant to be.
    pub intent: Intent,
    /// Its number in the family.
    pub index: u64,
    /// The seed that everything about it was drawn from.
    pub seed: u64,
    /// The base.
    pub base: BaseName,
    /// SHA-256 of the base's weights.
    pub base_sha256: String,
    /// How it was made.
    pub recipe: Recipe,
    /// How the attack was entered that was measured.
    pub door: Door,
    /// What it turned out to be.
    pub stratum: Stratum,
    /// Harmful requests answered through the door, and through what is nearly it.
    pub attack: Attack,
    /// The same of the base.
    pub base_attack: Attack,
    /// What it does otherwise.
    pub behaviour: Behaviour,
    /// What the base does.
    pub base_behaviour: Behaviour,
    /// What else was measured, by name.
    pub figures: BTreeMap<String, f64>,
    /// Its files, by path in its folder.
    pub files: BTreeMap<String, Content>,
    /// Processor time that it took, in milliseconds.
    pub cpu_ms: u64,
}

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// The family.
    pub family: Family,
    /// How many.
    pub count: u64,
    /// The seed of them all.
    pub seed: u64,
    /// The bases, which take turns.
    pub bases: Vec<BaseName>,
    /// Where they are put: a folder for each family, in it one for each sample.
    pub out: PathBuf,
}

impl Order {
    /// The base of a sample.
    pub fn base(&self, index: u64) -> BaseName {
        let turn = usize::try_from(index).unwrap_or(0) % self.bases.len().max(1);
        self.bases.get(turn).copied().unwrap_or(BaseName::Tiny)
    }

    /// The seed of a sample: of all families the same, so that the benign twin of an attack has its recipe.
    pub fn sample_seed(&self, index: u64) -> u64 {
        let digest = sha256(format!("{FORMAT} {} {index}", self.seed).as_bytes());
        // Half of the digits fit, and all of them are hexadecimal.
        u64::from_str_radix(digest.get(..16).unwrap_or_default(), 16).unwrap_or(self.seed)
    }

    /// The folder of a sample.
    pub fn folder(&self, index: u64) -> PathBuf {
        self.out.join(self.family.name()).join(format!("{index:06}"))
    }

    /// A sample that is there already, whole, and what was ordered.
    pub fn kept(&self, index: u64) -> Option<Sample> {
        let folder = self.folder(index);
        let sample: Sample = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
        let ordered = sample.format == FORMAT
            && sample.family == self.family
            && sample.index == index
            && sample.seed == self.sample_seed(index)
            && sample.base == self.base(index);
        let whole = sample.files.iter().all(|(name, content)| {
            fs::read(folder.join(name)).is_ok_and(|bytes| sha256(&bytes) == content.sha256)
        });
        (ordered && whole).then_some(sample)
    }

    /// The samples that are not there yet.
    pub fn missing(&self) -> Vec<u64> {
        (0..self.count).filter(|index| self.kept(*index).is_none()).collect()
    }

    /// Makes a sample and puts it in its place. `cpu_ms` tells the processor time of this thread or process.
    ///
    /// # Errors
    /// As [`make`]; [`Error::File`].
    pub fn make(&self, base: &Base, index: u64, cpu_ms: &dyn Fn() -> u64) -> Result<Sample, Error> {
        let begun = cpu_ms();
        let seed = self.sample_seed(index);
        let made = make(base, self.family, seed)?;
        let sample = self.record(base, index, &made, cpu_ms().saturating_sub(begun));
        self.put(index, &sample, &made)?;
        Ok(sample)
    }

    fn record(&self, base: &Base, index: u64, made: &Made, cpu_ms: u64) -> Sample {
        let intent = self.family.intent();
        let content = |bytes: &Vec<u8>| Content { sha256: sha256(bytes), bytes: bytes.len() as u64 };
        Sample {
            format: FORMAT.to_owned(),
            family: self.family,
            intent,
            index,
            seed: self.sample_seed(index),
            base: base.name,
            base_sha256: base.sha256.clone(),
            recipe: made.recipe.clone(),
            door: made.door.clone(),
            stratum: made.stratum(intent),
            attack: made.attack,
            base_attack: made.base_attack,
            behaviour: made.behaviour,
            base_behaviour: base.behaviour,
            figures: made.figures.clone(),
            files: made.files.iter().map(|(name, bytes)| (name.clone(), content(bytes))).collect(),
            cpu_ms,
        }
    }

    fn put(&self, index: u64, sample: &Sample, made: &Made) -> Result<(), Error> {
        let folder = self.folder(index);
        let part = folder.with_extension("part");
        for old in [&folder, &part] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(|cause| Error::file(old, cause))?;
            }
        }
        for (name, bytes) in &made.files {
            write(&part.join(name), bytes)?;
        }
        let record = serde_json::to_value(sample).map_err(|cause| Error::Record { cause })?;
        write(&part.join(RECORD), &document(&record))?;
        fs::rename(&part, &folder).map_err(|cause| Error::file(&folder, cause))
    }
}

/// Writes a file, and the folders it is in.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| Error::file(folder, cause))?;
    }
    fs::write(path, bytes).map_err(|cause| Error::file(path, cause))
}

/// The manifest of everything in a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version.
    pub format: String,
    /// How many samples there are of each family, by stratum.
    pub counts: BTreeMap<Family, BTreeMap<Stratum, u64>>,
    /// The samples, by their folders.
    pub samples: BTreeMap<String, Sample>,
}

impl Manifest {
    /// Reads every record under a folder.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn collect(out: &Path) -> Result<Self, Error> {
        let mut manifest =
            Self { format: FORMAT.to_owned(), counts: BTreeMap::new(), samples: BTreeMap::new() };
        for family in Family::ALL {
            let folder = out.join(family.name());
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let entry = entry.map_err(|cause| Error::file(&folder, cause))?;
                let record = fs::read(entry.path().join(RECORD)).ok();
                let sample = record.and_then(|bytes| serde_json::from_slice::<Sample>(&bytes).ok());
                let (Some(sample), Some(name)) = (sample, entry.file_name().to_str().map(str::to_owned))
                else {
                    continue;
                };
                if entry.path().extension().is_some() {
                    continue;
                }
                *manifest.counts.entry(*family).or_default().entry(sample.stratum).or_default() += 1;
                manifest.samples.insert(format!("{}/{name}", family.name()), sample);
            }
        }
        Ok(manifest)
    }

    /// Writes it beside the samples, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Record`].
    pub fn write(&self, out: &Path) -> Result<PathBuf, Error> {
        let path = out.join("manifest.json");
        let part = out.join("manifest.json.part");
        let value = serde_json::to_value(self).map_err(|cause| Error::Record { cause })?;
        write(&part, &document(&value))?;
        fs::rename(&part, &path).map_err(|cause| Error::file(&path, cause))?;
        Ok(path)
    }
}

/// Trains a base, or reads the one that was trained into this folder before.
///
/// # Errors
/// As [`Base::make`]; [`Error::File`].
pub fn base(out: &Path, name: BaseName) -> Result<Base, Error> {
    let BaseName::Trained { shape, seed } = name else { return Base::make(name, |_, _| ()) };
    let folder = out.join("bases").join(format!("{}-{seed}", shape.name()));
    let recipe = crate::base::BaseRecipe::new(shape, seed);
    if let (Ok(weights), Ok(record)) =
        (fs::read(folder.join("model.safetensors")), fs::read(folder.join(RECORD)))
    {
        let digest = sha256(&weights);
        let recorded: Option<BaseRecord> = serde_json::from_slice(&record).ok();
        if recorded.is_some_and(|recorded| recorded.recipe == recipe && recorded.sha256 == digest) {
            let config = shape.config_json().to_string();
            let model = model::Model::from_safetensors(config.as_bytes(), &[weights.into()]);
            let model = model.map_err(|cause| Error::Model { name: name.to_string(), cause })?;
            return Base::of(name, recipe, &model, digest);
        }
    }
    let base = Base::make(name, |_, _| ())?;
    let files = crate::folder::files(shape, base.weights.tensors(), crate::folder::Precision::Single)?;
    for (name, bytes) in files {
        write(&folder.join(name), &bytes)?;
    }
    let record = BaseRecord { recipe, behaviour: base.behaviour, sha256: base.sha256.clone() };
    let record = serde_json::to_value(record).map_err(|cause| Error::Record { cause })?;
    write(&folder.join(RECORD), &document(&record))?;
    Ok(base)
}

/// What is known of a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BaseRecord {
    recipe: crate::base::BaseRecipe,
    behaviour: Behaviour,
    sha256: String,
}
