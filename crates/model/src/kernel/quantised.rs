//! Activations, quantised to eight bits in groups of 32 and laid out for the kernels.

use super::QUADS;

/// Activation rows, quantised, in tiles of up to eight rows that kernels work on together.
#[derive(Debug, Default)]
pub(super) struct Quantised {
    columns: usize,
    tiles: Vec<Tile>,
    /// For each tile `[column / 4][row of the tile]`, each four codes.
    quads: Vec<u32>,
    /// For each tile `[column / 32][row of the tile]`.
    scales: Vec<f32>,
    /// Scale times sum of the codes: for each tile `[column / 16][row of the tile]`.
    sums16: Vec<f32>,
    /// For each tile `[column / 32][row of the tile]`.
    sums32: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Tile {
    first: usize,
    width: usize,
}

/// A tile's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileView<'a> {
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) quads: &'a [u32],
    pub(super) scales: &'a [f32],
    pub(super) sums: &'a [f32],
}

impl Quantised {
    /// Forgets what was quantised; the memory is kept.
    pub(super) fn clear(&mut self) {
        self.tiles.clear();
    }

    /// Whether nothing is quantised.
    pub(super) const fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The tiles, with sums over groups of 16 or 32.
    pub(super) fn tiles(&self, group_len: usize) -> impl Iterator<Item = TileView<'_>> {
        self.tiles.iter().map(move |&Tile { first, width }| {
            let sums = if group_len == 16 { &self.sums16 } else { &self.sums32 };
            let part = |per_row: usize| first * per_row..(first + width) * per_row;
            TileView {
                first,
                width,
                quads: &self.quads[part(self.columns / 4)],
                scales: &self.scales[part(self.columns / 32)],
                sums: &sums[part(self.columns / group_len)],
            }
        })
    }
}

/// Quantises `x`, rows of `columns`, each 32 of them by `quantise`.
#[allow(clippy::inline_always, reason = "each level compiles its own copy with that level's instructions")]
#[inline(always)]
pub(super) fn quantise_rows(
    x: &[f32],
    columns: usize,
    out: &mut Quantised,
    quantise: impl Fn(&[f32; 32], &mut [i8; 32]) -> (f32, [i32; 2]),
) {
    let rows = x.len() / columns;
    out.columns = columns;
    out.quads.resize(x.len() / 4, 0);
    out.scales.resize(x.len() / 32, 0.0);
    out.sums16.resize(x.len() / 16, 0.0);
    out.sums32.resize(x.len() / 32, 0.0);
    out.tiles.clear();
    let mut first = 0;
    let mut codes = [0_i8; 32];
    while first < rows {
        let width = match rows - first {
            8.. => 8,
            4.. => 4,
            _ => 1,
        };
        out.tiles.push(Tile { first, width });
        let groups = columns / 32;
        for lane in 0..width {
            let row = &x[(first + lane) * columns..(first + lane + 1) * columns];
            for (group, x) in row.as_chunks::<32>().0.iter().enumerate() {
                let (scale, [a, b]) = quantise(x, &mut codes);
                let at = first * groups + group * width + lane;
                out.scales[at] = scale;
                out.sums32[at] = scale * (a + b) as f32;
                let at = first * groups * 2 + group * 2 * width + lane;
                out.sums16[at] = scale * a as f32;
                out.sums16[at + width] = scale * b as f32;
                let at = first * groups * QUADS + group * QUADS * width + lane;
                let places = out.quads[at..].iter_mut().step_by(width);
                for (place, codes) in places.zip(codes.as_chunks::<4>().0) {
                    *place = u32::from_le_bytes(codes.map(|code| code as u8));
                }
            }
        }
        first += width;
    }
}
