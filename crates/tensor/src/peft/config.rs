//! `adapter_config.json`.

use super::FullKind;
use super::names::is_embedding;
use crate::Error;
use crate::error::shown;
use crate::json::Value;

const DOCUMENT: &str = "adapter configuration";

/// Which biases the adapter carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// None.
    None,
    /// All of the model's.
    All,
    /// Those of the adapted modules.
    LoraOnly,
}

/// Which modules the adapter says it adapts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Left to the model's family.
    Unsaid,
    /// `all-linear`.
    AllLinear,
    /// Names of modules, or of their last segments.
    Names(Vec<String>),
    /// A regular expression, which is not evaluated here.
    Expression(String),
}

/// What `adapter_config.json` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `r`: the rank where `rank_pattern` does not say otherwise.
    pub rank: u64,
    /// `lora_alpha`, where `alpha_pattern` does not say otherwise.
    pub alpha: f64,
    /// `target_modules`.
    pub targets: Targets,
    /// `rank_pattern`, in the order of the file, which decides between patterns.
    pub rank_pattern: Vec<(String, u64)>,
    /// `alpha_pattern`, in the order of the file.
    pub alpha_pattern: Vec<(String, f64)>,
    /// `use_rslora`: the scaling divides by the root of the rank.
    pub use_rslora: bool,
    /// `use_dora`: modules carry a magnitude vector.
    pub use_dora: bool,
    /// `fan_in_fan_out`: base weights are stored `in × out`.
    pub fan_in_fan_out: bool,
    /// `modules_to_save`.
    pub modules_to_save: Vec<String>,
    /// `bias`.
    pub bias: Bias,
    /// Every other member, as it stands.
    pub other: Vec<(String, Value)>,
}

/// Members outside the typed ones that do not change what the tensors of a trained adapter do.
const INERT: [&str; 12] = [
    "base_model_name_or_path",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
    "runtime_config",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
];

impl Config {
    /// Reads a configuration. Members it does not know are kept and listed, never fatal.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Repeated`], [`Error::Missing`] (`peft_type`, `r`, `lora_alpha`),
    /// [`Error::Type`] where a known member has the wrong type, [`Error::AdapterType`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let value = Value::read(bytes).map_err(|fault| Error::json(DOCUMENT, fault))?;
        let Value::Object(members) = value else {
            return Err(wrong("", "an object"));
        };
        let mut members = Members(members);
        match members.take("peft_type") {
            Some(Value::Text(kind)) if kind == "LORA" => {}
            Some(Value::Text(kind)) => return Err(Error::AdapterType { found: shown(&kind) }),
            Some(_) => return Err(wrong("peft_type", "a string")),
            None => return Err(Error::Missing { document: DOCUMENT, member: "peft_type" }),
        }
        let lacks = |member| Error::Missing { document: DOCUMENT, member };
        let rank = members.take("r").ok_or_else(|| lacks("r"))?;
        let alpha = members.take("lora_alpha").ok_or_else(|| lacks("lora_alpha"))?;
        Ok(Self {
            rank: whole("r", &rank)?,
            alpha: number("lora_alpha", &alpha)?,
            targets: match members.take("target_modules") {
                None | Some(Value::Null) => Targets::Unsaid,
                Some(Value::Text(text)) if text == "all-linear" => Targets::AllLinear,
                Some(Value::Text(text)) => Targets::Expression(text),
                Some(list) => Targets::Names(names("target_modules", list)?),
            },
            rank_pattern: pattern("rank_pattern", members.take("rank_pattern"), whole)?,
            alpha_pattern: pattern("alpha_pattern", members.take("alpha_pattern"), number)?,
            use_rslora: members.flag("use_rslora")?,
            use_dora: members.flag("use_dora")?,
            fan_in_fan_out: members.flag("fan_in_fan_out")?,
            modules_to_save: match members.take("modules_to_save") {
                None | Some(Value::Null) => Vec::new(),
                Some(list) => names("modules_to_save", list)?,
            },
            bias: match members.take("bias") {
                None | Some(Value::Null) => Bias::None,
                Some(Value::Text(text)) if text == "none" => Bias::None,
                Some(Value::Text(text)) if text == "all" => Bias::All,
                Some(Value::Text(text)) if text == "lora_only" => Bias::LoraOnly,
                Some(_) => return Err(wrong("bias", "`none`, `all` or `lora_only`")),
            },
            other: members.0,
        })
    }

    /// Names of members that this reader does not give effect to although they may change what the adapter does:
    /// not empty, and not known to be inert. `init_lora_weights` counts unless it is one of the ways to begin that
    /// leave the base weights alone and make a module without tensors do nothing.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.other.iter().filter_map(|(name, value)| {
            let inert = match (name.as_str(), value) {
                ("init_lora_weights", Value::Null | Value::Bool(true)) => true,
                ("init_lora_weights", Value::Text(way)) => matches!(way.as_str(), "gaussian" | "eva"),
                ("init_lora_weights", _) => false,
                (name, value) => value.is_empty() || INERT.contains(&name),
            };
            (!inert).then_some(name.as_str())
        })
    }

    /// The rank declared for a module; nothing where a pattern cannot be evaluated.
    pub fn rank_of(&self, path: &str) -> Option<u64> {
        matched(&self.rank_pattern, path, self.rank)
    }

    /// The scaling `s` of a module, from the declared rank and alpha; nothing where it cannot be told.
    ///
    /// One division (and one root) in `f64`, correctly rounded.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ranks are far below 2^53; beyond it, the last bit is lost"
    )]
    pub fn scaling_of(&self, path: &str) -> Option<f64> {
        let rank = self.rank_of(path)? as f64;
        let alpha = matched(&self.alpha_pattern, path, self.alpha)?;
        let divisor = if self.use_rslora { rank.sqrt() } else { rank };
        (divisor > 0.0).then(|| alpha / divisor)
    }

    /// Whether a module is among the targets, so far as names can tell.
    pub(super) fn targets_module(&self, path: &str) -> bool {
        match &self.targets {
            Targets::Unsaid | Targets::AllLinear | Targets::Expression(_) => true,
            Targets::Names(names) => names.iter().any(|name| ends_in(path, name)),
        }
    }

    /// Why a tensor under its base name may be in the adapter, if it may.
    pub(super) fn kind_of_full(&self, path: &str, parameter: &str) -> Option<FullKind> {
        if self.modules_to_save.iter().any(|name| saves(path, name)) {
            Some(FullKind::ModuleToSave)
        } else if is_embedding(path) {
            Some(FullKind::Embedding)
        } else if parameter == "bias" && self.bias != Bias::None {
            Some(FullKind::Bias)
        } else {
            None
        }
    }
}

/// Whether `path` is `name` or ends in `.name`.
fn ends_in(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// Whether `path` is a module that `name` saves, or lies within one.
fn saves(path: &str, name: &str) -> bool {
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| path.get(..end).is_some_and(|head| ends_in(head, name)))
}

/// The value of the first pattern that matches, else `otherwise`. The library takes a pattern for the regular
/// expression `^(.*\.)?(pattern)$`, so that a dot in it stands for any character; patterns that use more of
/// the language than that are not evaluated, and then there is no answer.
fn matched<T: Copy>(patterns: &[(String, T)], path: &str, otherwise: T) -> Option<T> {
    for (pattern, value) in patterns {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if pattern.is_empty() || !pattern.bytes().all(plain) {
            return None;
        }
        let (path, pattern) = (path.as_bytes(), pattern.as_bytes());
        let tail = path.len().checked_sub(pattern.len()).and_then(|at| path.split_at_checked(at));
        if let Some((head, tail)) = tail
            && (head.is_empty() || head.ends_with(b"."))
            && tail.iter().zip(pattern).all(|(have, want)| *want == b'.' || have == want)
        {
            return Some(*value);
        }
    }
    Some(otherwise)
}

/// The members not yet taken.
struct Members(Vec<(String, Value)>);

impl Members {
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(at).1)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Error> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }
}

fn wrong(member: &str, expected: &'static str) -> Error {
    Error::Type { document: DOCUMENT, member: shown(member), expected }
}

fn whole(member: &str, value: &Value) -> Result<u64, Error> {
    match value {
        Value::Integer(integer) => u64::try_from(*integer).map_err(|_| wrong(member, "a whole number")),
        _ => Err(wrong(member, "a whole number")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as every reader of the file does")]
fn number(member: &str, value: &Value) -> Result<f64, Error> {
    match value {
        Value::Integer(integer) => Ok(*integer as f64),
        Value::Number(number) => Ok(*number),
        _ => Err(wrong(member, "a number")),
    }
}

fn names(member: &'static str, value: Value) -> Result<Vec<String>, Error> {
    let Value::List(items) = value else {
        return Err(wrong(member, "a list of names"));
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::Text(text) if !text.is_empty() => Ok(text),
            _ => Err(wrong(member, "a list of names")),
        })
        .collect()
}

fn pattern<T>(
    member: &'static str,
    value: Option<Value>,
    read: impl Fn(&str, &Value) -> Result<T, Error>,
) -> Result<Vec<(String, T)>, Error> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| {
                let value = read(&format!("{member}.{name}"), &value)?;
                Ok((name, value))
            })
            .collect(),
        Some(_) => Err(wrong(member, "an object")),
    }
}
