//! The operations of the graph as they run fastest: quantised weights, caches, several sequences in one batch.
//!
//! Sequences of a batch lie one after the other without padding. What is computed for one does not depend on the
//! others: the kernels promise it for products, and attention is computed for each sequence by itself.
//!
//! What this module does not do: gradients. See [`crate::graph`].

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numerics over slices whose lengths follow from the shapes that loading has checked"
)]

mod head;

use rayon::prelude::*;

use crate::Error;
use crate::adapter::{Adapter, Change, HEAD};
use crate::cache::{Cache, HeadCache, LayerCache};
use crate::config::{Pairing, Rotary};
use crate::decoder::{Attention, Linear, Norm, NormCall, Ops};
use crate::kernel::{Activation, Input, Kernels};
use crate::matrix::Matrix;
use crate::tap::{Site, Tap};

use self::head::HeadTask;

/// Values inside a model: the product of the shape is their number, the last dimension is contiguous.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<f32>,
}

impl Activations {
    fn new(rows: usize, width: usize) -> Self {
        Self { shape: vec![rows, width], values: vec![0.0; rows * width] }
    }

    /// The length of the last dimension.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }

    /// The values by their last dimension.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width())
    }
}

/// Which rows of a sequence go through the last norm and to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The last one.
    Last,
    /// Those from this one on.
    From(usize),
}

/// One sequence of a batch.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) tokens: &'a [u32],
    /// Where to remember keys and values; nothing where the sequence is not continued.
    pub(crate) cache: Option<&'a mut Cache>,
    pub(crate) adapter: Option<&'a Adapter>,
    pub(crate) wanted: Wanted,
}

impl Segment<'_> {
    fn first(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.len())
    }
}

/// The operations over one batch.
pub(crate) struct Fast<'a, 'b> {
    kernels: Kernels,
    segments: &'a mut [Segment<'b>],
    rows: usize,
    /// Whether rows have been picked: adapters then apply to these.
    picked: bool,
    /// Keys and values of sequences that are not continued, of the layer at hand.
    passing: LayerCache,
    turns: Vec<(Rotary, Vec<(f32, f32)>)>,
}

impl<'a, 'b> Fast<'a, 'b> {
    pub(crate) fn new(kernels: Kernels, segments: &'a mut [Segment<'b>]) -> Self {
        let rows = segments.iter().map(|segment| segment.tokens.len()).sum();
        Self { kernels, segments, rows, picked: false, passing: LayerCache::default(), turns: Vec::new() }
    }

    /// Remembers the tokens after a whole pass.
    pub(crate) fn commit(self) {
        for segment in self.segments {
            if let Some(cache) = &mut segment.cache {
                cache.tokens.extend_from_slice(segment.tokens);
            }
        }
    }

    /// Rows of each segment, as they stand now.
    fn spans(&self) -> Vec<usize> {
        let span = |segment: &Segment<'_>| match (self.picked, segment.wanted) {
            (false, _) => segment.tokens.len(),
            (true, Wanted::Last) => 1.min(segment.tokens.len()),
            (true, Wanted::From(first)) => segment.tokens.len().saturating_sub(first),
        };
        self.segments.iter().map(span).collect()
    }

    fn product(&self, x: &Activations, w: &Matrix) -> Activations {
        let mut out = Activations::new(x.values.len() / x.width(), w.rows());
        self.kernels.product(w.view(), &x.values, &mut out.values);
        out
    }

    /// Adds what the segments' adapters change.
    fn adapt(&self, x: &Activations, (path, first_row): (&str, usize), out: &mut Activations) {
        let (x_width, out_width) = (x.width(), out.width());
        let mut first = 0;
        for (segment, rows) in self.segments.iter().zip(self.spans()) {
            let change = segment.adapter.and_then(|adapter| adapter.change(path, first_row));
            if let Some(change) = change {
                let x = &x.values[first * x_width..(first + rows) * x_width];
                let out = &mut out.values[first * out_width..(first + rows) * out_width];
                self.change(change, x, out);
            }
            first += rows;
        }
    }

    fn change(&self, change: &Change, x: &[f32], out: &mut [f32]) {
        match change {
            Change::Replaced(weight) => self.kernels.product(weight.view(), x, out),
            Change::LowRank { a, b, row_scales } => {
                let rows = x.len() / a.columns();
                let mut low = vec![0.0; rows * a.rows()];
                self.kernels.product(a.view(), x, &mut low);
                let mut added = vec![0.0; rows * b.rows()];
                self.kernels.product(b.view(), &low, &mut added);
                out.iter_mut().zip(&added).for_each(|(out, added)| *out += added);
                if let Some(scales) = row_scales {
                    for out in out.chunks_exact_mut(scales.len()) {
                        out.iter_mut().zip(scales).for_each(|(out, scale)| *out *= scale);
                    }
                }
            }
        }
    }

    /// Cosine and sine of every row's position, for each pair of a head.
    fn turns(&mut self, rotary: Rotary, head_len: usize) -> usize {
        if let Some(at) = self.turns.iter().position(|(known, _)| *known == rotary) {
            return at;
        }
        let frequencies = rotary.frequencies(head_len);
        let mut turns = Vec::with_capacity(self.rows * frequencies.len());
        for segment in self.segments.iter() {
            for position in segment.first()..segment.first() + segment.tokens.len() {
                turns.extend(frequencies.iter().map(|frequency| {
                    let (sine, cosine) = libm::sincos(position as f64 * frequency);
                    (cosine as f32, sine as f32)
                }));
            }
        }
        self.turns.push((rotary, turns));
        self.turns.len() - 1
    }

    fn rotate(turns: &[(f32, f32)], pairing: Pairing, head_len: usize, x: &mut Activations) {
        let (half, width) = (head_len / 2, x.width());
        for (row, turns) in x.values.chunks_exact_mut(width).zip(turns.chunks_exact(half)) {
            for head in row.chunks_exact_mut(head_len) {
                match pairing {
                    Pairing::Halves => {
                        let (a, b) = head.split_at_mut(half);
                        for ((a, b), (cosine, sine)) in a.iter_mut().zip(b).zip(turns) {
                            (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
                        }
                    }
                    Pairing::Neighbours => {
                        for (pair, (cosine, sine)) in head.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
                            let [a, b] = *pair;
                            *pair = [a * cosine - b * sine, b * cosine + a * sine];
                        }
                    }
                }
            }
        }
    }
}

impl Ops for Fast<'_, '_> {
    type Tensor = Activations;
    type Matrix = Matrix;
    type Vector = Vec<f32>;

    fn embed(&mut self, table: &Matrix) -> Result<Activations, Error> {
        let mut out = Activations::new(self.rows, table.columns());
        let tokens = self.segments.iter().flat_map(|segment| segment.tokens);
        for (out, &token) in out.values.chunks_exact_mut(table.columns()).zip(tokens) {
            let row = usize::try_from(token).ok().and_then(|row| table.row(row, out));
            row.ok_or(Error::Token { token, vocabulary: table.rows() })?;
        }
        Ok(out)
    }

    fn embed_positions(&mut self, table: &Matrix) -> Result<Activations, Error> {
        let mut out = Activations::new(self.rows, table.columns());
        let positions = self.segments.iter().flat_map(|s| s.first()..s.first() + s.tokens.len());
        for (out, position) in out.values.chunks_exact_mut(table.columns()).zip(positions) {
            let row = table.row(position, out);
            row.ok_or(Error::Context { tokens: position + 1, limit: table.rows() })?;
        }
        Ok(out)
    }

    fn scale(&mut self, mut x: Activations, factor: f64) -> Result<Activations, Error> {
        x.values.iter_mut().for_each(|x| *x *= factor as f32);
        Ok(x)
    }

    fn add(&mut self, mut x: Activations, y: &Activations) -> Result<Activations, Error> {
        x.values.iter_mut().zip(&y.values).for_each(|(x, y)| *x += y);
        Ok(x)
    }

    fn multiply(&mut self, mut x: Activations, y: &Activations) -> Result<Activations, Error> {
        x.values.iter_mut().zip(&y.values).for_each(|(x, y)| *x *= y);
        Ok(x)
    }

    fn activate(&mut self, mut x: Activations, activation: Activation) -> Result<Activations, Error> {
        self.kernels.activate(activation, &mut x.values);
        Ok(x)
    }

    fn cap(&mut self, mut x: Activations, cap: f64) -> Result<Activations, Error> {
        self.kernels.scale_cap(&mut x.values, 1.0, Some(cap as f32));
        Ok(x)
    }

    fn norm(&mut self, x: &Activations, norm: &Norm<Vec<f32>>, call: NormCall) -> Result<Activations, Error> {
        let width = x.width();
        self.head_norm(x.clone(), norm, call, width)
    }

    fn head_norm(
        &mut self,
        mut x: Activations,
        norm: &Norm<Vec<f32>>,
        call: NormCall,
        head_len: usize,
    ) -> Result<Activations, Error> {
        let extra = if call.plus_one { 1.0 } else { 0.0 };
        for row in x.values.chunks_exact_mut(head_len) {
            let mean = if call.centred { self.kernels.sum(row) / head_len as f32 } else { 0.0 };
            let variance = self.kernels.squares(row, mean) / head_len as f32;
            let inverse = 1.0 / (variance + call.epsilon as f32).sqrt();
            match &norm.bias {
                None => row
                    .iter_mut()
                    .zip(&norm.weight)
                    .for_each(|(x, w)| *x = (*x - mean) * inverse * (w + extra)),
                Some(bias) => row
                    .iter_mut()
                    .zip(norm.weight.iter().zip(bias))
                    .for_each(|(x, (w, b))| *x = (*x - mean) * inverse * (w + extra) + b),
            }
        }
        Ok(x)
    }

    fn linears<const N: usize>(
        &mut self,
        x: &Activations,
        linears: [&Linear<Matrix, Vec<f32>>; N],
    ) -> Result<[Activations; N], Error> {
        let mut input = Input::default();
        Ok(linears.map(|linear| {
            let mut out = Activations::new(x.values.len() / x.width(), linear.weight.rows());
            self.kernels.product_of(linear.weight.view(), &x.values, &mut input, &mut out.values);
            self.adapt(x, (&linear.path, linear.first_row), &mut out);
            if let Some(bias) = &linear.bias {
                for row in out.values.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
                }
            }
            out
        }))
    }

    fn tied(&mut self, x: &Activations, table: &Matrix) -> Result<Activations, Error> {
        let mut out = self.product(x, table);
        self.adapt(x, (HEAD, 0), &mut out);
        Ok(out)
    }

    fn attend(
        &mut self,
        mut queries: Activations,
        mut keys: Activations,
        values: Activations,
        attention: &Attention,
        tap: &mut dyn Tap<Activations>,
    ) -> Result<Activations, Error> {
        let Attention { heads, kv_heads, head_len, layer, .. } = *attention;
        if let Some((rotary, pairing)) = attention.rotary {
            let at = self.turns(rotary, head_len);
            Self::rotate(&self.turns[at].1, pairing, head_len, &mut queries);
            Self::rotate(&self.turns[at].1, pairing, head_len, &mut keys);
        }
        let (width, kv_width, group) = (heads * head_len, kv_heads * head_len, heads / kv_heads);
        let mut out = Activations::new(self.rows, width);
        let mut first_row = 0;
        for (sequence, segment) in self.segments.iter_mut().enumerate() {
            let (rows, first) = (segment.tokens.len(), segment.first());
            let cache = match &mut segment.cache {
                Some(cache) => &mut cache.layers[layer],
                None => &mut self.passing,
            };
            let part = first_row * kv_width..(first_row + rows) * kv_width;
            cache.write(first, kv_heads, head_len, &keys.values[part.clone()], &values.values[part]);
            let queries = &queries.values[first_row * width..(first_row + rows) * width];
            let maps = tap.wants(Site::Attention { layer, sequence });
            let kernels = self.kernels;
            let task = |(kv_head, cache): (usize, &HeadCache)| {
                let (first_head, positions) = (kv_head * group, first + rows);
                let task = HeadTask { kernels, attention, cache, queries, first_head, first, positions };
                task.run(maps)
            };
            let heads_out: Vec<_> = if rayon::current_num_threads() > 1 {
                cache.heads.par_iter().enumerate().map(task).collect()
            } else {
                cache.heads.iter().enumerate().map(task).collect()
            };
            let group_width = group * head_len;
            for (kv_head, (values, _)) in heads_out.iter().enumerate() {
                for (row, values) in values.chunks_exact(group_width).enumerate() {
                    let place = (first_row + row) * width + kv_head * group_width;
                    out.values[place..place + group_width].copy_from_slice(values);
                }
            }
            if maps {
                let values = heads_out.into_iter().flat_map(|(_, maps)| maps).collect();
                let map = Activations { shape: vec![heads, rows, first + rows], values };
                tap.take(Site::Attention { layer, sequence }, &map);
            }
            first_row += rows;
        }
        Ok(out)
    }

    fn pick(&mut self, x: Activations) -> Result<Activations, Error> {
        let width = x.width();
        let mut picked = Vec::new();
        let mut first = 0;
        for segment in self.segments.iter() {
            let rows = segment.tokens.len();
            let skipped = match segment.wanted {
                Wanted::Last => rows.saturating_sub(1),
                Wanted::From(first) => first.min(rows),
            };
            picked.extend_from_slice(&x.values[(first + skipped) * width..(first + rows) * width]);
            first += rows;
        }
        self.picked = true;
        Ok(Activations { shape: vec![picked.len() / width, width], values: picked })
    }
}
