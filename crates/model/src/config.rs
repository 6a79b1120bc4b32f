//! What a decoder looks like: sizes and variations, from `config.json` or GGUF metadata.
//!
//! Everything that distinguishes the architectures is a value here; the graph ([`crate::decoder`]) asks the
//! configuration and never the architecture's name.
//!
//! Sources: huggingface/transformers, `models/{llama,qwen2,qwen3,gemma2,gemma3,gpt2}/configuration_*.py`;
//! ggml-org/llama.cpp, `convert_hf_to_gguf.py` and `src/llama-model.cpp` for the metadata of GGUF files.

mod gguf;
mod hf;

use crate::Error;
use crate::kernel::Activation;

/// The families that the decoder graph covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM2, Mistral without a window.
    Llama,
    /// Qwen2, Qwen2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: norms on queries and keys.
    Qwen3,
    /// Gemma 2: capped scores and logits, norms after each part, a window in every other layer.
    Gemma2,
    /// Gemma 3: norms on queries and keys, a window in five layers of six, with a rotary base of its own.
    Gemma3,
    /// GPT-2: learned positions, LayerNorm with biases.
    Gpt2,
}

/// How vectors are normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormKind {
    /// By the root of the mean square; the weight is as stored.
    Rms,
    /// The same, the weight being one more than what is stored (Gemma in safetensors).
    RmsPlusOne,
    /// By mean and variance, with a bias.
    Layer,
}

/// Which elements of a head a rotation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Element `i` with `i + half` (safetensors, and most GGUF).
    Halves,
    /// Element `2i` with `2i + 1` (GGUF of the Llama family, whose rows were permuted for it).
    Neighbours,
}

/// How rotary frequencies were stretched for longer contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stretch {
    /// Not at all.
    None,
    /// All by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3's: only low frequencies, blended between two wavelengths.
    Llama3 {
        /// The factor of the low frequencies.
        factor: f64,
        /// Wavelengths above the original context divided by this are stretched whole.
        low: f64,
        /// Wavelengths below the original context divided by this are not stretched.
        high: f64,
        /// The context the model was first trained for.
        original: f64,
    },
}

/// A rotary encoding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// The base of the frequencies.
    pub base: f64,
    /// Their stretching.
    pub stretch: Stretch,
}

/// How a model knows where a token stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Positions {
    /// By a learned vector for each position, added to the embedding.
    Learned,
    /// By rotating queries and keys.
    Rotary {
        /// In layers that see everything.
        global: Rotary,
        /// In layers with a window.
        local: Rotary,
        /// Which elements are paired.
        pairing: Pairing,
    },
}

/// The parts of a multi-layer perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `down(activation(gate(x)) · up(x))`.
    Gated,
    /// `down(activation(up(x)))`.
    Plain,
}

/// Which layers look back no further than a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// None.
    None,
    /// All but each `period`-th layer (the last of each period sees everything).
    Periodic {
        /// How many positions a token sees, itself included.
        length: usize,
        /// The length of the pattern, at least 2.
        period: usize,
    },
}

/// Whether a part exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Present,
    /// It does not.
    Absent,
    /// It is used where the file has it.
    WhereStored,
}

/// A decoder's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The family.
    pub architecture: Architecture,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_len: usize,
    /// Inner width of the multi-layer perceptron.
    pub inner: usize,
    /// Most positions.
    pub context: usize,
    /// Kind of the norms.
    pub norm: NormKind,
    /// What is added to the variance before its root is taken.
    pub norm_epsilon: f64,
    /// Norms of queries and keys, over each head.
    pub head_norms: Presence,
    /// Norms of what attention and perceptron add to the residual stream.
    pub post_norms: Presence,
    /// Biases of queries, keys and values.
    pub qkv_biases: Presence,
    /// Biases of the other linear layers.
    pub biases: Presence,
    /// The activation.
    pub activation: Activation,
    /// The perceptron's parts.
    pub mlp: Mlp,
    /// How positions are known.
    pub positions: Positions,
    /// What scores are multiplied with before the softmax.
    pub attention_scale: f64,
    /// Scores are squeezed into `-cap..cap`.
    pub attention_cap: Option<f64>,
    /// Logits are squeezed into `-cap..cap`.
    pub logit_cap: Option<f64>,
    /// Which layers have a window.
    pub windows: Windows,
    /// What embeddings are multiplied with.
    pub embedding_scale: f64,
}

/// Largest sizes that are believed. No known model comes near them, and products of them do not overflow.
pub(crate) mod limits {
    pub(crate) const VOCABULARY: usize = 1 << 22;
    pub(crate) const WIDTH: usize = 1 << 18;
    pub(crate) const LAYERS: usize = 1 << 12;
    pub(crate) const HEADS: usize = 1 << 12;
    pub(crate) const CONTEXT: usize = 1 << 25;
}

impl Config {
    /// The window of a layer, if it has one.
    pub const fn window(&self, layer: usize) -> Option<usize> {
        match self.windows {
            Windows::Periodic { length, period } if !(layer + 1).is_multiple_of(period) => Some(length),
            _ => None,
        }
    }

    /// The rotary encoding of a layer, if it has one.
    pub const fn rotary(&self, layer: usize) -> Option<Rotary> {
        match self.positions {
            Positions::Learned => None,
            Positions::Rotary { global, local, .. } => {
                Some(if self.window(layer).is_some() { local } else { global })
            }
        }
    }

    /// Checks the sizes against each other and against what is believable.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let setting = |member: &str, expected| Err(Error::Setting { member: member.to_owned(), expected });
        let sizes = [
            ("vocab_size", self.vocabulary, limits::VOCABULARY),
            ("hidden_size", self.hidden, limits::WIDTH),
            ("num_hidden_layers", self.layers, limits::LAYERS),
            ("num_attention_heads", self.heads, limits::HEADS),
            ("num_key_value_heads", self.kv_heads, limits::HEADS),
            ("head_dim", self.head_len, limits::WIDTH),
            ("intermediate_size", self.inner, limits::WIDTH * 8),
            ("max_position_embeddings", self.context, limits::CONTEXT),
        ];
        for (member, size, limit) in sizes {
            if size == 0 || size > limit {
                return setting(member, "between 1 and what any known model has");
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return setting("num_key_value_heads", "a divisor of the number of heads");
        }
        if matches!(self.positions, Positions::Rotary { .. }) && !self.head_len.is_multiple_of(2) {
            return setting("head_dim", "even");
        }
        let rotary = match self.positions {
            Positions::Learned => true,
            Positions::Rotary { global, local, .. } => global.sound() && local.sound(),
        };
        if !rotary {
            return setting("rope_theta", "a positive number, with factors of at least one");
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return setting("rms_norm_eps", "between 0 and 1");
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.attention_scale) || !positive(self.embedding_scale) {
            return setting("query_pre_attn_scalar", "a positive number");
        }
        if ![self.attention_cap, self.logit_cap].into_iter().flatten().all(positive) {
            return setting("final_logit_softcapping", "a positive number");
        }
        if let Windows::Periodic { length, period } = self.windows
            && (length == 0 || period < 2)
        {
            return setting("sliding_window", "at least 1, in a pattern of at least two layers");
        }
        Ok(())
    }
}

impl Rotary {
    fn sound(&self) -> bool {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        positive(self.base)
            && match self.stretch {
                Stretch::None => true,
                Stretch::Linear { factor } => positive(factor) && factor >= 1.0,
                Stretch::Llama3 { factor, low, high, original } => {
                    factor >= 1.0 && [factor, low, high, original].into_iter().all(positive) && high > low
                }
            }
    }

    /// The angle by which each pair of a head is turned from one position to the next: `half` values, computed in
    /// double precision.
    pub(crate) fn frequencies(&self, head_len: usize) -> Vec<f64> {
        let half = head_len / 2;
        (0..half)
            .map(|pair| {
                #[allow(clippy::cast_precision_loss, reason = "widths of heads are small")]
                let exponent = 2.0 * pair as f64 / head_len as f64;
                let frequency = libm::pow(self.base, -exponent);
                match self.stretch {
                    Stretch::None => frequency,
                    Stretch::Linear { factor } => frequency / factor,
                    Stretch::Llama3 { factor, low, high, original } => {
                        let wavelength = 2.0 * std::f64::consts::PI / frequency;
                        let blend = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
                        frequency * (blend + (1.0 - blend) / factor)
                    }
                }
            })
            .collect()
    }
}
