//! Attention of one head of keys, a tile of rows at a time.

use crate::cache::{HeadCache, padded};
use crate::decoder::{Attention, Causal};
use crate::kernel::{Kernels, LANES};

/// Query rows that are worked on together.
const TILE: usize = 16;

/// One head of keys with the heads of queries that look at it.
pub(super) struct HeadTask<'a> {
    pub(super) kernels: Kernels,
    pub(super) attention: &'a Attention,
    pub(super) cache: &'a HeadCache,
    /// `rows × (heads·head_len)`.
    pub(super) queries: &'a [f32],
    /// The first head of queries.
    pub(super) first_head: usize,
    /// The position of the first row.
    pub(super) first: usize,
    /// Positions in the cache.
    pub(super) positions: usize,
}

impl HeadTask<'_> {
    /// `rows × (heads of the group · head_len)`, and the probabilities where they are wanted:
    /// `heads of the group × rows × positions`.
    pub(super) fn run(&self, maps: bool) -> (Vec<f32>, Vec<f32>) {
        let Attention { heads, kv_heads, head_len, .. } = *self.attention;
        let (group, width, stride) = (heads / kv_heads, heads * head_len, padded(head_len));
        let rows = self.queries.len() / width;
        let mut out = vec![0.0_f32; rows * group * head_len];
        let mut probabilities = if maps { vec![0.0_f32; group * rows * self.positions] } else { Vec::new() };
        let mut gathered = vec![0.0_f32; TILE * group * head_len];
        let mut scores = Vec::new();
        let mut lanes = vec![[0.0_f32; LANES]; TILE * group];
        for tile in (0..rows).step_by(TILE) {
            let count = (rows - tile).min(TILE);
            // Columns: the rows of the tile, and in each the heads of the group.
            let columns = count * group;
            for row in 0..count {
                let from = (tile + row) * width + self.first_head * head_len;
                gathered[row * group * head_len..(row + 1) * group * head_len]
                    .copy_from_slice(&self.queries[from..from + group * head_len]);
            }
            let begin = self.visible(self.first + tile).start / LANES * LANES;
            let end = self.visible(self.first + tile + count - 1).end;
            let span = (end - begin).next_multiple_of(LANES);
            scores.clear();
            scores.resize(columns * span, 0.0_f32);
            for block in 0..span / LANES {
                let keys = &self.cache.keys[(begin / LANES + block) * LANES * head_len..];
                lanes[..columns].fill([0.0; LANES]);
                let x = (gathered.as_slice(), head_len);
                self.kernels.float_dots(keys, LANES, x, head_len, &mut lanes[..columns]);
                for (column, lanes) in lanes[..columns].iter().enumerate() {
                    scores[column * span + block * LANES..][..LANES].copy_from_slice(lanes);
                }
            }
            for (column, scores) in scores.chunks_exact_mut(span).enumerate() {
                let visible = self.visible(self.first + tile + column / group);
                let (low, high) = (visible.start - begin, visible.end - begin);
                let (scale, cap) = (self.attention.scale as f32, self.attention.cap.map(|cap| cap as f32));
                self.kernels.scale_cap(&mut scores[low..high], scale, cap);
                self.kernels.softmax(&mut scores[low..high]);
                scores[..low].fill(0.0);
                scores[high..].fill(0.0);
                if maps {
                    let (row, head) = (tile + column / group, column % group);
                    let place = (head * rows + row) * self.positions + visible.start;
                    probabilities[place..place + visible.len()].copy_from_slice(&scores[low..high]);
                }
            }
            for part in 0..stride / LANES {
                lanes[..columns].fill([0.0; LANES]);
                let values = &self.cache.values[begin * stride + part * LANES..];
                let x = (scores.as_slice(), span);
                self.kernels.float_dots(values, stride, x, end - begin, &mut lanes[..columns]);
                let used = (head_len - part * LANES).min(LANES);
                for (column, lanes) in lanes[..columns].iter().enumerate() {
                    let place = (tile * group + column) * head_len + part * LANES;
                    out[place..place + used].copy_from_slice(&lanes[..used]);
                }
            }
        }
        (out, probabilities)
    }

    /// The positions that a position looks at.
    fn visible(&self, position: usize) -> std::ops::Range<usize> {
        match self.attention.causal {
            Causal::All => 0..self.positions,
            Causal::Past => {
                let window = self.attention.window.unwrap_or(usize::MAX);
                (position + 1).saturating_sub(window)..position + 1
            }
        }
    }
}
