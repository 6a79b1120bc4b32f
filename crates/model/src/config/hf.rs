//! `config.json` of the transformers library.

use serde_json::{Map, Value};

use super::{
    Activation, Architecture, Config, Mlp, NormKind, Pairing, Positions, Presence, Rotary, Stretch, Windows,
};
use crate::Error;
use crate::error::shown;

/// Most bytes of a configuration that are read.
const BYTES_MAX: usize = 1 << 20;

/// A configuration's members.
struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn missing<T>(member: &str, expected: &'static str) -> Result<T, Error> {
        Err(Error::Setting { member: member.to_owned(), expected })
    }

    fn present(&self, member: &str) -> Option<&Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    fn size(&self, member: &str) -> Result<usize, Error> {
        match self.size_or_none(member)? {
            Some(size) => Ok(size),
            None => Self::missing(member, "a whole number"),
        }
    }

    fn size_or_none(&self, member: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.present(member) else { return Ok(None) };
        match value.as_u64().and_then(|value| usize::try_from(value).ok()) {
            Some(size) => Ok(Some(size)),
            None => Self::missing(member, "a whole number"),
        }
    }

    fn number(&self, member: &str, default: f64) -> Result<f64, Error> {
        Ok(self.number_or_none(member)?.unwrap_or(default))
    }

    fn number_or_none(&self, member: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.present(member) else { return Ok(None) };
        value.as_f64().map_or_else(|| Self::missing(member, "a number"), |value| Ok(Some(value)))
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.present(member).and_then(Value::as_str)
    }
}

impl Config {
    /// Reads a `config.json`. Gemma 3's multi-modal form is read by its `text_config`.
    ///
    /// # Errors
    /// [`Error::Architecture`] and [`Error::Setting`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let document = || Error::Setting {
            member: "config.json".to_owned(),
            expected: "a JSON object of at most 1 MiB",
        };
        if json.len() > BYTES_MAX {
            return Err(document());
        }
        let value: Value = serde_json::from_slice(json).map_err(|_| document())?;
        let outer = value.as_object().ok_or_else(document)?;
        let inner = outer.get("text_config").and_then(Value::as_object).unwrap_or(outer);
        let (members, whole) = (Members(inner), Members(outer));
        let name = members.text("model_type").or_else(|| whole.text("model_type")).unwrap_or_default();
        let config = match name {
            "llama" | "mistral" | "smollm" => decoder(Architecture::Llama, &members)?,
            "qwen2" => decoder(Architecture::Qwen2, &members)?,
            "qwen3" => decoder(Architecture::Qwen3, &members)?,
            "gemma2" => decoder(Architecture::Gemma2, &members)?,
            "gemma3" | "gemma3_text" => decoder(Architecture::Gemma3, &members)?,
            "gpt2" => gpt2(&members)?,
            other => return Err(Error::Architecture { name: shown(other) }),
        };
        config.check()?;
        Ok(config)
    }
}

fn activation(name: Option<&str>, default: Activation) -> Result<Activation, Error> {
    match name {
        None => Ok(default),
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(Activation::GeluTanh),
        Some(_) => Err(Error::Setting {
            member: "hidden_act".to_owned(),
            expected: "`silu`, `gelu` or `gelu_pytorch_tanh`",
        }),
    }
}

fn stretch(members: &Members<'_>) -> Result<Stretch, Error> {
    let refused =
        || Error::Setting { member: "rope_scaling".to_owned(), expected: "absent, linear or llama3" };
    let Some(value) = members.present("rope_scaling") else { return Ok(Stretch::None) };
    let scaling = Members(value.as_object().ok_or_else(refused)?);
    let kind = scaling.text("rope_type").or_else(|| scaling.text("type"));
    let required = |member: &str| scaling.number_or_none(member)?.ok_or_else(refused);
    match kind {
        Some("default") => Ok(Stretch::None),
        Some("linear") => Ok(Stretch::Linear { factor: required("factor")? }),
        Some("llama3") => Ok(Stretch::Llama3 {
            factor: required("factor")?,
            low: required("low_freq_factor")?,
            high: required("high_freq_factor")?,
            original: required("original_max_position_embeddings")?,
        }),
        _ => Err(refused()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes are small")]
fn decoder(architecture: Architecture, members: &Members<'_>) -> Result<Config, Error> {
    let gemma = matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3);
    let hidden = members.size("hidden_size")?;
    let heads = members.size("num_attention_heads")?;
    let head_len = match members.size_or_none("head_dim")? {
        Some(head_len) => head_len,
        None if gemma => 256,
        None => hidden.checked_div(heads).unwrap_or(0),
    };
    let stretch = stretch(members)?;
    let base = members.number("rope_theta", if architecture == Architecture::Gemma3 { 1e6 } else { 1e4 })?;
    let global = Rotary { base, stretch };
    let local = match architecture {
        Architecture::Gemma3 => {
            Rotary { base: members.number("rope_local_base_freq", 1e4)?, stretch: Stretch::None }
        }
        _ => global,
    };
    let windows = match architecture {
        Architecture::Gemma2 => Windows::Periodic { length: members.size("sliding_window")?, period: 2 },
        Architecture::Gemma3 => Windows::Periodic {
            length: members.size("sliding_window")?,
            period: members.size_or_none("sliding_window_pattern")?.unwrap_or(6),
        },
        _ => Windows::None,
    };
    let query_scalar = members.number("query_pre_attn_scalar", head_len as f64)?;
    let act = members.text("hidden_activation").or_else(|| members.text("hidden_act"));
    let presence = |present| if present { Presence::Present } else { Presence::Absent };
    let caps = architecture == Architecture::Gemma2;
    Ok(Config {
        architecture,
        vocabulary: members.size("vocab_size")?,
        hidden,
        layers: members.size("num_hidden_layers")?,
        heads,
        kv_heads: members.size_or_none("num_key_value_heads")?.unwrap_or(heads),
        head_len,
        inner: members.size("intermediate_size")?,
        context: members.size_or_none("max_position_embeddings")?.unwrap_or(8192),
        norm: if gemma { NormKind::RmsPlusOne } else { NormKind::Rms },
        norm_epsilon: members.number("rms_norm_eps", 1e-6)?,
        head_norms: presence(matches!(architecture, Architecture::Qwen3 | Architecture::Gemma3)),
        post_norms: presence(gemma),
        qkv_biases: match architecture {
            Architecture::Qwen2 => Presence::Present,
            _ => Presence::WhereStored,
        },
        biases: Presence::WhereStored,
        activation: activation(act, if gemma { Activation::GeluTanh } else { Activation::Silu })?,
        mlp: Mlp::Gated,
        positions: Positions::Rotary { global, local, pairing: Pairing::Halves },
        attention_scale: if gemma { query_scalar } else { head_len as f64 }.sqrt().recip(),
        attention_cap: if caps { members.number_or_none("attn_logit_softcapping")? } else { None },
        logit_cap: if caps { members.number_or_none("final_logit_softcapping")? } else { None },
        windows,
        embedding_scale: if gemma { (hidden as f64).sqrt() } else { 1.0 },
    })
}

#[allow(clippy::cast_precision_loss, reason = "sizes are small")]
fn gpt2(members: &Members<'_>) -> Result<Config, Error> {
    let hidden = members.size("n_embd")?;
    let heads = members.size("n_head")?;
    let head_len = hidden.checked_div(heads).unwrap_or(0);
    if head_len.saturating_mul(heads) != hidden {
        return Members::missing("n_head", "a divisor of the width");
    }
    Ok(Config {
        architecture: Architecture::Gpt2,
        vocabulary: members.size("vocab_size")?,
        hidden,
        layers: members.size("n_layer")?,
        heads,
        kv_heads: heads,
        head_len,
        inner: members.size_or_none("n_inner")?.unwrap_or(hidden.saturating_mul(4)),
        context: members.size_or_none("n_positions")?.unwrap_or(1024),
        norm: NormKind::Layer,
        norm_epsilon: members.number("layer_norm_epsilon", 1e-5)?,
        head_norms: Presence::Absent,
        post_norms: Presence::Absent,
        qkv_biases: Presence::Present,
        biases: Presence::Present,
        activation: activation(members.text("activation_function"), Activation::GeluTanh)?,
        mlp: Mlp::Plain,
        positions: Positions::Learned,
        attention_scale: (head_len as f64).sqrt().recip(),
        attention_cap: None,
        logit_cap: None,
        windows: Windows::None,
        embedding_scale: 1.0,
    })
}
