//! The decoder: its weights, and the one graph that every way of running it follows.
//!
//! The graph is written once over [`Ops`]. The fast implementation ([`crate::fast`]) runs quantised weights with
//! caches; the differentiable one ([`crate::graph`]) builds the same computation from operations with gradients.
//! A test compares the two for every architecture.

use crate::Error;
use crate::config::{Config, Mlp, Pairing, Positions, Presence, Rotary};
use crate::kernel::Activation;
use crate::matrix::Matrix;
use crate::names::{Part, linear_shape, path, stored};
use crate::source::{Origin, Source};
use crate::tap::{Site, Tap};

/// A linear layer.
#[derive(Debug, Clone)]
pub(crate) struct Linear<M, V> {
    /// Path of the module in a transformers model.
    pub(crate) path: String,
    /// Which rows of that module these are, where it is one of several fused ones.
    pub(crate) first_row: usize,
    /// Whether the rows of each head were reordered from the transformers library's order.
    pub(crate) pairing: Pairing,
    /// The length of a head, where the rows are those of heads.
    pub(crate) head_len: Option<usize>,
    pub(crate) weight: M,
    pub(crate) bias: Option<V>,
}

/// A norm's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Norm<V> {
    pub(crate) path: String,
    pub(crate) weight: V,
    pub(crate) bias: Option<V>,
}

/// A layer's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Layer<M, V> {
    pub(crate) attention_norm: Norm<V>,
    pub(crate) queries: Linear<M, V>,
    pub(crate) keys: Linear<M, V>,
    pub(crate) values: Linear<M, V>,
    pub(crate) head_norms: Option<(Norm<V>, Norm<V>)>,
    pub(crate) output: Linear<M, V>,
    pub(crate) post_attention_norm: Option<Norm<V>>,
    pub(crate) mlp_norm: Norm<V>,
    pub(crate) gate: Option<Linear<M, V>>,
    pub(crate) up: Linear<M, V>,
    pub(crate) down: Linear<M, V>,
    pub(crate) post_mlp_norm: Option<Norm<V>>,
}

/// A decoder's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Decoder<M, V> {
    pub(crate) embedding: M,
    pub(crate) positions: Option<M>,
    pub(crate) layers: Vec<Layer<M, V>>,
    pub(crate) final_norm: Norm<V>,
    /// Absent where it is the embedding.
    pub(crate) output: Option<Linear<M, V>>,
}

/// What attention needs to know beside its inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention {
    pub(crate) layer: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_len: usize,
    pub(crate) scale: f64,
    pub(crate) cap: Option<f64>,
    pub(crate) window: Option<usize>,
    pub(crate) causal: Causal,
    pub(crate) rotary: Option<(Rotary, Pairing)>,
}

/// What a token may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Causal {
    /// Itself and what came before.
    Past,
    /// Its whole sequence.
    All,
}

/// Kind and parameters of a norm, as the graph asks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NormCall {
    pub(crate) centred: bool,
    pub(crate) plus_one: bool,
    pub(crate) epsilon: f64,
}

/// The operations of the graph over a batch that the implementor holds.
pub(crate) trait Ops {
    /// Activations: `rows × width`, in whatever form.
    type Tensor: Clone;
    type Matrix;
    type Vector;

    fn embed(&mut self, table: &Self::Matrix) -> Result<Self::Tensor, Error>;
    fn embed_positions(&mut self, table: &Self::Matrix) -> Result<Self::Tensor, Error>;
    fn scale(&mut self, x: Self::Tensor, factor: f64) -> Result<Self::Tensor, Error>;
    fn add(&mut self, x: Self::Tensor, y: &Self::Tensor) -> Result<Self::Tensor, Error>;
    fn multiply(&mut self, x: Self::Tensor, y: &Self::Tensor) -> Result<Self::Tensor, Error>;
    fn activate(&mut self, x: Self::Tensor, activation: Activation) -> Result<Self::Tensor, Error>;
    fn cap(&mut self, x: Self::Tensor, cap: f64) -> Result<Self::Tensor, Error>;
    fn norm(
        &mut self,
        x: &Self::Tensor,
        norm: &Norm<Self::Vector>,
        call: NormCall,
    ) -> Result<Self::Tensor, Error>;
    /// The norm over each run of `head_len` elements.
    fn head_norm(
        &mut self,
        x: Self::Tensor,
        norm: &Norm<Self::Vector>,
        call: NormCall,
        head_len: usize,
    ) -> Result<Self::Tensor, Error>;
    /// Several linear layers of the same input.
    fn linears<const N: usize>(
        &mut self,
        x: &Self::Tensor,
        linears: [&Linear<Self::Matrix, Self::Vector>; N],
    ) -> Result<[Self::Tensor; N], Error>;
    fn linear(
        &mut self,
        x: &Self::Tensor,
        linear: &Linear<Self::Matrix, Self::Vector>,
    ) -> Result<Self::Tensor, Error> {
        let [out] = self.linears(x, [linear])?;
        Ok(out)
    }
    /// The product with the embedding table itself.
    fn tied(&mut self, x: &Self::Tensor, table: &Self::Matrix) -> Result<Self::Tensor, Error>;
    fn attend(
        &mut self,
        queries: Self::Tensor,
        keys: Self::Tensor,
        values: Self::Tensor,
        attention: &Attention,
        tap: &mut dyn Tap<Self::Tensor>,
    ) -> Result<Self::Tensor, Error>;
    /// The rows whose logits are wanted.
    fn pick(&mut self, x: Self::Tensor) -> Result<Self::Tensor, Error>;
}

/// Runs the layers: the residual stream after the last norm, of the rows that are wanted.
pub(crate) fn hidden<O: Ops>(
    ops: &mut O,
    config: &Config,
    decoder: &Decoder<O::Matrix, O::Vector>,
    tap: &mut dyn Tap<O::Tensor>,
) -> Result<O::Tensor, Error> {
    let call = config.norm_call();
    let mut x = ops.embed(&decoder.embedding)?;
    if (config.embedding_scale - 1.0).abs() > f64::EPSILON {
        x = ops.scale(x, config.embedding_scale)?;
    }
    if let Some(table) = &decoder.positions {
        let positions = ops.embed_positions(table)?;
        x = ops.add(x, &positions)?;
    }
    observe(tap, Site::Embedding, &x);
    for (index, layer) in decoder.layers.iter().enumerate() {
        let normed = ops.norm(&x, &layer.attention_norm, call)?;
        let [mut queries, mut keys, values] =
            ops.linears(&normed, [&layer.queries, &layer.keys, &layer.values])?;
        if let Some((query_norm, key_norm)) = &layer.head_norms {
            queries = ops.head_norm(queries, query_norm, call, config.head_len)?;
            keys = ops.head_norm(keys, key_norm, call, config.head_len)?;
        }
        let attended = ops.attend(queries, keys, values, &config.attention(index), tap)?;
        let mut out = ops.linear(&attended, &layer.output)?;
        if let Some(norm) = &layer.post_attention_norm {
            out = ops.norm(&out, norm, call)?;
        }
        observe(tap, Site::AttentionOut { layer: index }, &out);
        x = ops.add(x, &out)?;

        let normed = ops.norm(&x, &layer.mlp_norm, call)?;
        let inner = if let Some(gate) = &layer.gate {
            let [gate, up] = ops.linears(&normed, [gate, &layer.up])?;
            let gate = ops.activate(gate, config.activation)?;
            ops.multiply(gate, &up)?
        } else {
            let up = ops.linear(&normed, &layer.up)?;
            ops.activate(up, config.activation)?
        };
        let mut out = ops.linear(&inner, &layer.down)?;
        if let Some(norm) = &layer.post_mlp_norm {
            out = ops.norm(&out, norm, call)?;
        }
        observe(tap, Site::Mlp { layer: index }, &out);
        x = ops.add(x, &out)?;
        observe(tap, Site::Residual { layer: index }, &x);
    }
    let x = ops.pick(x)?;
    let x = ops.norm(&x, &decoder.final_norm, call)?;
    observe(tap, Site::Final, &x);
    Ok(x)
}

/// The logits of what [`hidden`] answered.
pub(crate) fn logits<O: Ops>(
    ops: &mut O,
    config: &Config,
    decoder: &Decoder<O::Matrix, O::Vector>,
    hidden: &O::Tensor,
    tap: &mut dyn Tap<O::Tensor>,
) -> Result<O::Tensor, Error> {
    let mut logits = match &decoder.output {
        Some(output) => ops.linear(hidden, output)?,
        None => ops.tied(hidden, &decoder.embedding)?,
    };
    if let Some(cap) = config.logit_cap {
        logits = ops.cap(logits, cap)?;
    }
    observe(tap, Site::Logits, &logits);
    Ok(logits)
}

fn observe<T>(tap: &mut dyn Tap<T>, site: Site, values: &T) {
    if tap.wants(site) {
        tap.take(site, values);
    }
}

impl Config {
    pub(crate) fn norm_call(&self) -> NormCall {
        use crate::config::NormKind;
        NormCall {
            centred: self.norm == NormKind::Layer,
            plus_one: self.norm == NormKind::RmsPlusOne,
            epsilon: self.norm_epsilon,
        }
    }

    pub(crate) const fn attention(&self, layer: usize) -> Attention {
        let rotary = match (self.rotary(layer), self.positions) {
            (Some(rotary), Positions::Rotary { pairing, .. }) => Some((rotary, pairing)),
            _ => None,
        };
        Attention {
            layer,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_len: self.head_len,
            scale: self.attention_scale,
            cap: self.attention_cap,
            window: self.window(layer),
            causal: Causal::Past,
            rotary,
        }
    }
}

/// A decoder as its file has it.
pub(crate) type Stored = Decoder<Matrix, Vec<f32>>;

impl Stored {
    /// Finds every tensor and checks its shape.
    pub(crate) fn load(config: &Config, source: &Source) -> Result<Self, Error> {
        config.check()?;
        let loader = Loader { config, source };
        let table = |part, rows| {
            let name = format!("{}.weight", stored(source, config, part, 0));
            source.matrix(&name, rows, config.hidden)
        };
        let embedding = table(Part::Embedding, config.vocabulary)?;
        let positions = match config.positions {
            Positions::Learned => Some(table(Part::Positions, config.context)?),
            Positions::Rotary { .. } => None,
        };
        // The number of layers was checked to be believable; each must be there before the next is asked for.
        let layers = (0..config.layers).map(|layer| loader.layer(layer)).collect::<Result<_, _>>()?;
        let final_norm = loader.norm(Part::FinalNorm, 0, config.hidden)?;
        let own_output = source.has(&format!("{}.weight", stored(source, config, Part::Output, 0)));
        let output =
            if own_output { Some(loader.linear(Part::Output, 0, Presence::WhereStored)?) } else { None };
        Ok(Self { embedding, positions, layers, final_norm, output })
    }
}

struct Loader<'a> {
    config: &'a Config,
    source: &'a Source,
}

impl Loader<'_> {
    fn layer(&self, layer: usize) -> Result<Layer<Matrix, Vec<f32>>, Error> {
        let config = self.config;
        let [queries, keys, values] = self.queries_keys_values(layer)?;
        let norm = |part| self.norm(part, layer, config.hidden);
        let head_norms = match config.head_norms {
            Presence::Present => Some((
                self.norm(Part::QueryNorm, layer, config.head_len)?,
                self.norm(Part::KeyNorm, layer, config.head_len)?,
            )),
            Presence::Absent | Presence::WhereStored => None,
        };
        let post = config.post_norms == Presence::Present;
        Ok(Layer {
            attention_norm: norm(Part::AttentionNorm)?,
            queries,
            keys,
            values,
            head_norms,
            output: self.linear(Part::AttentionOutput, layer, config.biases)?,
            post_attention_norm: if post { Some(norm(Part::PostAttentionNorm)?) } else { None },
            mlp_norm: norm(Part::MlpNorm)?,
            gate: match config.mlp {
                Mlp::Gated => Some(self.linear(Part::Gate, layer, config.biases)?),
                Mlp::Plain => None,
            },
            up: self.linear(Part::Up, layer, config.biases)?,
            down: self.linear(Part::Down, layer, config.biases)?,
            post_mlp_norm: if post { Some(norm(Part::PostMlpNorm)?) } else { None },
        })
    }

    fn queries_keys_values(&self, layer: usize) -> Result<[Linear<Matrix, Vec<f32>>; 3], Error> {
        let parts = [Part::Queries, Part::Keys, Part::Values];
        let separate = stored(self.source, self.config, Part::Queries, layer);
        let fused = stored(self.source, self.config, Part::Fused, layer);
        if separate != fused && self.source.has(&format!("{separate}.weight")) {
            let [q, k, v] = parts.map(|part| self.linear(part, layer, self.config.qkv_biases));
            return Ok([q?, k?, v?]);
        }
        let whole = self.linear(Part::Fused, layer, self.config.qkv_biases)?;
        let mut first_row = 0;
        let parts = parts.map(|part| {
            let (rows, _) = linear_shape(self.config, part);
            let weight = whole.weight.part(first_row, rows);
            let bias = whole.bias.as_ref().map(|bias| bias.get(first_row..first_row + rows));
            let part = weight.map(|weight| Linear {
                path: whole.path.clone(),
                first_row,
                pairing: Pairing::Halves,
                head_len: Some(self.config.head_len),
                weight,
                bias: bias.flatten().map(<[f32]>::to_vec),
            });
            first_row += rows;
            part.ok_or_else(|| Error::TensorMissing { tensor: whole.path.clone() })
        });
        let [q, k, v] = parts;
        Ok([q?, k?, v?])
    }

    fn linear(&self, part: Part, layer: usize, biases: Presence) -> Result<Linear<Matrix, Vec<f32>>, Error> {
        let (rows, columns) = linear_shape(self.config, part);
        let name = stored(self.source, self.config, part, layer);
        let turned = self.config.architecture == crate::config::Architecture::Gpt2
            && self.source.origin() == Origin::Safetensors
            && part != Part::Output;
        let weight = format!("{name}.weight");
        let weight = if turned {
            self.source.turned(&weight, rows, columns)?
        } else {
            self.source.matrix(&weight, rows, columns)?
        };
        let bias = format!("{name}.bias");
        let bias = match biases {
            Presence::Absent => None,
            Presence::WhereStored if !self.source.has(&bias) => None,
            Presence::Present | Presence::WhereStored => Some(self.source.vector(&bias, rows)?),
        };
        let pairing = match (part, self.config.positions) {
            (Part::Queries | Part::Keys, Positions::Rotary { pairing, .. }) => pairing,
            _ => Pairing::Halves,
        };
        let head_len = Some(self.config.head_len);
        Ok(Linear { path: path(self.config, part, layer), first_row: 0, pairing, head_len, weight, bias })
    }

    fn norm(&self, part: Part, layer: usize, len: usize) -> Result<Norm<Vec<f32>>, Error> {
        let name = stored(self.source, self.config, part, layer);
        let centred = self.config.norm_call().centred;
        let bias = if centred { Some(self.source.vector(&format!("{name}.bias"), len)?) } else { None };
        let weight = self.source.vector(&format!("{name}.weight"), len)?;
        Ok(Norm { path: path(self.config, part, layer), weight, bias })
    }
}
