//! The metadata of GGUF files.

use tensor::gguf::Gguf;

use super::{
    Activation, Architecture, Config, Mlp, NormKind, Pairing, Positions, Presence, Rotary, Stretch, Windows,
};
use crate::Error;
use crate::error::shown;

struct Settings<'a>(&'a Gguf<'a>);

impl Settings<'_> {
    fn refused(name: &str, expected: &'static str) -> Error {
        Error::Setting { member: name.to_owned(), expected }
    }

    fn size(&self, name: &str) -> Result<usize, Error> {
        self.size_or_none(name)?.ok_or_else(|| Self::refused(name, "a whole number"))
    }

    fn size_or_none(&self, name: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.0.setting(name) else { return Ok(None) };
        let size = value.as_unsigned().and_then(|value| usize::try_from(value).ok());
        size.map(Some).ok_or_else(|| Self::refused(name, "a whole number"))
    }

    fn number_or_none(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.0.setting(name) else { return Ok(None) };
        value.as_float().map(Some).ok_or_else(|| Self::refused(name, "a number"))
    }

    fn number(&self, name: &str, default: f64) -> Result<f64, Error> {
        Ok(self.number_or_none(name)?.unwrap_or(default))
    }
}

impl Architecture {
    const ALL: [Self; 6] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma2, Self::Gemma3, Self::Gpt2];

    /// What GGUF files call it.
    pub(crate) const fn gguf_name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Gpt2 => "gpt2",
        }
    }
}

impl Config {
    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`Error::Architecture`] and [`Error::Setting`].
    #[allow(clippy::cast_precision_loss, reason = "sizes are small")]
    pub fn from_gguf(file: &Gguf<'_>) -> Result<Self, Error> {
        let name = file.architecture().unwrap_or_default();
        let known = Architecture::ALL.into_iter().find(|architecture| architecture.gguf_name() == name);
        let architecture = known.ok_or_else(|| Error::Architecture { name: shown(name) })?;
        let gpt2 = architecture == Architecture::Gpt2;
        let gemma = matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3);
        let settings = Settings(file);
        let table = file.view("token_embd.weight");
        let vocabulary = table.and_then(|view| view.shape.first().copied());
        let hidden = settings.size("embedding_length")?;
        let layers = settings.size("block_count")?;
        let heads = settings.size("attention.head_count")?;
        let even = hidden.checked_div(heads).unwrap_or(0);
        let head_len = settings.size_or_none("attention.key_length")?.unwrap_or(even);
        if settings.size_or_none("attention.value_length")?.is_some_and(|length| length != head_len) {
            return Err(Settings::refused("attention.value_length", "the length of keys"));
        }
        if settings.size_or_none("rope.dimension_count")?.is_some_and(|count| count != head_len) && !gpt2 {
            return Err(Settings::refused("rope.dimension_count", "the length of a head"));
        }
        let stretch = match file.setting("rope.scaling.type").and_then(|value| value.as_text()) {
            None | Some("none") => Stretch::None,
            Some("linear") => Stretch::Linear { factor: settings.number("rope.scaling.factor", 1.0)? },
            Some(_) => return Err(Settings::refused("rope.scaling.type", "`none` or `linear`")),
        };
        if file.view("rope_freqs.weight").is_some() {
            return Err(Settings::refused("rope_freqs.weight", "absent (stretched frequencies in a tensor)"));
        }
        let gemma3 = architecture == Architecture::Gemma3;
        let base = settings.number("rope.freq_base", if gemma3 { 1e6 } else { 1e4 })?;
        let global = Rotary { base, stretch };
        let local = if gemma3 {
            Rotary { base: settings.number("rope.freq_base_swa", 1e4)?, stretch: Stretch::None }
        } else {
            global
        };
        let pairing = if architecture == Architecture::Llama { Pairing::Neighbours } else { Pairing::Halves };
        let windows = match architecture {
            Architecture::Gemma2 => {
                Windows::Periodic { length: settings.size("attention.sliding_window")?, period: 2 }
            }
            Architecture::Gemma3 => {
                Windows::Periodic { length: settings.size("attention.sliding_window")?, period: 6 }
            }
            _ => Windows::None,
        };
        // Gemma's larger models divide by the width per head instead (llama.cpp, `f_attention_scale`).
        let scale_of = match (architecture, layers) {
            (Architecture::Gemma2, 46) | (Architecture::Gemma3, 62) => even,
            _ => head_len,
        };
        let present = |present| if present { Presence::Present } else { Presence::Absent };
        let config = Self {
            architecture,
            vocabulary: vocabulary
                .ok_or_else(|| Error::TensorMissing { tensor: "token_embd.weight".into() })?,
            hidden,
            layers,
            heads,
            kv_heads: settings.size_or_none("attention.head_count_kv")?.unwrap_or(heads),
            head_len,
            inner: settings.size("feed_forward_length")?,
            context: settings.size("context_length")?,
            norm: if gpt2 { NormKind::Layer } else { NormKind::Rms },
            norm_epsilon: if gpt2 {
                settings.number("attention.layer_norm_epsilon", 1e-5)?
            } else {
                settings.number("attention.layer_norm_rms_epsilon", 1e-6)?
            },
            head_norms: present(matches!(architecture, Architecture::Qwen3 | Architecture::Gemma3)),
            post_norms: present(gemma),
            qkv_biases: match architecture {
                Architecture::Qwen2 | Architecture::Gpt2 => Presence::Present,
                _ => Presence::WhereStored,
            },
            biases: if gpt2 { Presence::Present } else { Presence::WhereStored },
            activation: if gpt2 || gemma { Activation::GeluTanh } else { Activation::Silu },
            mlp: if gpt2 { Mlp::Plain } else { Mlp::Gated },
            positions: if gpt2 { Positions::Learned } else { Positions::Rotary { global, local, pairing } },
            attention_scale: (scale_of as f64).sqrt().recip(),
            attention_cap: if architecture == Architecture::Gemma2 {
                Some(settings.number("attn_logit_softcapping", 50.0)?)
            } else {
                None
            },
            logit_cap: if architecture == Architecture::Gemma2 {
                Some(settings.number("final_logit_softcapping", 30.0)?)
            } else {
                None
            },
            windows,
            embedding_scale: if gemma { (hidden as f64).sqrt() } else { 1.0 },
        };
        config.check()?;
        Ok(config)
    }
}
