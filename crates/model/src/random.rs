//! Untrained models: seeded random weights, for training from nothing and for tests.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Error;
use crate::config::{Config, Mlp, NormKind, Pairing, Positions, Presence};
use crate::decoder::{Decoder, Layer, Linear, Norm, Stored};
use crate::matrix::Matrix;
use crate::names::{Part, linear_shape, path};

/// Normal numbers from a seed.
#[derive(Debug)]
pub(crate) struct Normals(ChaCha8Rng);

impl Normals {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// Of mean 0 and the given deviation (Box and Muller).
    pub(crate) fn normal(&mut self, deviation: f64) -> f32 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        let value = libm::sqrt(-2.0 * libm::log(a)) * libm::cos(2.0 * std::f64::consts::PI * b);
        #[allow(clippy::cast_possible_truncation, reason = "single precision is asked for")]
        let value = (value * deviation) as f32;
        value
    }
}

/// Most weights of an untrained model.
const WEIGHTS_MAX: usize = 1 << 31;

/// Draws the weights: normal with the deviation `1/√in`, norms and biases near their neutral values.
pub(crate) fn random(config: &Config, seed: u64) -> Result<Stored, Error> {
    config.check()?;
    let per_layer = config.hidden * (4 * config.heads * config.head_len + 3 * config.inner);
    let all = config.layers.saturating_mul(per_layer).saturating_add(2 * config.vocabulary * config.hidden);
    if all > WEIGHTS_MAX {
        let expected = "small enough for 2^31 weights in all";
        return Err(Error::Setting { member: "hidden_size".to_owned(), expected });
    }
    let mut draw = Draw { config, normals: Normals::new(seed) };
    let embedding = draw.matrix(config.vocabulary, config.hidden, 1.0)?;
    let positions = match config.positions {
        Positions::Learned => Some(draw.matrix(config.context, config.hidden, 0.3)?),
        Positions::Rotary { .. } => None,
    };
    let layers = (0..config.layers).map(|layer| draw.layer(layer)).collect::<Result<_, _>>()?;
    let final_norm = draw.norm(Part::FinalNorm, 0, config.hidden);
    Ok(Decoder { embedding, positions, layers, final_norm, output: None })
}

struct Draw<'a> {
    config: &'a Config,
    normals: Normals,
}

impl Draw<'_> {
    fn vector(&mut self, len: usize, mean: f32, deviation: f64) -> Vec<f32> {
        (0..len).map(|_| mean + self.normals.normal(deviation)).collect()
    }

    fn matrix(&mut self, rows: usize, columns: usize, factor: f64) -> Result<Matrix, Error> {
        #[allow(clippy::cast_precision_loss, reason = "widths are small")]
        let deviation = factor / (columns as f64).sqrt();
        let values = self.vector(rows * columns, 0.0, deviation);
        Matrix::from_values("random", rows, columns, &values)
    }

    fn linear(&mut self, part: Part, layer: usize) -> Result<Linear<Matrix, Vec<f32>>, Error> {
        let (rows, columns) = linear_shape(self.config, part);
        let biases = match part {
            Part::Queries | Part::Keys | Part::Values => self.config.qkv_biases,
            _ => self.config.biases,
        };
        let fused = self.config.architecture == crate::config::Architecture::Gpt2;
        let queries = self.config.heads * self.config.head_len;
        let first_row = match part {
            Part::Keys if fused => queries,
            Part::Values if fused => 2 * queries,
            _ => 0,
        };
        let pairing = match (part, self.config.positions) {
            (Part::Queries | Part::Keys, Positions::Rotary { pairing, .. }) => pairing,
            _ => Pairing::Halves,
        };
        let head_len = Some(self.config.head_len);
        let weight = self.matrix(rows, columns, 1.0)?;
        let bias = (biases == Presence::Present).then(|| self.vector(rows, 0.0, 0.02));
        Ok(Linear { path: path(self.config, part, layer), first_row, pairing, head_len, weight, bias })
    }

    fn norm(&mut self, part: Part, layer: usize, len: usize) -> Norm<Vec<f32>> {
        let mean = if self.config.norm == NormKind::RmsPlusOne { 0.0 } else { 1.0 };
        let weight = self.vector(len, mean, 0.02);
        let bias = (self.config.norm == NormKind::Layer).then(|| self.vector(len, 0.0, 0.02));
        Norm { path: path(self.config, part, layer), weight, bias }
    }

    fn layer(&mut self, layer: usize) -> Result<Layer<Matrix, Vec<f32>>, Error> {
        let (hidden, head_len) = (self.config.hidden, self.config.head_len);
        let post = self.config.post_norms == Presence::Present;
        let heads = self.config.head_norms == Presence::Present;
        let gated = self.config.mlp == Mlp::Gated;
        Ok(Layer {
            attention_norm: self.norm(Part::AttentionNorm, layer, hidden),
            queries: self.linear(Part::Queries, layer)?,
            keys: self.linear(Part::Keys, layer)?,
            values: self.linear(Part::Values, layer)?,
            head_norms: heads.then(|| {
                (self.norm(Part::QueryNorm, layer, head_len), self.norm(Part::KeyNorm, layer, head_len))
            }),
            output: self.linear(Part::AttentionOutput, layer)?,
            post_attention_norm: post.then(|| self.norm(Part::PostAttentionNorm, layer, hidden)),
            mlp_norm: self.norm(Part::MlpNorm, layer, hidden),
            gate: if gated { Some(self.linear(Part::Gate, layer)?) } else { None },
            up: self.linear(Part::Up, layer)?,
            down: self.linear(Part::Down, layer)?,
            post_mlp_norm: post.then(|| self.norm(Part::PostMlpNorm, layer, hidden)),
        })
    }
}
