//! The encoder (BERT family): texts to vectors.
//!
//! Source: huggingface/transformers, `models/bert/modeling_bert.py`; pooling as in sentence-transformers. The graph
//! is written over the same operations as the decoder's, so it runs fast and differentiably too.
//!
//! What this module does not do: token types other than the first, cross-attention, or heads for other tasks.

use bytes::Bytes;
use serde_json::Value;

use crate::Error;
use crate::config::{Pairing, limits};
use crate::decoder::{Attention, Causal, Linear, Norm, NormCall, Ops};
use crate::error::shown;
use crate::fast::{Activations, Fast, Segment, Wanted};
use crate::kernel::{Activation, Kernels, Level};
use crate::matrix::Matrix;
use crate::pooling::{Length, Pooling};
use crate::source::Source;
use crate::tap::{NoTap, Site, Tap};

/// An encoder's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Inner width of the multi-layer perceptron.
    pub inner: usize,
    /// Most positions.
    pub context: usize,
    /// Types of tokens; only the first is used.
    pub types: usize,
    /// What is added to the variance before its root is taken.
    pub norm_epsilon: f64,
    /// The activation.
    pub activation: Activation,
}

impl EncoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`Error::Architecture`], [`Error::Setting`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let setting = |member: &str, expected| Error::Setting { member: member.to_owned(), expected };
        let value: Value =
            serde_json::from_slice(json).map_err(|_| setting("config.json", "a JSON object"))?;
        let name = value.get("model_type").and_then(Value::as_str).unwrap_or_default();
        if name != "bert" {
            return Err(Error::Architecture { name: shown(name) });
        }
        let size = |member: &str, limit: usize| {
            let size = value.get(member).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
            size.filter(|size| (1..=limit).contains(size))
                .ok_or_else(|| setting(member, "between 1 and what any known model has"))
        };
        let activation = match value.get("hidden_act").and_then(Value::as_str) {
            None | Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
            Some(_) => return Err(setting("hidden_act", "`gelu` or `gelu_new`")),
        };
        if value.get("position_embedding_type").and_then(Value::as_str).is_some_and(|kind| kind != "absolute")
        {
            return Err(setting("position_embedding_type", "`absolute`"));
        }
        let config = Self {
            vocabulary: size("vocab_size", limits::VOCABULARY)?,
            hidden: size("hidden_size", limits::WIDTH)?,
            layers: size("num_hidden_layers", limits::LAYERS)?,
            heads: size("num_attention_heads", limits::HEADS)?,
            inner: size("intermediate_size", limits::WIDTH * 8)?,
            context: size("max_position_embeddings", limits::CONTEXT)?,
            types: size("type_vocab_size", 1024)?,
            norm_epsilon: value.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12),
            activation,
        };
        if !config.hidden.is_multiple_of(config.heads) {
            return Err(setting("num_attention_heads", "a divisor of the width"));
        }
        if !(config.norm_epsilon > 0.0 && config.norm_epsilon < 1.0) {
            return Err(setting("layer_norm_eps", "between 0 and 1"));
        }
        Ok(config)
    }

    const fn norm_call(&self) -> NormCall {
        NormCall { centred: true, plus_one: false, epsilon: self.norm_epsilon }
    }
}

/// A layer's parameters.
#[derive(Debug, Clone)]
pub(crate) struct EncoderLayer<M, V> {
    pub(crate) queries: Linear<M, V>,
    pub(crate) keys: Linear<M, V>,
    pub(crate) values: Linear<M, V>,
    pub(crate) output: Linear<M, V>,
    pub(crate) attention_norm: Norm<V>,
    pub(crate) up: Linear<M, V>,
    pub(crate) down: Linear<M, V>,
    pub(crate) mlp_norm: Norm<V>,
}

/// An encoder's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Parameters<M, V> {
    pub(crate) words: M,
    /// Positions, with the vector of the first token type added to each.
    pub(crate) positions: M,
    pub(crate) norm: Norm<V>,
    pub(crate) layers: Vec<EncoderLayer<M, V>>,
}

/// Runs the layers: the residual stream after the last.
pub(crate) fn encode<O: Ops>(
    ops: &mut O,
    config: &EncoderConfig,
    parameters: &Parameters<O::Matrix, O::Vector>,
    tap: &mut dyn Tap<O::Tensor>,
) -> Result<O::Tensor, Error> {
    let call = config.norm_call();
    let head_len = config.hidden / config.heads;
    let words = ops.embed(&parameters.words)?;
    let positions = ops.embed_positions(&parameters.positions)?;
    let summed = ops.add(words, &positions)?;
    let mut x = ops.norm(&summed, &parameters.norm, call)?;
    if tap.wants(Site::Embedding) {
        tap.take(Site::Embedding, &x);
    }
    for (index, layer) in parameters.layers.iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "widths of heads are small")]
        let scale = (head_len as f64).sqrt().recip();
        let attention = Attention {
            layer: index,
            heads: config.heads,
            kv_heads: config.heads,
            head_len,
            scale,
            cap: None,
            window: None,
            causal: Causal::All,
            rotary: None,
        };
        let [queries, keys, values] = ops.linears(&x, [&layer.queries, &layer.keys, &layer.values])?;
        let attended = ops.attend(queries, keys, values, &attention, tap)?;
        let out = ops.linear(&attended, &layer.output)?;
        let summed = ops.add(out, &x)?;
        x = ops.norm(&summed, &layer.attention_norm, call)?;
        let inner = ops.linear(&x, &layer.up)?;
        let inner = ops.activate(inner, config.activation)?;
        let out = ops.linear(&inner, &layer.down)?;
        if tap.wants(Site::Mlp { layer: index }) {
            tap.take(Site::Mlp { layer: index }, &out);
        }
        let summed = ops.add(out, &x)?;
        x = ops.norm(&summed, &layer.mlp_norm, call)?;
        if tap.wants(Site::Residual { layer: index }) {
            tap.take(Site::Residual { layer: index }, &x);
        }
    }
    Ok(x)
}

/// An encoder that can be run.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: EncoderConfig,
    parameters: Parameters<Matrix, Vec<f32>>,
    kernels: Kernels,
}

/// Rows of one pass.
const ROWS_MAX: usize = 1024;

impl Encoder {
    /// Whether a `config.json` is an encoder's.
    pub fn is_one(config: &[u8]) -> bool {
        let value = serde_json::from_slice::<Value>(config).unwrap_or_default();
        value.get("model_type").and_then(Value::as_str) == Some("bert")
    }

    /// An encoder from a `config.json` and its safetensors files' bytes.
    ///
    /// # Errors
    /// [`Error::Container`], [`Error::Architecture`], [`Error::Setting`], [`Error::TensorMissing`],
    /// [`Error::TensorShape`], [`Error::TensorKind`].
    pub fn from_safetensors(config: &[u8], files: &[Bytes]) -> Result<Self, Error> {
        let source = Source::from_folder(config, files)?;
        let config = EncoderConfig::from_json(config)?;
        let parameters = load(&config, &source)?;
        Ok(Self { config, parameters, kernels: Kernels::at(Level::detect()) })
    }

    /// The encoder's shape.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The vectors of all tokens of the sequences, `rows × hidden`, one sequence after the other. What a tap is
    /// shown covers as many sequences at once as fit into a pass.
    ///
    /// # Errors
    /// [`Error::Context`], [`Error::Token`], [`Error::Request`], [`Error::NotFinite`].
    pub fn vectors(
        &self,
        sequences: &[&[u32]],
        tap: &mut dyn Tap<Activations>,
    ) -> Result<Activations, Error> {
        let mut all = Activations { shape: vec![0, self.config.hidden], values: Vec::new() };
        let mut segments: Vec<Segment<'_>> = Vec::new();
        let mut rows = 0;
        for &tokens in sequences {
            if tokens.is_empty() {
                return Err(Error::Request { member: "tokens", expected: "at least one token" });
            }
            if tokens.len() > self.config.context {
                return Err(Error::Context { tokens: tokens.len(), limit: self.config.context });
            }
            if rows + tokens.len() > ROWS_MAX {
                self.pass(&mut std::mem::take(&mut segments), tap, &mut all)?;
                rows = 0;
            }
            rows += tokens.len();
            segments.push(Segment { tokens, cache: None, adapter: None, wanted: Wanted::From(0) });
        }
        self.pass(&mut segments, tap, &mut all)?;
        if let (Some(rows), len) = (all.shape.first_mut(), all.values.len()) {
            *rows = len / self.config.hidden;
        }
        Ok(all)
    }

    fn pass(
        &self,
        segments: &mut [Segment<'_>],
        tap: &mut dyn Tap<Activations>,
        all: &mut Activations,
    ) -> Result<(), Error> {
        if segments.is_empty() {
            return Ok(());
        }
        let mut ops = Fast::new(self.kernels, segments);
        let out = encode(&mut ops, &self.config, &self.parameters, tap)?;
        if !out.values.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite { place: "vectors" });
        }
        all.values.extend(out.values);
        Ok(())
    }

    /// A vector for each sequence, made of its tokens' vectors as `pooling` says.
    ///
    /// # Errors
    /// As [`Encoder::vectors`].
    pub fn embed(&self, sequences: &[&[u32]], pooling: &Pooling) -> Result<Vec<Vec<f32>>, Error> {
        let vectors = self.vectors(sequences, &mut NoTap)?;
        let mut rows = vectors.rows();
        let mut all = Vec::with_capacity(sequences.len());
        for tokens in sequences {
            let mut vector = pooling.apply(rows.by_ref().take(tokens.len()), self.config.hidden);
            if pooling.length == Length::One {
                let norm = self.kernels.squares(&vector, 0.0).sqrt().max(f32::MIN_POSITIVE);
                for x in &mut vector {
                    *x /= norm;
                }
            }
            if !vector.iter().all(|x| x.is_finite()) {
                return Err(Error::NotFinite { place: "vectors" });
            }
            all.push(vector);
        }
        Ok(all)
    }
}

fn load(config: &EncoderConfig, source: &Source) -> Result<Parameters<Matrix, Vec<f32>>, Error> {
    let prefix = if source.has("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
    let table = |name: &str, rows| {
        source.matrix(&format!("{prefix}embeddings.{name}_embeddings.weight"), rows, config.hidden)
    };
    let norm = |path: String| -> Result<Norm<Vec<f32>>, Error> {
        let weight = source.vector(&format!("{path}.weight"), config.hidden)?;
        let bias = Some(source.vector(&format!("{path}.bias"), config.hidden)?);
        Ok(Norm { path, weight, bias })
    };
    let linear = |path: String, rows, columns| -> Result<Linear<Matrix, Vec<f32>>, Error> {
        let weight = source.matrix(&format!("{path}.weight"), rows, columns)?;
        let bias = Some(source.vector(&format!("{path}.bias"), rows)?);
        Ok(Linear { path, first_row: 0, pairing: Pairing::Halves, head_len: None, weight, bias })
    };
    let (hidden, inner) = (config.hidden, config.inner);
    let layers = (0..config.layers).map(|layer| {
        let path = |name: &str| format!("{prefix}encoder.layer.{layer}.{name}");
        Ok(EncoderLayer {
            queries: linear(path("attention.self.query"), hidden, hidden)?,
            keys: linear(path("attention.self.key"), hidden, hidden)?,
            values: linear(path("attention.self.value"), hidden, hidden)?,
            output: linear(path("attention.output.dense"), hidden, hidden)?,
            attention_norm: norm(path("attention.output.LayerNorm"))?,
            up: linear(path("intermediate.dense"), inner, hidden)?,
            down: linear(path("output.dense"), hidden, inner)?,
            mlp_norm: norm(path("output.LayerNorm"))?,
        })
    });
    let layers = layers.collect::<Result<_, Error>>()?;
    let types = table("token_type", config.types)?;
    let mut first = vec![0.0; hidden];
    let mut positions = table("position", config.context)?.dense();
    if types.row(0, &mut first).is_some() {
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&first).for_each(|(x, first)| *x += first);
        }
    }
    Ok(Parameters {
        words: table("word", config.vocabulary)?,
        positions: Matrix::from_values("positions", config.context, hidden, &positions)?,
        norm: norm(format!("{prefix}embeddings.LayerNorm"))?,
        layers,
    })
}
