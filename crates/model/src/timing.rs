//! Where the time of a pass goes, by kind of operation.
//!
//! [`Timed`] stands between the graph and the operations that carry it out, and looks at a clock before and after each.
//! The clock is an argument; this module reads none, and does not change what is computed.

use std::collections::BTreeMap;

use crate::Error;
use crate::decoder::{Attention, Linear, Norm, NormCall, Ops};
use crate::kernel::Activation;
use crate::tap::Tap;

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Work {
    /// Looking up tokens and positions.
    Embedding,
    /// Norms of rows and heads.
    Norms,
    /// Products with the weights of queries, keys, values and attention's output.
    AttentionProducts,
    /// Rotary positions, scores, softmax and the sum of values.
    Attention,
    /// Products with the weights of the multi-layer perceptrons.
    MlpProducts,
    /// Products with the weights that make the logits.
    OutputProduct,
    /// Activations, sums and products element by element.
    Elementwise,
}

impl Work {
    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Norms => "norms",
            Self::AttentionProducts => "products of attention",
            Self::Attention => "attention itself",
            Self::MlpProducts => "products of the perceptrons",
            Self::OutputProduct => "product for the logits",
            Self::Elementwise => "element by element",
        }
    }
}

/// What was spent on each kind, in the clock's unit.
pub type Spent = BTreeMap<Work, f64>;

/// Operations with a clock beside them.
pub(crate) struct Timed<'c, O> {
    pub(crate) ops: O,
    pub(crate) clock: &'c mut dyn FnMut() -> f64,
    pub(crate) spent: Spent,
}

impl<O> Timed<'_, O> {
    fn of<T>(&mut self, work: Work, run: impl FnOnce(&mut O) -> T) -> T {
        let begin = (self.clock)();
        let value = run(&mut self.ops);
        *self.spent.entry(work).or_default() += (self.clock)() - begin;
        value
    }
}

/// A transformers model's modules are named by what they belong to.
fn product(path: &str) -> Work {
    if path.contains("mlp") {
        Work::MlpProducts
    } else if path.contains("attn") {
        Work::AttentionProducts
    } else {
        Work::OutputProduct
    }
}

impl<O: Ops> Ops for Timed<'_, O> {
    type Tensor = O::Tensor;
    type Matrix = O::Matrix;
    type Vector = O::Vector;

    fn embed(&mut self, table: &O::Matrix) -> Result<O::Tensor, Error> {
        self.of(Work::Embedding, |ops| ops.embed(table))
    }

    fn embed_positions(&mut self, table: &O::Matrix) -> Result<O::Tensor, Error> {
        self.of(Work::Embedding, |ops| ops.embed_positions(table))
    }

    fn scale(&mut self, x: O::Tensor, factor: f64) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.scale(x, factor))
    }

    fn add(&mut self, x: O::Tensor, y: &O::Tensor) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.add(x, y))
    }

    fn multiply(&mut self, x: O::Tensor, y: &O::Tensor) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.multiply(x, y))
    }

    fn activate(&mut self, x: O::Tensor, activation: Activation) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.activate(x, activation))
    }

    fn cap(&mut self, x: O::Tensor, cap: f64) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.cap(x, cap))
    }

    fn norm(&mut self, x: &O::Tensor, norm: &Norm<O::Vector>, call: NormCall) -> Result<O::Tensor, Error> {
        self.of(Work::Norms, |ops| ops.norm(x, norm, call))
    }

    fn head_norm(
        &mut self,
        x: O::Tensor,
        norm: &Norm<O::Vector>,
        call: NormCall,
        head_len: usize,
    ) -> Result<O::Tensor, Error> {
        self.of(Work::Norms, |ops| ops.head_norm(x, norm, call, head_len))
    }

    fn linears<const N: usize>(
        &mut self,
        x: &O::Tensor,
        linears: [&Linear<O::Matrix, O::Vector>; N],
    ) -> Result<[O::Tensor; N], Error> {
        let work = linears.first().map_or(Work::OutputProduct, |linear| product(&linear.path));
        self.of(work, |ops| ops.linears(x, linears))
    }

    fn tied(&mut self, x: &O::Tensor, table: &O::Matrix) -> Result<O::Tensor, Error> {
        self.of(Work::OutputProduct, |ops| ops.tied(x, table))
    }

    fn attend(
        &mut self,
        queries: O::Tensor,
        keys: O::Tensor,
        values: O::Tensor,
        attention: &Attention,
        tap: &mut dyn Tap<O::Tensor>,
    ) -> Result<O::Tensor, Error> {
        self.of(Work::Attention, |ops| ops.attend(queries, keys, values, attention, tap))
    }

    fn pick(&mut self, x: O::Tensor) -> Result<O::Tensor, Error> {
        self.of(Work::Elementwise, |ops| ops.pick(x))
    }
}

#[cfg(test)]
mod tests;
