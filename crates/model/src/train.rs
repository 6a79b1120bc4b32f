//! Training: the loss of given tokens, and AdamW.
//!
//! What this module does not do: choose data, or decide when to stop.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

use crate::Error;
use crate::graph::{Graph, log_softmax};
use crate::tap::NoTap;

/// A sequence to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// How much each token counts, given those before it; as many as tokens, the first of no effect.
    pub weights: Vec<f32>,
}

impl Graph {
    /// The weighted mean of the negative log-probabilities of the examples' tokens: a scalar to differentiate.
    ///
    /// # Errors
    /// [`Error::Request`] where weights do not fit or none counts; as [`Graph::logits`].
    pub fn loss(&self, examples: &[Example]) -> Result<Tensor, Error> {
        let longest = examples.iter().map(|example| example.tokens.len()).max().unwrap_or(0);
        let length = longest.saturating_sub(1);
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        let mut inputs = Vec::with_capacity(examples.len());
        for example in examples {
            let sound = example.weights.iter().all(|weight| weight.is_finite());
            if example.weights.len() != example.tokens.len() || !sound {
                return Err(Error::Request {
                    member: "weights",
                    expected: "one finite number for each token",
                });
            }
            let Some((_, read)) = example.tokens.split_last().filter(|(_, read)| !read.is_empty()) else {
                return Err(Error::Request { member: "tokens", expected: "at least two tokens" });
            };
            inputs.push(read);
            targets.extend(example.tokens.iter().skip(1));
            weights.extend(example.weights.iter().skip(1));
            targets.resize(targets.len().next_multiple_of(length), 0_u32);
            weights.resize(weights.len().next_multiple_of(length), 0.0_f32);
        }
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        if total <= 0.0 {
            return Err(Error::Request { member: "weights", expected: "a token that counts" });
        }
        let logits = self.logits(&inputs, &mut NoTap)?;
        let rows = targets.len();
        cross_entropy(&logits.reshape((rows, self.config().vocabulary))?, targets, weights, total)
    }
}

/// `Σ wᵢ·(−log softmax(logitsᵢ)[targetᵢ]) / total`, over `rows × vocabulary`.
pub(crate) fn cross_entropy(
    logits: &Tensor,
    targets: Vec<u32>,
    weights: Vec<f32>,
    total: f64,
) -> Result<Tensor, Error> {
    let rows = targets.len();
    let targets = Tensor::from_vec(targets, (rows, 1), &Device::Cpu)?;
    let weights = Tensor::from_vec(weights, rows, &Device::Cpu)?.to_dtype(logits.dtype())?;
    let chosen = log_softmax(logits)?.gather(&targets, 1)?.squeeze(1)?;
    Ok(((chosen * weights)?.sum_all()? * (-1.0 / total))?)
}

/// The settings of [`AdamW`] (Loshchilov and Hutter, "Decoupled weight decay regularization").
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWSettings {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// Decay of weights, times the learning rate, in each step.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm where they exceed it.
    pub clip: Option<f64>,
}

impl AdamWSettings {
    /// The usual settings at a learning rate, without decay of weights.
    pub const fn at(rate: f64) -> Self {
        Self { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: Some(1.0) }
    }
}

/// The AdamW optimiser over a graph's variables.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    slots: Vec<(Var, Tensor, Tensor)>,
    steps: i32,
}

impl AdamW {
    /// An optimiser of the variables.
    ///
    /// # Errors
    /// [`Error::Graph`].
    pub fn new(variables: &[Var], settings: AdamWSettings) -> Result<Self, Error> {
        let zeros = |var: &Var| Tensor::zeros(var.shape(), DType::F32, &Device::Cpu);
        let slot = |var: &Var| Ok((var.clone(), zeros(var)?, zeros(var)?));
        let slots = variables.iter().map(slot).collect::<Result<_, Error>>()?;
        Ok(Self { settings, slots, steps: 0 })
    }

    /// Sets the learning rate, for schedules.
    pub const fn set_rate(&mut self, rate: f64) {
        self.settings.rate = rate;
    }

    /// Differentiates the loss and takes one step. Answers the loss.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where loss or gradients are not finite: then nothing has changed. [`Error::Graph`].
    pub fn step(&mut self, loss: &Tensor) -> Result<f32, Error> {
        let value = loss.to_scalar::<f32>()?;
        if !value.is_finite() {
            return Err(Error::NotFinite { place: "losses" });
        }
        let gradients = loss.backward()?;
        let norm = self.norm(&gradients)?;
        if !norm.is_finite() {
            return Err(Error::NotFinite { place: "gradients" });
        }
        let factor = self.settings.clip.map_or(1.0, |clip| if norm > clip { clip / norm } else { 1.0 });
        self.steps = self.steps.saturating_add(1);
        let AdamWSettings { rate, beta1, beta2, epsilon, weight_decay, .. } = self.settings;
        let (correct1, correct2) = (1.0 - beta1.powi(self.steps), 1.0 - beta2.powi(self.steps));
        for (var, mean, square) in &mut self.slots {
            let Some(gradient) = gradients.get(var) else { continue };
            // What a step computes must not be remembered for differentiation.
            let gradient = (gradient.detach() * factor)?;
            *mean = ((&*mean * beta1)? + (&gradient * (1.0 - beta1))?)?.detach();
            *square = ((&*square * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?.detach();
            let root = ((&*square / correct2)?.sqrt()? + epsilon)?;
            let change = ((&*mean / correct1)? / root)?;
            let decayed = (var.as_tensor().detach() * (1.0 - rate * weight_decay))?;
            var.set(&(decayed - (change * rate)?)?)?;
        }
        Ok(value)
    }

    fn norm(&self, gradients: &GradStore) -> Result<f64, Error> {
        let mut total = 0.0;
        for (var, _, _) in &self.slots {
            if let Some(gradient) = gradients.get(var) {
                total += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        Ok(total.sqrt())
    }
}
