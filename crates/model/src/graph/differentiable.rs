//! The operations of the graph with gradients, over one padded batch.

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor};

use super::Factors;
use crate::Error;
use crate::config::{Pairing, Rotary};
use crate::decoder::{Attention, Causal, Linear, Norm, NormCall, Ops};
use crate::kernel::Activation;
use crate::tap::{Site, Tap};

/// The operations over one padded batch; activations are `batch × length × width`.
pub(super) struct Differentiable<'a> {
    pub(super) tokens: Tensor,
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) lengths: Vec<usize>,
    pub(super) factors: &'a BTreeMap<String, Factors>,
}

/// What stands for minus infinity in a mask: its exponential is zero, and no difference with it is NaN.
const MASKED: f32 = -1e30;

impl Differentiable<'_> {
    /// Zero where a query may look at a key: `batch × 1 × queries × keys`.
    fn mask(&self, attention: &Attention, precision: DType) -> Result<Tensor, Error> {
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
        let shape = (self.batch, 1, self.length, self.length);
        Ok(Tensor::from_vec(mask, shape, &Device::Cpu)?.to_dtype(precision)?)
    }

    /// Rotates `batch × length × heads × head_len`.
    fn rotate(&self, x: &Tensor, rotary: Rotary, pairing: Pairing, head_len: usize) -> Result<Tensor, Error> {
        let frequencies = rotary.frequencies(head_len);
        let mut turns = [Vec::new(), Vec::new()];
        for position in 0..self.length {
            for frequency in &frequencies {
                #[allow(clippy::cast_precision_loss, reason = "positions are small")]
                let (sine, cosine) = libm::sincos(position as f64 * frequency);
                turns[0].push(cosine);
                turns[1].push(sine);
            }
        }
        let half = head_len / 2;
        let table = |values: Vec<f64>| {
            Tensor::from_vec(values, (1, self.length, 1, half), &Device::Cpu)?.to_dtype(x.dtype())
        };
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
fn softmax(x: &Tensor) -> Result<Tensor, Error> {
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

fn norm(x: &Tensor, norm: &Norm<Tensor>, call: NormCall) -> Result<Tensor, Error> {
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

fn activate(x: &Tensor, activation: Activation) -> Result<Tensor, Error> {
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
        let probabilities = softmax(&scores.broadcast_add(&self.mask(attention, scores.dtype())?)?)?;
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
