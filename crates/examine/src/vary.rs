//! The same model with other weights: quantised and back, disturbed, mixed with another.
//!
//! Weights are taken in the order and under the names of the transformers library, changed, and loaded again in single
//! precision. So what is compared is what the numbers do, apart from how an engine multiplies with them.

use bytes::Bytes;
use model::config::{Architecture, Positions};
use model::graph::{Graph, NamedValues, Trained};
use model::{Config, Error, Model, Source};
use quant::Kind;
use quant::bitsandbytes::{Backend, FourBit, dequantize_4bit, quantize_4bit};
use quant::bitsandbytes::{dequantize_int8, quantize_int8};
use quant::mixture::{self, Choice, Facts, Importance, Mixture, Subject};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tensor::safetensors::{Dtype, write};
use tensor::weights::Family;

/// What weights can be varied from.
#[derive(Debug)]
pub(crate) struct Named {
    config: Config,
    pub(crate) tensors: Vec<NamedValues>,
}

impl Named {
    pub(crate) fn of(model: &Model) -> Result<Self, Error> {
        let tensors = Graph::of(model, &Trained::Nothing)?.tensors()?;
        let mut config = model.config().clone();
        if let Positions::Rotary { pairing, .. } = &mut config.positions {
            // The graph hands rows out in the transformers library's order.
            *pairing = model::config::Pairing::Halves;
        }
        Ok(Self { config, tensors })
    }

    /// A model of these weights, each as `change` leaves it.
    pub(crate) fn model(&self, mut change: impl FnMut(usize, &mut Vec<f32>)) -> Result<Model, Error> {
        let mut all = Vec::with_capacity(self.tensors.len());
        for (at, (_, _, values)) in self.tensors.iter().enumerate() {
            let mut values = values.clone();
            change(at, &mut values);
            all.push(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        let entries: Vec<(&str, Dtype, &[usize], &[u8])> = self
            .tensors
            .iter()
            .zip(&all)
            .map(|((name, shape, _), bytes)| (name.as_str(), Dtype::F32, shape.as_slice(), bytes.as_slice()))
            .collect();
        let file = Bytes::from(write(&entries)?);
        Model::load(self.config.clone(), &Source::from_safetensors(&[file])?)
    }

    /// `self + Σ cᵢ·(otherᵢ − self)`.
    pub(crate) fn mixed(&self, others: &[(&Self, f32)]) -> Result<Model, Error> {
        for (other, _) in others {
            let same = other.tensors.len() == self.tensors.len()
                && other.tensors.iter().zip(&self.tensors).all(|(a, b)| a.0 == b.0 && a.1 == b.1);
            if !same {
                return Err(Error::Request { member: "partner", expected: "a model of the base's shape" });
            }
        }
        self.model(|at, values| {
            let base = values.clone();
            for (other, coefficient) in others {
                let Some((_, _, other)) = other.tensors.get(at) else { continue };
                for ((value, base), other) in values.iter_mut().zip(&base).zip(other) {
                    *value += coefficient * (other - base);
                }
            }
        })
    }

    /// Normal noise on every matrix, of the given deviation relative to the root mean square of the matrix.
    pub(crate) fn disturbed(&self, deviation: f32, seed: u64) -> Result<Model, Error> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut unit = move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        self.model(|at, values| {
            if self.tensors.get(at).is_none_or(|tensor| tensor.1.len() < 2) {
                return;
            }
            let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
            let scale = f64::from(deviation) * (squares / values.len().max(1) as f64).sqrt();
            for value in values {
                let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit()));
                *value += (scale * radius * libm::cos(2.0 * std::f64::consts::PI * unit())) as f32;
            }
        })
    }

    /// Every matrix in the target format and back. What the format leaves alone stays.
    ///
    /// # Errors
    /// The name of the format with why it does not fit.
    pub(crate) fn quantised(&self, format: Format) -> Result<Model, Error> {
        let choices = self.choices(format)?;
        let mut refused = None;
        let model = self.model(|at, values| {
            let Some((choice, columns)) = choices.get(at).copied() else { return };
            if let Err(error) = there_and_back(choice, columns, values) {
                refused = Some(error);
            }
        })?;
        match refused {
            None => Ok(model),
            Some(_) => Err(Error::Capability { asked: "weights of these sizes in that format" }),
        }
    }

    fn choices(&self, format: Format) -> Result<Vec<(Round, usize)>, Error> {
        let columns = |shape: &[usize]| shape.last().copied().unwrap_or(1);
        let plain = |round: Round| {
            // bitsandbytes leaves the embedding and the output as they are.
            let leaves_words = matches!(round, Round::Int8 | Round::Nf4);
            let each = self.tensors.iter().map(|(name, shape, _)| {
                let whole = shape.len() < 2 || (leaves_words && is_words(name));
                (if whole { Round::Keep } else { round }, columns(shape))
            });
            each.collect()
        };
        Ok(match format {
            Format::Single => plain(Round::Keep),
            Format::Half => plain(Round::Half),
            Format::Int8 => plain(Round::Int8),
            Format::Nf4 => plain(Round::Nf4),
            Format::Mixture(mixture) => {
                let family = family(&self.config);
                let names: Vec<String> = self
                    .tensors
                    .iter()
                    .map(|(name, _, _)| family.to_gguf(name).map_or_else(|| name.clone(), |(name, _)| name))
                    .collect();
                let subjects: Vec<Subject<'_>> = names
                    .iter()
                    .zip(&self.tensors)
                    .map(|(name, (_, shape, _))| Subject { name, row_len: columns(shape), rank: shape.len() })
                    .collect();
                let facts = Facts {
                    architecture: architecture(&self.config),
                    layers: self.config.layers,
                    heads: self.config.heads,
                    key_heads: self.config.kv_heads,
                    experts: 0,
                    importance: Importance::Absent,
                };
                let unknown = |_| Error::Capability { asked: "that mixture for this architecture" };
                let choices = mixture::kinds(mixture, &facts, &subjects).map_err(unknown)?;
                choices
                    .into_iter()
                    .zip(&self.tensors)
                    .map(|(choice, (_, shape, _))| {
                        let round = match choice {
                            Choice::Keep => Round::Keep,
                            Choice::Quantise(kind) => Round::Ggml(kind),
                            Choice::Half => Round::Half,
                        };
                        (round, columns(shape))
                    })
                    .collect()
            }
        })
    }
}

fn is_words(name: &str) -> bool {
    name.contains("embed") || name.starts_with("lm_head")
}

/// A format that weights are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Single precision: 32 bits.
    Single,
    /// Half precision: 16 bits.
    Half,
    /// bitsandbytes' int8 by rows.
    Int8,
    /// bitsandbytes' NF4 in blocks of 64.
    Nf4,
    /// A mixture of llama.cpp.
    Mixture(Mixture),
}

impl Format {
    /// The format of that name: `32`, `16`, `8` and `4` bits, or llama.cpp's name of a mixture.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "32" => Self::Single,
            "16" => Self::Half,
            "8" | "int8" => Self::Int8,
            "4" | "nf4" => Self::Nf4,
            other => Self::Mixture(other.parse().ok()?),
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Round {
    Keep,
    Half,
    Int8,
    Nf4,
    Ggml(Kind),
}

/// Weights in a block of NF4, as the library has it where nobody says otherwise.
const NF4_BLOCK: usize = 64;

/// Rounds to half precision.
fn halve(values: &mut [f32]) {
    for value in values {
        *value = quant::half(quant::half_bits(*value));
    }
}

fn there_and_back(round: Round, columns: usize, values: &mut [f32]) -> Result<(), quant::Error> {
    match round {
        Round::Keep => {}
        Round::Half => halve(values),
        Round::Int8 => {
            // The library rounds weights to half precision first.
            halve(values);
            let rows = quantize_int8(values, columns, None)?;
            dequantize_int8(&rows.values, &rows.row_absmax, columns, values)?;
        }
        Round::Nf4 => {
            let blocks = quantize_4bit(FourBit::Nf4, Backend::Midpoints, values, NF4_BLOCK)?;
            dequantize_4bit(
                FourBit::Nf4,
                Backend::Midpoints,
                &blocks.packed,
                &blocks.absmax,
                NF4_BLOCK,
                values,
            )?;
        }
        Round::Ggml(kind) => {
            let blocks = quant::quantize(kind, values, columns, None)?;
            quant::dequantize(kind, &blocks, values)?;
        }
    }
    Ok(())
}

/// The names that the architecture's files have.
pub(crate) fn family(config: &Config) -> Family {
    match config.architecture {
        Architecture::Qwen2 => Family::Qwen2,
        Architecture::Qwen3 => Family::Qwen3,
        Architecture::Gemma2 => Family::Gemma2,
        Architecture::Gemma3 => Family::Gemma3,
        Architecture::Gpt2 => Family::Gpt2,
        Architecture::Llama => Family::Llama,
    }
}

/// What GGUF calls the architecture.
pub(crate) fn architecture(config: &Config) -> &'static str {
    match family(config) {
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma2 => "gemma2",
        Family::Gemma3 => "gemma3",
        Family::Gpt2 => "gpt2",
        _ => "llama",
    }
}
