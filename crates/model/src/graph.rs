//! The same graph from differentiable operations, for training and for gradients with respect to anything.
//!
//! Softmax, norms and rotations are written from primitives: the fused ones of the candle library stop gradients
//! without saying so. Weights are single precision; sequences of a batch are padded to one length at their ends.
//!
//! What this module does not do: run fast, or remember keys and values. See [`crate::fast`].

mod differentiable;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::Error;
use crate::adapter::{hf_row, linears};
use crate::config::Config;
use crate::decoder::{self, Decoder, Layer, Linear, Norm, Stored};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::random::{Normals, random};
use crate::tap::Tap;

use self::differentiable::Differentiable;
pub(crate) use self::differentiable::log_softmax;

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

#[cfg(test)]
pub(crate) mod tests;
