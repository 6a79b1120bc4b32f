//! Products of weight matrices with activations, without expanding the weights.
//!
//! A matrix is worked through in panels of sixteen rows. A panel of quantised rows is brought to the common form of
//! [`kind`] (unsigned codes, a scale and an offset for each group) and multiplied with every activation row, whose
//! elements are quantised to eight bits in groups of 32 as in ggml. A product of two codes is exact; the order in
//! which groups are added is fixed ([`portable`]). So a result depends on the weights and the activation row alone:
//! not on the processor, the number of threads, or what else is in the batch.
//!
//! What this module does not do: know about models.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    clippy::excessive_precision,
    clippy::needless_range_loop,
    reason = "numeric kernels over slices whose lengths the callers in this file check"
)]

mod kind;
mod math;
mod portable;
mod quantised;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

use rayon::prelude::*;

pub use kind::Kind;
pub(crate) use kind::expand;
pub use math::Activation;

use quantised::{Quantised, TileView, quantise_rows};

/// Rows in a panel.
pub(crate) const LANES: usize = 16;
/// Quads (four codes) in 32 elements.
const QUADS: usize = 8;
/// Panels that one task works through.
const PANELS_PER_TASK: usize = 8;

/// Which instructions are used. Results are the same at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Any processor.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 and VNNI.
    Avx512,
}

impl Level {
    /// The best level that this processor has.
    pub fn detect() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable))
    }

    /// The levels that this processor has, slowest first.
    pub fn available() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx512() {
                return &[Self::Portable, Self::Avx2, Self::Avx512];
            }
            if x86::has_avx2() {
                return &[Self::Portable, Self::Avx2];
            }
        }
        &[Self::Portable]
    }
}

/// Calls a function of [`math`] at a level.
///
/// SAFETY of the calls: a `Level` above `Portable` comes from [`Level::available`] alone (checked by [`Kernels::at`]).
macro_rules! at_level {
    ($level:expr, $name:ident($($argument:expr),*)) => {
        match $level {
            Level::Portable => math::$name($($argument),*),
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx2 => unsafe { x86::avx2::$name($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx512 => unsafe { x86::avx512::$name($($argument),*) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => math::$name($($argument),*),
        }
    };
}

/// Sixteen rows in the common form.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    /// `[column / 4][lane]`, each four codes, the first in the lowest byte.
    quads: Vec<u32>,
    /// `[group][lane]`.
    scales: Vec<f32>,
    /// `[group][lane]`.
    offsets: Vec<f32>,
}

impl Panel {
    fn for_rows(kind: Kind, columns: usize) -> Self {
        let groups = columns / kind.group_len().unwrap_or(32);
        Self {
            quads: vec![0; columns / 4 * LANES],
            scales: vec![0.0; groups * LANES],
            offsets: vec![0.0; groups * LANES],
        }
    }
}

/// A matrix of weights in the form its file has: `rows × columns`, rows one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) kind: Kind,
    pub(crate) columns: usize,
    pub(crate) bytes: &'a [u8],
}

/// The kernels of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernels {
    level: Level,
}

impl Kernels {
    /// The kernels of a level, or of the best below it that this processor has.
    pub(crate) fn at(level: Level) -> Self {
        let available = Level::available();
        let level = if available.contains(&level) { level } else { Level::detect() };
        Self { level }
    }

    /// `out[row][i] = Σ w[i][k]·x[row][k]`: `x` is `rows × w.columns`, `out` is `rows × w's rows`.
    ///
    /// INVARIANT: the lengths fit; the callers make them from checked shapes.
    pub(crate) fn product(self, w: Rows<'_>, x: &[f32], out: &mut [f32]) {
        self.product_of(w, x, &mut Input::default(), out);
    }

    /// [`Kernels::product`] of an activation that several matrices are multiplied with: `input` keeps what is made
    /// of it, and belongs to one `x`.
    pub(crate) fn product_of(self, w: Rows<'_>, x: &[f32], input: &mut Input, out: &mut [f32]) {
        let Some(row_bytes) = w.kind.row_bytes(w.columns).filter(|&bytes| bytes > 0) else { return };
        let (w_rows, x_rows) = (w.bytes.len() / row_bytes, x.len() / w.columns);
        if w_rows == 0 || x_rows == 0 {
            return;
        }
        let panels = w_rows.div_ceil(LANES);
        if w.kind.group_len().is_none() {
            input.quantised.clear();
        } else if input.quantised.is_empty() {
            self.quantise(x, w.columns, &mut input.quantised);
        }
        let quantised = &input.quantised;
        let mut columns = vec![[0.0_f32; LANES]; panels * x_rows];
        let task = |(at, out): (usize, &mut [[f32; LANES]])| {
            let mut scratch = Scratch::default();
            for (panel, out) in out.chunks_mut(x_rows).enumerate() {
                let first = (at * PANELS_PER_TASK + panel) * LANES;
                self.panel(w, row_bytes, (w_rows, first), x, quantised, &mut scratch, out);
            }
        };
        if rayon::current_num_threads() > 1 {
            columns.par_chunks_mut(PANELS_PER_TASK * x_rows).enumerate().for_each(task);
        } else {
            columns.chunks_mut(PANELS_PER_TASK * x_rows).enumerate().for_each(task);
        }
        for (panel, columns) in columns.chunks(x_rows).enumerate() {
            let (first, last) = (panel * LANES, ((panel + 1) * LANES).min(w_rows));
            for (row, lanes) in columns.iter().enumerate() {
                out[row * w_rows + first..row * w_rows + last].copy_from_slice(&lanes[..last - first]);
            }
        }
    }

    fn quantise(self, x: &[f32], columns: usize, out: &mut Quantised) {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx2 => unsafe { x86::quantise_avx2(x, columns, out) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx512 => unsafe { x86::quantise_avx512(x, columns, out) },
            _ => quantise_rows(x, columns, out, math::quantise),
        }
    }

    /// The product of one panel with every activation row.
    #[allow(clippy::too_many_arguments, reason = "the inner step of `product`, cut out for its length")]
    fn panel(
        self,
        w: Rows<'_>,
        row_bytes: usize,
        (rows, first): (usize, usize),
        x: &[f32],
        quantised: &Quantised,
        scratch: &mut Scratch,
        out: &mut [[f32; LANES]],
    ) {
        let Some(group_len) = w.kind.group_len() else {
            scratch.floats.resize(w.columns * LANES, 0.0);
            portable::pack_floats(w.kind, w.bytes, row_bytes, rows, first, &mut scratch.floats);
            self.float_dots(&scratch.floats, LANES, (x, w.columns), w.columns, out);
            return;
        };
        let panel = scratch.panel.get_or_insert_with(|| Panel::for_rows(w.kind, w.columns));
        match self.level {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx512 => unsafe {
                if !x86::pack_avx512(w.kind, w.bytes, row_bytes, rows, first, panel) {
                    x86::avx512::pack(w.kind, w.bytes, row_bytes, rows, first, panel);
                }
                for tile in quantised.tiles(group_len) {
                    x86::dot_avx512(panel, group_len, tile, &mut out[tile.first..tile.first + tile.width]);
                }
            },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx2 => unsafe {
                x86::avx2::pack(w.kind, w.bytes, row_bytes, rows, first, panel);
                for tile in quantised.tiles(group_len) {
                    let out = &mut out[tile.first..tile.first + tile.width];
                    x86::dot_avx2(panel, (group_len, w.kind.wide()), tile, out);
                }
            },
            _ => {
                portable::pack(w.kind, w.bytes, row_bytes, rows, first, panel);
                for tile in quantised.tiles(group_len) {
                    let out = &mut out[tile.first..tile.first + tile.width];
                    for (row, out) in out.iter_mut().enumerate() {
                        portable::dot(panel, group_len, tile, row, out);
                    }
                }
            }
        }
    }

    /// `out[row][lane] += Σ w[k·stride + lane]·x[row·x_stride + k]` over `k < k_len`, for as many rows as `out` has.
    pub(crate) fn float_dots(
        self,
        w: &[f32],
        stride: usize,
        x: (&[f32], usize),
        k_len: usize,
        out: &mut [[f32; LANES]],
    ) {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx512 => unsafe { x86::float_dot_avx512(w, stride, x, k_len, out) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the level was detected; see `x86`")]
            Level::Avx2 => unsafe { x86::float_dot_avx2(w, stride, x, k_len, out) },
            _ => {
                for (row, out) in out.iter_mut().enumerate() {
                    portable::float_dot(w, stride, &x.0[row * x.1..row * x.1 + k_len], out);
                }
            }
        }
    }

    /// `Σ (x - mean)²`.
    pub(crate) fn squares(self, x: &[f32], mean: f32) -> f32 {
        at_level!(self.level, squares(x, mean))
    }

    /// `Σ x`.
    pub(crate) fn sum(self, x: &[f32]) -> f32 {
        at_level!(self.level, sum(x))
    }

    /// The largest element; negative infinity for none.
    pub(crate) fn largest(self, x: &[f32]) -> f32 {
        at_level!(self.level, largest(x))
    }

    /// `x = activation(x)`.
    pub(crate) fn activate(self, activation: Activation, x: &mut [f32]) {
        at_level!(self.level, activate(activation, x));
    }

    /// `x = scale·x`, or `cap·tanh(scale·x / cap)`.
    pub(crate) fn scale_cap(self, x: &mut [f32], scale: f32, cap: Option<f32>) {
        at_level!(self.level, scale_cap(x, scale, cap));
    }

    /// Replaces `x` by its softmax.
    pub(crate) fn softmax(self, x: &mut [f32]) {
        let largest = self.largest(x);
        let total = at_level!(self.level, exponentials(x, largest));
        let inverse = 1.0 / total;
        for x in x {
            *x *= inverse;
        }
    }

    /// `ln Σ e^x`.
    pub(crate) fn log_sum_exp(self, x: &[f32]) -> f32 {
        let largest = self.largest(x);
        at_level!(self.level, log_sum_exp(x, largest))
    }
}

/// What is made of an activation before it is multiplied.
#[derive(Debug, Default)]
pub(crate) struct Input {
    quantised: Quantised,
}

/// Memory that a task works in.
#[derive(Debug, Default)]
struct Scratch {
    panel: Option<Panel>,
    floats: Vec<f32>,
}

#[cfg(test)]
mod tests;
