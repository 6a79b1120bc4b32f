//! Taps: looking at what happens inside a model while it runs.
//!
//! A tap is asked which sites it wants; what it does not want costs nothing. It observes and cannot change what it
//! sees.

use std::collections::BTreeMap;

/// A place in a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Site {
    /// The embedded tokens, before the first layer: `rows × hidden`.
    Embedding,
    /// The residual stream after a layer: `rows × hidden`.
    Residual {
        /// The layer, from 0.
        layer: usize,
    },
    /// Attention probabilities of one sequence: `heads × queries × keys`.
    Attention {
        /// The layer, from 0.
        layer: usize,
        /// Which sequence of the batch.
        sequence: usize,
    },
    /// What attention adds to the residual stream: `rows × hidden`.
    AttentionOut {
        /// The layer, from 0.
        layer: usize,
    },
    /// What the multi-layer perceptron adds to the residual stream: `rows × hidden`.
    Mlp {
        /// The layer, from 0.
        layer: usize,
    },
    /// The residual stream after the last norm: `rows × hidden`.
    Final,
    /// The logits of the rows that were asked for: `rows × vocabulary`.
    Logits,
}

/// Values at a site: [`Activations`](crate::Activations) where a model is run, `candle_core::Tensor` in the
/// differentiable graph (there with a batch dimension in front).
pub trait Tap<T> {
    /// Whether the tap wants the values at a site.
    fn wants(&self, site: Site) -> bool;

    /// Takes the values at a site.
    fn take(&mut self, site: Site, values: &T);
}

/// Wants nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTap;

impl<T> Tap<T> for NoTap {
    fn wants(&self, _: Site) -> bool {
        false
    }

    fn take(&mut self, _: Site, _: &T) {}
}

/// Keeps the values of the sites that a rule chooses.
pub struct Recorder<T> {
    chooses: Box<dyn Fn(Site) -> bool + Send>,
    /// The values, in the order in which they came, by site: a site comes once for each forward pass.
    pub values: BTreeMap<Site, Vec<T>>,
}

impl<T> Recorder<T> {
    /// A recorder of the sites that `chooses` answers `true` to.
    pub fn new(chooses: impl Fn(Site) -> bool + Send + 'static) -> Self {
        Self { chooses: Box::new(chooses), values: BTreeMap::new() }
    }
}

impl<T> std::fmt::Debug for Recorder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("sites", &self.values.keys()).finish_non_exhaustive()
    }
}

impl<T: Clone> Tap<T> for Recorder<T> {
    fn wants(&self, site: Site) -> bool {
        (self.chooses)(site)
    }

    fn take(&mut self, site: Site, values: &T) {
        self.values.entry(site).or_default().push(values.clone());
    }
}
