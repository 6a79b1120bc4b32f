//! `countersign fingerprint`: the canonical seal of a model.

use std::path::{Path, PathBuf};

use seal::difference::{Change, Difference};
use seal::fingerprint::SEAL_BYTES_MAX;
use seal::gguf::{self, Naming};
use seal::oms::bundle::BUNDLE_BYTES_MAX;
use seal::oms::key::PEM_BYTES_MAX;
use seal::oms::{Bundle, Found, PublicKey, Trust};
use seal::rule::RULE_BYTES_MAX;
use seal::{Coding, Rule, Seal, Tensor};
use serde_json::{Value, json};
use tensor::gguf::Gguf;
use tensor::safetensors::{Index, SafeTensors, Sharded};

use super::running;
use super::tree::{Held, content};
use crate::busy;
use crate::cli::FingerprintArgs;
use crate::command::Setting;
use crate::failure::{Done, Failure, in_file};
use crate::home::read_bounded;
use crate::outfile::{OutFile, Readers};
use crate::text::line;

const INDEX: &str = "model.safetensors.index.json";
/// Largest index, in bytes.
const INDEX_BYTES_MAX: usize = 256 << 20;

/// Seals, compares, writes.
pub(crate) fn fingerprint(setting: &Setting, args: &FingerprintArgs) -> Done {
    if let Some(name) = &args.print_rule {
        let rule = rule(name)?;
        crate::text::print(&format!("{}\n", String::from_utf8_lossy(&rule.to_bytes())));
        return Ok(());
    }
    let Some(path) = &args.path else { return Err(Failure::usage("give a model")) };
    let files = Files::open(path)?;
    if let (Some(process), Some(against)) = (args.running, &args.against) {
        let wanted = read_seal(against)?;
        return running::check(setting, &files, &wanted, process, args.blocks);
    }
    files.with_tensors(|tensors, naming| {
        if let Some(against) = &args.against {
            return compare(setting, tensors, &read_seal(against)?);
        }
        if let Some(base) = &args.base {
            return differ(setting, tensors, &read_seal(base)?, args.out.as_deref());
        }
        seal_all(setting, args, tensors, naming)
    })
}

fn seal_all(setting: &Setting, args: &FingerprintArgs, tensors: &[Tensor<'_>], naming: Naming) -> Done {
    let rules = rules(args)?;
    if args.out.is_some() && rules.len() != 1 {
        return Err(Failure::usage("`--out` takes the seal under one rule"));
    }
    let mut values = Vec::new();
    let mut text = String::new();
    for rule in &rules {
        let seal = sealed(rule, tensors)?;
        if let Some(out) = &args.out {
            OutFile::put(out, Readers::Everybody, &seal.to_bytes()?)?;
        }
        values.push(shown(&seal));
        text.push_str(&told(&seal));
    }
    if naming == Naming::File {
        line(
            &mut text,
            "names: the file's own; this architecture's seal compares GGUF files with each other only",
        );
    }
    let names = if naming == Naming::Canonical { "canonical" } else { "file" };
    setting.print(&json!({ "seals": values, "names": names }), &text);
    Ok(())
}

fn compare(setting: &Setting, tensors: &[Tensor<'_>], wanted: &Seal) -> Done {
    let seal = sealed(wanted.rule(), tensors)?;
    if seal.root() == wanted.root() {
        let mut value = shown(&seal);
        if let Value::Object(members) = &mut value {
            members.insert("same".to_owned(), Value::Bool(true));
        }
        setting.print(&value, &format!("the same seal\n{}", told(&seal)));
        return Ok(());
    }
    let difference = Difference::between(wanted, &seal)?;
    let named: Vec<String> = difference.changes().iter().map(|(name, change)| what(name, change)).collect();
    let first = difference.changes().first().map_or(("", 0), |(name, change)| match change {
        Change::Blocks(blocks) => (name.as_str(), blocks.first().map_or(0, |(at, _)| *at)),
        Change::Whole { .. } | Change::Removed => (name.as_str(), 0),
    });
    let mut failure = Failure::from(seal::Error::Mismatch { tensor: first.0.to_owned(), block: first.1 });
    failure.message = format!("{} ({} in all: {})", failure.message, named.len(), some(&named));
    Err(failure)
}

fn differ(setting: &Setting, tensors: &[Tensor<'_>], base: &Seal, out: Option<&Path>) -> Done {
    let seal = sealed(base.rule(), tensors)?;
    let difference = Difference::between(base, &seal)?;
    if let Some(out) = out {
        OutFile::put(out, Readers::Everybody, &difference.to_bytes()?)?;
    }
    let named: Vec<String> = difference.changes().iter().map(|(name, change)| what(name, change)).collect();
    let changes: Vec<Value> = difference
        .changes()
        .iter()
        .map(|(name, change)| match change {
            Change::Blocks(blocks) => json!({ "name": name, "blocks": blocks.len() }),
            Change::Whole { blocks, .. } => json!({ "name": name, "whole": blocks.len() }),
            Change::Removed => json!({ "name": name, "removed": true }),
        })
        .collect();
    let mut text = told(&seal);
    line(&mut text, &format!("  base: {}", base.root()));
    if difference.is_empty() {
        line(&mut text, "  nothing changed that the rule sees");
    } else {
        line(&mut text, &format!("  {} tensors differ: {}", named.len(), some(&named)));
    }
    setting
        .print(&json!({ "base": base.root().to_string(), "seal": shown(&seal), "changes": changes }), &text);
    Ok(())
}

fn what(name: &str, change: &Change) -> String {
    match change {
        Change::Blocks(blocks) => format!("`{name}` in {} blocks", blocks.len()),
        Change::Whole { .. } => format!("`{name}` new or of another shape"),
        Change::Removed => format!("`{name}` gone"),
    }
}

/// The first few.
fn some(named: &[String]) -> String {
    const SOME: usize = 8;
    let mut text = named.iter().take(SOME).cloned().collect::<Vec<_>>().join(", ");
    if named.len() > SOME {
        text.push_str(", \u{2026}");
    }
    text
}

fn sealed(rule: &Rule, tensors: &[Tensor<'_>]) -> Done<Seal> {
    let bar = busy::bytes("sealing weights", tensors.iter().map(Tensor::length).sum());
    let seal = Seal::of(rule, tensors, |elements| busy::advance(&bar, elements))?;
    bar.finish_and_clear();
    Ok(seal)
}

fn shown(seal: &Seal) -> Value {
    let resolution: Vec<&str> = seal.rule().codings().into_iter().map(Coding::resolution).collect();
    json!({
        "blocks": seal.blocks(),
        "elements": seal.elements(),
        "resolution": resolution,
        "root": seal.root().to_string(),
        "rule": { "digest": seal.rule().digest(), "name": seal.rule().name() },
        "tensors": seal.tensors().len(),
    })
}

fn told(seal: &Seal) -> String {
    let mut text = String::new();
    let rule = seal.rule();
    line(&mut text, &format!("{}  {}", seal.root(), rule.name()));
    line(&mut text, &format!("  rule sha256:{}", rule.digest()));
    line(
        &mut text,
        &format!(
            "  {} tensors, {} elements, {} blocks",
            seal.tensors().len(),
            seal.elements(),
            seal.blocks()
        ),
    );
    for coding in rule.codings() {
        line(&mut text, &format!("  sees {}", coding.resolution()));
    }
    if rule.codings().iter().any(|coding| coding.bits().is_some()) {
        line(&mut text, "  smaller changes need the `exact` seal beside this one");
    }
    text
}

fn rules(args: &FingerprintArgs) -> Done<Vec<Rule>> {
    if args.rule.is_empty() {
        return Ok(vec![Rule::exact()]);
    }
    if let Some(bundle) = &args.rule_signature {
        let [path] = args.rule.as_slice() else {
            return Err(Failure::usage("`--rule-signature` goes with one `--rule`"));
        };
        return Ok(vec![signed_rule(Path::new(path), bundle, args.public_key.as_deref())?]);
    }
    args.rule.iter().map(|name| rule(name)).collect()
}

fn rule(name: &str) -> Done<Rule> {
    Ok(match name {
        "exact" => Rule::exact(),
        "8-bit" => Rule::eight(),
        "4-bit" => Rule::four(),
        "2-bit" => Rule::two(),
        "mixed" => Rule::mixed(),
        path => Rule::parse(&read_bounded(Path::new(path), RULE_BYTES_MAX)?)?,
    })
}

/// A rule file whose bytes are what the bundle signs as its one file.
fn signed_rule(path: &Path, bundle: &Path, key: Option<&Path>) -> Done<Rule> {
    let Some(key) = key else { return Err(Failure::usage("`--rule-signature` goes with `--public-key`")) };
    let key = PublicKey::from_pem(&read_bounded(key, PEM_BYTES_MAX)?)?;
    let bytes = read_bounded(path, RULE_BYTES_MAX)?;
    let verified = Bundle::parse(&read_bounded(bundle, BUNDLE_BYTES_MAX)?)?.verify(&Trust::Key(&key))?;
    let manifest = verified.manifest();
    let found = [Found { path: ".".to_owned(), bytes: bytes.len() as u64, is_link: false }];
    let hash = manifest.serialization().hash;
    let hashed = manifest.plan(&found, &[])?.into_iter().map(|job| {
        let mut hasher = seal::oms::plan::Hasher::new(hash);
        hasher.update(&bytes);
        (job, hasher.finish())
    });
    manifest.compare(&hashed.collect::<Vec<_>>())?;
    Ok(Rule::parse(&bytes)?)
}

fn read_seal(path: &Path) -> Done<Seal> {
    Ok(Seal::parse(&read_bounded(path, SEAL_BYTES_MAX)?)?)
}

/// The model's files, held while it is sealed.
pub(crate) struct Files {
    index: Option<Vec<u8>>,
    pub(crate) held: Vec<(PathBuf, Held)>,
}

impl Files {
    /// A file, or the `.safetensors` files of a folder.
    fn open(path: &Path) -> Done<Self> {
        let failed = |error| Failure::file(path, &error);
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            return Ok(Self { index: None, held: vec![(path.to_owned(), content(path)?)] });
        }
        let index = path.join(INDEX);
        let index = if index.exists() { Some(read_bounded(&index, INDEX_BYTES_MAX)?) } else { None };
        let listing = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<PathBuf> = listing.map_err(failed)?.iter().map(std::fs::DirEntry::path).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        paths.sort();
        if paths.is_empty() {
            return Err(Failure::not_a("model", path, "there is no `.safetensors` file in it"));
        }
        let held = paths.into_iter().map(|path| content(&path).map(|held| (path, held)));
        Ok(Self { index, held: held.collect::<Done<_>>()? })
    }

    /// Reads the files and hands their tensors on.
    pub(crate) fn with_tensors<T>(&self, use_them: impl FnOnce(&[Tensor<'_>], Naming) -> Done<T>) -> Done<T> {
        if let [(path, held)] = self.held.as_slice()
            && held.bytes().starts_with(b"GGUF")
        {
            let file = Gguf::read(held.bytes()).map_err(in_file(path))?;
            let model = gguf::Model::of(&file).map_err(in_file(path))?;
            return use_them(&model.tensors()?, model.naming());
        }
        let mut shards = Vec::with_capacity(self.held.len());
        for (path, held) in &self.held {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            shards.push((name, SafeTensors::read(held.bytes()).map_err(in_file(path))?));
        }
        if let Some(index) = &self.index {
            let sharded = Sharded::join(Index::read(index)?, shards)?;
            let tensors = sharded.views().map(Tensor::of_view).collect::<Result<Vec<_>, _>>()?;
            return use_them(&tensors, Naming::Canonical);
        }
        let views = shards.iter().flat_map(|(_, file)| file.views());
        let tensors = views.map(Tensor::of_view).collect::<Result<Vec<_>, _>>()?;
        use_them(&tensors, Naming::Canonical)
    }
}
