//! The same graph from differentiable operations, for training and for gradients with respect to anything.
//!
//! Softmax, norms and rotations are written from primitives: the fused ones of the candle library stop gradients
//! without saying so. Weights are single precision; sequences of a batch are padded to one length at their ends.
//!
//! What this module does not do: run fast, or remember keys and values. See [`crate::fast`].

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor, Var};

use crate::Error;
use crate::adapter::{hf_row, linears};
use crate::config::{Config, Pairing, Rotary};
use crate::decoder::{self, Attention, Causal, Decoder, Layer, Linear, Norm, NormCall, Ops, Stored};
use crate::kernel::Activation;
use crate::matrix::Matrix;
use crate::model::Model;
use crate::random::{Normals, random};
use crate::tap::{Site, Tap};

/// A tensor's name, shape and row-major values.
pub type NamedValues = (String, Vec<usize>, Vec<f32>);

/// What of a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub enum Trained {
    /// Nothing: for gradients with respect to inputs and activations.
    Nothing,
    /// Every weight.
    All,
    /// Low-rank factors beside the linear layers whose paths end in one of the targets.
    LowRank {
        /// The rank, at least 1.
        rank: usize,
        /// The scaling is `alpha / rank`.
        alpha: f64,
        /// Last segments of paths, `q_proj` for one.
        targets: Vec<String>,
        /// Seed of the first factor; the second begins at zero.
        seed: u64,
    },
}

#[derive(Debug, Clone)]
struct Factors {
    path: String,
    a: Var,
    b: Var,
    scaling: f64,
}

/// A decoder of differentiable operations.
#[derive(Debug)]
pub struct Graph {
    config: Config,
    decoder: Decoder<Tensor, Tensor>,
    variables: Vec<Var>,
    factors: BTreeMap<String, Factors>,
}

impl Graph {
    /// A model's graph: its weights expanded to single precision.
    ///
    /// # Errors
    /// [`Error::Request`] for a rank of 0 or targets that name nothing.
    pub fn of(model: &Model, trained: &Trained) -> Result<Self, Error> {
        Self::build(model.config.clone(), &model.decoder, trained)
    }

    /// An untrained model, its embedding serving as output too.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn untrained(config: Config, seed: u64, trained: &Trained) -> Result<Self, Error> {
        let stored = random(&config, seed)?;
        Self::build(config, &stored, trained)
    }

    fn build(config: Config, stored: &Stored, trained: &Trained) -> Result<Self, Error> {
        let mut place = Place { trained: *trained == Trained::All, variables: Vec::new() };
        let decoder = place.decoder(stored)?;
        let mut graph = Self { config, decoder, variables: place.variables, factors: BTreeMap::new() };
        if let Trained::LowRank { rank, alpha, targets, seed } = trained {
            graph.add_factors(stored, *rank, *alpha, targets, *seed)?;
        }
        Ok(graph)
    }

    fn add_factors(
        &mut self,
        stored: &Stored,
        rank: usize,
        alpha: f64,
        targets: &[String],
        seed: u64,
    ) -> Result<(), Error> {
        if rank == 0 || rank > self.config.hidden {
            return Err(Error::Request { member: "rank", expected: "between 1 and the model's width" });
        }
        let mut normals = Normals::new(seed);
        for linear in linears(stored) {
            let targeted = targets.iter().any(|target| linear.path.rsplit('.').next() == Some(target));
            if !targeted || self.factors.contains_key(&linear.path) {
                continue;
            }
            let columns = linear.weight.columns();
            let same = linears(stored).into_iter().filter(|other| other.path == linear.path);
            let rows: usize = same.map(|linear| linear.weight.rows()).sum();
            #[allow(clippy::cast_precision_loss, reason = "widths are small")]
            let deviation = 1.0 / (columns as f64).sqrt();
            let values: Vec<f32> = (0..rank * columns).map(|_| normals.normal(deviation)).collect();
            let a = Var::from_vec(values, (rank, columns), &Device::Cpu)?;
            let b = Var::zeros((rows, rank), DType::F32, &Device::Cpu)?;
            self.variables.extend([a.clone(), b.clone()]);
            #[allow(clippy::cast_precision_loss, reason = "ranks are small")]
            let scaling = alpha / rank as f64;
            let factors = Factors { path: linear.path.clone(), a, b, scaling };
            self.factors.insert(linear.path.clone(), factors);
        }
        if self.factors.is_empty() {
            return Err(Error::Request {
                member: "targets",
                expected: "names of linear layers of the model",
            });
        }
        Ok(())
    }

    /// The model's shape.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What is trained, in a fixed order.
    pub fn variables(&self) -> &[Var] {
        &self.variables
    }

    /// The logits after every token, `batch × length × vocabulary`; sequences shorter than the longest are padded at
    /// their ends, where logits mean nothing.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Context`], [`Error::Token`], [`Error::Graph`].
    pub fn logits(&self, sequences: &[&[u32]], tap: &mut dyn Tap<Tensor>) -> Result<Tensor, Error> {
        let (batch, length) = (sequences.len(), sequences.iter().map(|s| s.len()).max().unwrap_or(0));
        if batch == 0 || sequences.iter().any(|sequence| sequence.is_empty()) {
            return Err(Error::Request { member: "tokens", expected: "at least one token in each sequence" });
        }
        if length > self.config.context {
            return Err(Error::Context { tokens: length, limit: self.config.context });
        }
        let vocabulary = self.config.vocabulary;
        let known = |token: &&u32| **token as usize >= vocabulary;
        if let Some(&token) = sequences.iter().copied().flatten().find(known) {
            return Err(Error::Token { token, vocabulary });
        }
        let mut tokens = Vec::with_capacity(batch * length);
        for sequence in sequences {
            tokens.extend_from_slice(sequence);
            tokens.resize(tokens.len().next_multiple_of(length), 0);
        }
        let lengths = sequences.iter().map(|sequence| sequence.len()).collect();
        let tokens = Tensor::from_vec(tokens, batch * length, &Device::Cpu)?;
        let mut ops = Differentiable { tokens, batch, length, lengths, factors: &self.factors };
        let hidden = decoder::hidden(&mut ops, &self.config, &self.decoder, tap)?;
        decoder::logits(&mut ops, &self.config, &self.decoder, &hidden, tap)
    }

    /// The factors that are trained, for [`Model::load_factors`] and for writing an adapter: path, `A`, `B` and the
    /// scaling.
    ///
    /// # Errors
    /// [`Error::Graph`].
    pub fn factors(&self) -> Result<Vec<(String, Matrix, Matrix, f64)>, Error> {
        self.factors
            .values()
            .map(|factors| {
                let (a, b) = (matrix(factors.a.as_tensor())?, matrix(factors.b.as_tensor())?);
                Ok((factors.path.clone(), a, b, factors.scaling))
            })
            .collect()
    }

    /// The model as it stands, without the factors of [`Trained::LowRank`], to be run fast.
    ///
    /// # Errors
    /// [`Error::Graph`].
    pub fn model(&self) -> Result<Model, Error> {
        let decoder = self.decoder.try_map(&matrix, &|tensor| Ok(tensor.to_vec1::<f32>()?))?;
        Ok(Model::of(self.config.clone(), decoder))
    }

    /// The weights under the names and in the order of the transformers library: name, shape, row-major values.
    ///
    /// # Errors
    /// [`Error::Capability`] for GPT-2, whose fused and turned layout is not written; [`Error::Graph`].
    pub fn tensors(&self) -> Result<Vec<NamedValues>, Error> {
        if self.config.architecture == crate::config::Architecture::Gpt2 {
            return Err(Error::Capability { asked: "the fused layout of GPT-2 files" });
        }
        let stored = self.decoder.try_map(&matrix, &|tensor| Ok(tensor.to_vec1::<f32>()?))?;
        let mut out = Vec::new();
        let embedding = &stored.embedding;
        let name = "model.embed_tokens.weight".to_owned();
        out.push((name, vec![embedding.rows(), embedding.columns()], embedding.dense()));
        for linear in linears(&stored) {
            let (rows, columns) = (linear.weight.rows(), linear.weight.columns());
            let values = linear.weight.dense();
            let mut ordered = vec![0.0_f32; values.len()];
            let mut bias = linear.bias.clone();
            for (row, values) in values.chunks_exact(columns).enumerate() {
                let place = hf_row(&self.config, linear, row);
                if let Some(to) = ordered.get_mut(place * columns..(place + 1) * columns) {
                    to.copy_from_slice(values);
                }
                if let (Some(to), Some(from)) = (&mut bias, &linear.bias)
                    && let (Some(to), Some(from)) = (to.get_mut(place), from.get(row))
                {
                    *to = *from;
                }
            }
            out.push((format!("{}.weight", linear.path), vec![rows, columns], ordered));
            if let Some(bias) = bias {
                out.push((format!("{}.bias", linear.path), vec![rows], bias));
            }
        }
        for norm in norms(&stored) {
            out.push((format!("{}.weight", norm.path), vec![norm.weight.len()], norm.weight.clone()));
            if let Some(bias) = &norm.bias {
                out.push((format!("{}.bias", norm.path), vec![bias.len()], bias.clone()));
            }
        }
        Ok(out)
    }
}

fn norms<M, V>(decoder: &Decoder<M, V>) -> impl Iterator<Item = &Norm<V>> {
    let layers = decoder.layers.iter().flat_map(|layer| {
        let heads = layer.head_norms.iter().flat_map(|(query, key)| [query, key]);
        let post = layer.post_attention_norm.iter().chain(&layer.post_mlp_norm);
        [&layer.attention_norm, &layer.mlp_norm].into_iter().chain(heads).chain(post)
    });
    layers.chain([&decoder.final_norm])
}

fn matrix(tensor: &Tensor) -> Result<Matrix, Error> {
    let (rows, columns) = tensor.dims2()?;
    Matrix::from_values("trained", rows, columns, &tensor.flatten_all()?.to_vec1::<f32>()?)
}

/// Makes tensors of stored weights, as variables where they are trained.
struct Place {
    trained: bool,
    variables: Vec<Var>,
}

impl Place {
    fn tensor(&mut self, tensor: Tensor) -> Result<Tensor, Error> {
        if !self.trained {
            return Ok(tensor);
        }
        let variable = Var::from_tensor(&tensor)?;
        self.variables.push(variable.clone());
        Ok(variable.as_tensor().clone())
    }

    fn decoder(&mut self, stored: &Stored) -> Result<Decoder<Tensor, Tensor>, Error> {
        let place = std::cell::RefCell::new(self);
        stored.try_map(
            &|m: &Matrix| {
                let tensor = Tensor::from_vec(m.dense(), (m.rows(), m.columns()), &Device::Cpu)?;
                place.borrow_mut().tensor(tensor)
            },
            &|v: &Vec<f32>| place.borrow_mut().tensor(Tensor::from_slice(v, v.len(), &Device::Cpu)?),
        )
    }
}

impl<M, V> Decoder<M, V> {
    /// The same decoder with its parameters in another form, always in the same order.
    pub(crate) fn try_map<N, W>(
        &self,
        m: &dyn Fn(&M) -> Result<N, Error>,
        v: &dyn Fn(&V) -> Result<W, Error>,
    ) -> Result<Decoder<N, W>, Error> {
        let linear = |l: &Linear<M, V>| -> Result<Linear<N, W>, Error> {
            Ok(Linear {
                path: l.path.clone(),
                first_row: l.first_row,
                pairing: l.pairing,
                head_len: l.head_len,
                weight: m(&l.weight)?,
                bias: l.bias.as_ref().map(v).transpose()?,
            })
        };
        let norm = |n: &Norm<V>| -> Result<Norm<W>, Error> {
            Ok(Norm {
                path: n.path.clone(),
                weight: v(&n.weight)?,
                bias: n.bias.as_ref().map(v).transpose()?,
            })
        };
        let layer = |l: &Layer<M, V>| -> Result<Layer<N, W>, Error> {
            Ok(Layer {
                attention_norm: norm(&l.attention_norm)?,
                queries: linear(&l.queries)?,
                keys: linear(&l.keys)?,
                values: linear(&l.values)?,
                head_norms: match &l.head_norms {
                    Some((query, key)) => Some((norm(query)?, norm(key)?)),
                    None => None,
                },
                output: linear(&l.output)?,
                post_attention_norm: l.post_attention_norm.as_ref().map(norm).transpose()?,
                mlp_norm: norm(&l.mlp_norm)?,
                gate: l.gate.as_ref().map(linear).transpose()?,
                up: linear(&l.up)?,
                down: linear(&l.down)?,
                post_mlp_norm: l.post_mlp_norm.as_ref().map(norm).transpose()?,
            })
        };
        Ok(Decoder {
            embedding: m(&self.embedding)?,
            positions: self.positions.as_ref().map(m).transpose()?,
            layers: self.layers.iter().map(layer).collect::<Result<_, _>>()?,
            final_norm: norm(&self.final_norm)?,
            output: self.output.as_ref().map(linear).transpose()?,
        })
    }
}

/// The operations over one padded batch; activations are `batch × length × width`.
struct Differentiable<'a> {
    tokens: Tensor,
    batch: usize,
    length: usize,
    lengths: Vec<usize>,
    factors: &'a BTreeMap<String, Factors>,
}

/// What stands for minus infinity in a mask: its exponential is zero, and no difference with it is NaN.
const MASKED: f32 = -1e30;

impl Differentiable<'_> {
    /// Zero where a query may look at a key: `batch × 1 × queries × keys`.
    fn mask(&self, attention: &Attention) -> Result<Tensor, Error> {
        let mut mask = Vec::with_capacity(self.batch * self.length * self.length);
        for &len in &self.lengths {
            for query in 0..self.length {
                let window = attention.window.unwrap_or(usize::MAX);
                mask.extend((0..self.length).map(|key| {
                    let sees = match attention.causal {
                        Causal::Past => key <= query && query - key < window,
                        Causal::All => key < len,
                    };
                    if sees { 0.0 } else { MASKED }
                }));
            }
        }
        Ok(Tensor::from_vec(mask, (self.batch, 1, self.length, self.length), &Device::Cpu)?)
    }

    /// Rotates `batch × length × heads × head_len`.
    fn rotate(&self, x: &Tensor, rotary: Rotary, pairing: Pairing, head_len: usize) -> Result<Tensor, Error> {
        let frequencies = rotary.frequencies(head_len);
        let mut turns = [Vec::new(), Vec::new()];
        for position in 0..self.length {
            for frequency in &frequencies {
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    reason = "positions are small; single precision is what the graph computes in"
                )]
                let (sine, cosine) = {
                    let (sine, cosine) = libm::sincos(position as f64 * frequency);
                    (sine as f32, cosine as f32)
                };
                turns[0].push(cosine);
                turns[1].push(sine);
            }
        }
        let half = head_len / 2;
        let table = |values: Vec<f32>| Tensor::from_vec(values, (1, self.length, 1, half), &Device::Cpu);
        let [cosine, sine] = turns;
        let (cosine, sine) = (table(cosine)?, table(sine)?);
        let (b, t, h, _) = x.dims4()?;
        let (first, second) = match pairing {
            Pairing::Halves => (x.narrow(3, 0, half)?, x.narrow(3, half, half)?),
            Pairing::Neighbours => {
                let pairs = x.reshape((b, t, h, half, 2))?;
                (pairs.narrow(4, 0, 1)?.squeeze(4)?, pairs.narrow(4, 1, 1)?.squeeze(4)?)
            }
        };
        let turned_first = (first.broadcast_mul(&cosine)? - second.broadcast_mul(&sine)?)?;
        let turned_second = (second.broadcast_mul(&cosine)? + first.broadcast_mul(&sine)?)?;
        Ok(match pairing {
            Pairing::Halves => Tensor::cat(&[turned_first, turned_second], 3)?,
            Pairing::Neighbours => {
                Tensor::stack(&[turned_first, turned_second], 4)?.reshape((b, t, h, head_len))?
            }
        })
    }

    fn product(x: &Tensor, w: &Tensor) -> Result<Tensor, Error> {
        let (b, t, columns) = x.dims3()?;
        let rows = w.dim(0)?;
        Ok(x.reshape((b * t, columns))?.matmul(&w.t()?)?.reshape((b, t, rows))?)
    }
}

/// The softmax over the last dimension.
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor, Error> {
    let largest = x.max_keepdim(D::Minus1)?.detach();
    let exponentials = x.broadcast_sub(&largest)?.exp()?;
    let total = exponentials.sum_keepdim(D::Minus1)?;
    Ok(exponentials.broadcast_div(&total)?)
}

/// The logarithm of the softmax over the last dimension.
pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor, Error> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&total)?)
}

pub(crate) fn norm(x: &Tensor, norm: &Norm<Tensor>, call: NormCall) -> Result<Tensor, Error> {
    let centred = if call.centred { x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)? } else { x.clone() };
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + call.epsilon)?.sqrt()?)?;
    let weight = if call.plus_one { (&norm.weight + 1.0)? } else { norm.weight.clone() };
    let scaled = normed.broadcast_mul(&weight)?;
    Ok(match &norm.bias {
        Some(bias) => scaled.broadcast_add(bias)?,
        None => scaled,
    })
}

pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor, Error> {
    Ok(match activation {
        Activation::Silu => (x * (x.neg()?.exp()? + 1.0)?.recip()?)?,
        Activation::Gelu => ((x * 0.5)? * ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?)?,
        Activation::GeluTanh => {
            let cube = (x.sqr()? * x)?;
            let inner = ((x + (cube * 0.044_715)?)? * 0.797_884_560_802_865_4)?;
            ((x * 0.5)? * (inner.tanh()? + 1.0)?)?
        }
    })
}

impl Ops for Differentiable<'_> {
    type Tensor = Tensor;
    type Matrix = Tensor;
    type Vector = Tensor;

    fn embed(&mut self, table: &Tensor) -> Result<Tensor, Error> {
        let rows = table.index_select(&self.tokens, 0)?;
        Ok(rows.reshape((self.batch, self.length, table.dim(1)?))?)
    }

    fn embed_positions(&mut self, table: &Tensor) -> Result<Tensor, Error> {
        let rows = table.narrow(0, 0, self.length)?.unsqueeze(0)?;
        Ok(rows.broadcast_as((self.batch, self.length, table.dim(1)?))?.contiguous()?)
    }

    fn scale(&mut self, x: Tensor, factor: f64) -> Result<Tensor, Error> {
        Ok((x * factor)?)
    }

    fn add(&mut self, x: Tensor, y: &Tensor) -> Result<Tensor, Error> {
        Ok((x + y)?)
    }

    fn multiply(&mut self, x: Tensor, y: &Tensor) -> Result<Tensor, Error> {
        Ok((x * y)?)
    }

    fn activate(&mut self, x: Tensor, activation: Activation) -> Result<Tensor, Error> {
        activate(&x, activation)
    }

    fn cap(&mut self, x: Tensor, cap: f64) -> Result<Tensor, Error> {
        Ok(((x / cap)?.tanh()? * cap)?)
    }

    fn norm(&mut self, x: &Tensor, parameters: &Norm<Tensor>, call: NormCall) -> Result<Tensor, Error> {
        norm(x, parameters, call)
    }

    fn head_norm(
        &mut self,
        x: Tensor,
        parameters: &Norm<Tensor>,
        call: NormCall,
        head_len: usize,
    ) -> Result<Tensor, Error> {
        let (b, t, width) = x.dims3()?;
        let heads = x.reshape((b, t, width / head_len, head_len))?;
        Ok(norm(&heads, parameters, call)?.reshape((b, t, width))?)
    }

    fn linears<const N: usize>(
        &mut self,
        x: &Tensor,
        linears: [&Linear<Tensor, Tensor>; N],
    ) -> Result<[Tensor; N], Error> {
        let outputs = linears.map(|linear| -> Result<Tensor, Error> {
            let mut out = Self::product(x, &linear.weight)?;
            if let Some(factors) = self.factors.get(&linear.path) {
                let rows = linear.weight.dim(0)?;
                let mut b = factors.b.narrow(0, linear.first_row, rows)?;
                if linear.pairing == Pairing::Neighbours {
                    // The factors are in the transformers library's order, the weight is not.
                    let head_len = linear_head_len(linear, rows)?;
                    let rank = b.dim(1)?;
                    b = b
                        .reshape((rows / head_len, 2, head_len / 2, rank))?
                        .transpose(1, 2)?
                        .reshape((rows, rank))?;
                }
                let added = Self::product(&Self::product(x, factors.a.as_tensor())?, &b)?;
                out = (out + (added * factors.scaling)?)?;
            }
            match &linear.bias {
                Some(bias) => Ok(out.broadcast_add(bias)?),
                None => Ok(out),
            }
        });
        let mut found = Vec::with_capacity(N);
        for output in outputs {
            found.push(output?);
        }
        let wrong = |_| Error::Capability { asked: "an output of each layer" };
        found.try_into().map_err(wrong)
    }

    fn tied(&mut self, x: &Tensor, table: &Tensor) -> Result<Tensor, Error> {
        Self::product(x, table)
    }

    fn attend(
        &mut self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        attention: &Attention,
        tap: &mut dyn Tap<Tensor>,
    ) -> Result<Tensor, Error> {
        let Attention { heads, kv_heads, head_len, layer, .. } = *attention;
        let (b, t) = (self.batch, self.length);
        let mut queries = queries.reshape((b, t, heads, head_len))?;
        let mut keys = keys.reshape((b, t, kv_heads, head_len))?;
        let values = values.reshape((b, t, kv_heads, head_len))?;
        if let Some((rotary, pairing)) = attention.rotary {
            queries = self.rotate(&queries, rotary, pairing, head_len)?;
            keys = self.rotate(&keys, rotary, pairing, head_len)?;
        }
        let group = heads / kv_heads;
        let spread = |x: &Tensor| -> Result<Tensor, Error> {
            let x = x.transpose(1, 2)?.unsqueeze(2)?;
            Ok(x.broadcast_as((b, kv_heads, group, t, head_len))?.reshape((b, heads, t, head_len))?)
        };
        let queries = queries.transpose(1, 2)?.contiguous()?;
        let (keys, values) = (spread(&keys)?, spread(&values)?);
        let mut scores = (queries.matmul(&keys.transpose(2, 3)?.contiguous()?)? * attention.scale)?;
        if let Some(cap) = attention.cap {
            scores = ((scores / cap)?.tanh()? * cap)?;
        }
        let probabilities = softmax(&scores.broadcast_add(&self.mask(attention)?)?)?;
        for sequence in 0..b {
            let site = Site::Attention { layer, sequence };
            if tap.wants(site) {
                let len = self.lengths.get(sequence).copied().unwrap_or(t);
                let map = probabilities.narrow(0, sequence, 1)?.squeeze(0)?;
                tap.take(site, &map.narrow(1, 0, len)?.narrow(2, 0, len)?);
            }
        }
        let out = probabilities.matmul(&values.contiguous()?)?;
        Ok(out.transpose(1, 2)?.reshape((b, t, heads * head_len))?)
    }

    fn pick(&mut self, x: Tensor) -> Result<Tensor, Error> {
        Ok(x)
    }
}

/// The length of a head of a layer whose rows are reordered by heads.
fn linear_head_len(linear: &Linear<Tensor, Tensor>, rows: usize) -> Result<usize, Error> {
    let misfit = || Error::AdapterMisfit { module: linear.path.clone(), reason: "its heads are not known" };
    linear.head_len.filter(|len| *len > 0 && rows.is_multiple_of(*len)).ok_or_else(misfit)
}

#[cfg(test)]
pub(crate) mod tests;
