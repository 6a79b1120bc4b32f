//! `countersign fingerprint`: the canonical seal of a model.

mod spots;

use std::path::Path;
use std::time::Duration;

use scan::ReadIn;
use seal::difference::{Change, Difference};
use seal::fingerprint::SEAL_BYTES_MAX;
use seal::gguf::{self, Naming};
use seal::oms::bundle::BUNDLE_BYTES_MAX;
use seal::oms::key::PEM_BYTES_MAX;
use seal::oms::{Bundle, Found, PublicKey, Trust};
use seal::rule::RULE_BYTES_MAX;
use seal::{Coding, Elements, Rule, Seal, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tensor::gguf::Gguf;
use tensor::safetensors::{Index, SafeTensors, Sharded};
use tensor::torch::{self, Checkpoint};
use tensor::weights::{ElementType, Weights};

use super::work::{self, Allowance, Answer, Contents, Handed, Side, TORCH, is_torch};
use super::{running, told_with, which, with_place};
use crate::busy::while_busy;
use crate::cli::FingerprintArgs;
use crate::command::Setting;
use crate::failure::{Done, Failure, in_file};
use crate::home::read_bounded;
use crate::outfile::{OutFile, Readers};
use crate::text::line;

pub(super) use spots::{Hashed, Place, SpotTask, ask as ask_spots, spots};

/// Most rules of one command.
const RULES_MAX: usize = 64;

/// Blocks are decoded one at a time; a seal is a hash for each block.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 1, time: Duration::from_hours(1), answer_for_each: 1 };

/// What is sealed, and how.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    side: Side,
    /// Rules as the canonical JSON that is signed.
    rules: Vec<String>,
}

/// The seals, as they are written, in the order of the rules.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seals {
    names: Names,
    seals: Vec<String>,
}

/// Where names of tensors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Names {
    Canonical,
    File,
}

/// A model as it is given, and where it is read.
pub(super) struct Model<'a> {
    pub(super) handed: Handed,
    pub(super) side: Side,
    pub(super) args: &'a FingerprintArgs,
}

/// Seals, compares, writes.
pub(crate) fn fingerprint(setting: &Setting, args: &FingerprintArgs) -> Done {
    if let Some(name) = &args.print_rule {
        let rule = rule(name)?;
        crate::text::print(&format!("{}\n", String::from_utf8_lossy(&rule.to_bytes())));
        return Ok(());
    }
    let Some(path) = &args.path else { return Err(Failure::usage("give a model")) };
    let mut handed = Handed::default();
    let side = handed.model(path)?;
    let model = Model { handed, side, args };
    if let (Some(process), Some(against)) = (args.running, &args.against) {
        let wanted = read_seal(against)?;
        return running::check(setting, &model, &wanted, process);
    }
    if let Some(against) = &args.against {
        return compare(setting, &model, &read_seal(against)?);
    }
    if let Some(base) = &args.base {
        return differ(setting, &model, &read_seal(base)?);
    }
    seal_all(setting, &model)
}

impl Model<'_> {
    /// The seals under some rules, made where they are asked to be made, and read strictly.
    fn seals(&self, rules: &[&Rule]) -> Done<(Vec<Seal>, Names, ReadIn)> {
        if rules.len() > RULES_MAX {
            return Err(Failure::usage(format!("more than {RULES_MAX} rules at once")));
        }
        let texts = rules.iter().map(|rule| String::from_utf8_lossy(&rule.to_bytes()).into_owned());
        let task = work::Task::Seal(Task { side: self.side.clone(), rules: texts.collect() });
        let (answer, read_in) = while_busy("sealing weights", || {
            work::perform(self.args.isolation, &self.handed, task, ALLOWANCE, &mut |_| Ok(()))
        })?;
        let Answer::Seals(told) = answer else { return Err(work::another()) };
        if told.seals.len() != rules.len() {
            return Err(work::lie("it made another number of seals than there are rules"));
        }
        let sealed = told.seals.iter().zip(rules).map(|(text, rule)| {
            let seal = Seal::parse(text.as_bytes()).map_err(|error| work::lie(&error.to_string()))?;
            if seal.rule().digest() == rule.digest() {
                Ok(seal)
            } else {
                Err(work::lie("it sealed under another rule"))
            }
        });
        Ok((sealed.collect::<Done<Vec<_>>>()?, told.names, read_in))
    }

    /// The seal under one rule.
    fn seal(&self, rule: &Rule) -> Done<(Seal, ReadIn)> {
        let (seals, _, read_in) = self.seals(&[rule])?;
        let seal = seals.into_iter().next().ok_or_else(|| work::lie("it made no seal"))?;
        Ok((seal, read_in))
    }
}

/// Seals, wherever that is done.
pub(super) fn sealed(task: &Task, contents: &Contents) -> Done<Seals> {
    with_tensors(&task.side, contents, |tensors, naming| {
        let seals = task.rules.iter().map(|text| {
            let seal = Seal::of(&Rule::parse(text.as_bytes())?, tensors, |_| {})?;
            String::from_utf8(seal.to_bytes()?)
                .map_err(|error| Failure::outside(error, "report this as a fault"))
        });
        let names = match naming {
            Naming::Canonical => Names::Canonical,
            Naming::File => Names::File,
        };
        Ok(Seals { names, seals: seals.collect::<Done<_>>()? })
    })
}

fn seal_all(setting: &Setting, model: &Model<'_>) -> Done {
    let rules = rules(model.args)?;
    if model.args.out.is_some() && rules.len() != 1 {
        return Err(Failure::usage("`--out` takes the seal under one rule"));
    }
    let (seals, naming, read_in) = model.seals(&rules.iter().collect::<Vec<_>>())?;
    let mut values = Vec::new();
    let mut text = String::new();
    for seal in &seals {
        if let Some(out) = &model.args.out {
            OutFile::put(out, Readers::Everybody, &seal.to_bytes()?)?;
        }
        values.push(shown(seal));
        text.push_str(&told(seal));
    }
    if naming == Names::File {
        line(
            &mut text,
            "names: the file's own; this architecture's seal compares GGUF files with each other only",
        );
    }
    let names = if naming == Names::Canonical { "canonical" } else { "file" };
    let value = told_with(json!({ "seals": values, "names": names }), &read_in);
    setting.print(&value, &with_place(text, &read_in));
    Ok(())
}

fn compare(setting: &Setting, model: &Model<'_>, wanted: &Seal) -> Done {
    let (seal, read_in) = model.seal(wanted.rule())?;
    if seal.root() == wanted.root() {
        let mut value = shown(&seal);
        if let Value::Object(members) = &mut value {
            members.insert("same".to_owned(), Value::Bool(true));
        }
        let text = with_place(format!("the same seal\n{}", told(&seal)), &read_in);
        setting.print(&told_with(value, &read_in), &text);
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

fn differ(setting: &Setting, model: &Model<'_>, base: &Seal) -> Done {
    let (seal, read_in) = model.seal(base.rule())?;
    let difference = Difference::between(base, &seal)?;
    if let Some(out) = &model.args.out {
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
    let value = json!({ "base": base.root().to_string(), "seal": shown(&seal), "changes": changes });
    setting.print(&told_with(value, &read_in), &with_place(text, &read_in));
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

/// The files with the weights, by name: the one that was named, or all of a folder; the GGUF file of one that has no others.
fn weights(side: &Side) -> Vec<&str> {
    let ending = |ending: &str| side.names().filter(|name| name.ends_with(ending)).collect::<Vec<_>>();
    match (&side.only, ending(".safetensors"), ending(".gguf")) {
        (Some(only), ..) => vec![only.as_str()],
        (None, none, one) if none.is_empty() && one.len() == 1 => one,
        (None, none, _) if none.is_empty() && side.has(TORCH) => vec![TORCH],
        (None, found, _) => found,
    }
}

/// The open files with the weights, in their order.
pub(super) fn weight_files<'m>(model: &'m Model<'_>) -> Vec<&'m sandbox::Input> {
    let names = weights(&model.side);
    let number = |name: &&str| model.side.number(name).and_then(|number| usize::try_from(number).ok());
    names.iter().filter_map(number).filter_map(|number| model.handed.inputs().get(number)).collect()
}

/// Reads the files and hands their tensors on.
fn with_tensors<T>(
    side: &Side,
    contents: &Contents,
    use_them: impl FnOnce(&[Tensor<'_>], Naming) -> Done<T>,
) -> Done<T> {
    let is_index = |name: &&str| name.ends_with(".safetensors.index.json");
    let index = match side.only.as_deref() {
        Some(only) => Some(only).filter(is_index),
        None => side.has(which::INDEX).then_some(which::INDEX),
    };
    let index =
        index.map(|name| side.bytes(contents, name).map(|bytes| (side.place(name), bytes))).transpose()?;
    let names: Vec<String> = match &index {
        // What is named is the index: its shards are meant, and nothing else beside it.
        Some((place, bytes)) if side.only.is_some() => which::shards(place, bytes)?,
        _ => weights(side).into_iter().map(str::to_owned).collect(),
    };
    if names.is_empty() {
        let why = "there is no `.safetensors` file in it, and not one `.gguf` file";
        return Err(Failure::not_a("model", Path::new(&side.path), why));
    }
    let held = names.iter().map(|name| side.bytes(contents, name).map(|bytes| (name.as_str(), bytes)));
    let held = held.collect::<Done<Vec<_>>>()?;
    if let [(name, bytes)] = held.as_slice()
        && bytes.starts_with(b"GGUF")
    {
        let path = side.place(name);
        let file = Gguf::read(bytes).map_err(in_file(&path))?;
        let model = gguf::Model::of(&file).map_err(in_file(&path))?;
        return use_them(&model.tensors()?, model.naming());
    }
    if let [(name, bytes)] = held.as_slice()
        && is_torch(name, bytes)
    {
        let file = Checkpoint::read(bytes, &torch::Limits::STANDARD).map_err(in_file(&side.place(name)))?;
        let weights =
            Weights::of_checkpoint(&file, bytes.len() as u64).map_err(in_file(&side.place(name)))?;
        let tensors = weights.tensors().iter().map(of_weights).collect::<Done<Vec<_>>>()?;
        return use_them(&tensors, Naming::Canonical);
    }
    let mut shards = Vec::with_capacity(held.len());
    for (name, bytes) in held {
        shards.push((name.to_owned(), SafeTensors::read(bytes).map_err(in_file(&side.place(name)))?));
    }
    if let Some((place, bytes)) = index {
        let sharded = Sharded::join(Index::read(bytes).map_err(in_file(&place))?, shards)?;
        let tensors = sharded.views().map(Tensor::of_view).collect::<Result<Vec<_>, _>>()?;
        return use_them(&tensors, Naming::Canonical);
    }
    let views = shards.iter().flat_map(|(_, file)| file.views());
    let tensors = views.map(Tensor::of_view).collect::<Result<Vec<_>, _>>()?;
    use_them(&tensors, Naming::Canonical)
}

/// A tensor of a list of weights with plain elements, under the name it has there.
fn of_weights<'t>(tensor: &'t tensor::weights::Tensor<'_>) -> Done<Tensor<'t>> {
    let ElementType::Plain(dtype) = tensor.element() else {
        return Err(Failure::usage(format!("the elements of `{}` are not plain numbers", tensor.name())));
    };
    let shape = tensor.shape().iter().map(|&dimension| dimension as u64).collect();
    Ok(Tensor::new(tensor.name(), shape, Elements::Plain { dtype, bytes: tensor.data() })?)
}
