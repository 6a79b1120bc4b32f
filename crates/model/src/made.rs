//! Made weights for tests: seeded, so that every run sees the same.

use crate::kernel::Kind;

/// A small generator (SplitMix64).
pub(crate) struct Mix(pub(crate) u64);

impl Mix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    /// Near enough to a normal distribution: the sum of twelve uniform numbers, less six.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Where the half-precision fields of a block are.
const fn halves(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::Q4_1 | Kind::Q5_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q2K => &[80, 82],
        Kind::Q3K => &[108],
        Kind::Q6K => &[208],
        _ => &[0],
    }
}

/// Rows of random codes with scales of ordinary size.
pub(crate) fn random_rows(mix: &mut Mix, kind: Kind, rows: usize, columns: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rows * columns / kind.block_len() {
        match kind {
            Kind::F32 => bytes.extend(mix.normal().to_le_bytes()),
            Kind::F16 => bytes.extend(half::f16::from_f32(mix.normal()).to_le_bytes()),
            Kind::Bf16 => bytes.extend(half::bf16::from_f32(mix.normal()).to_le_bytes()),
            _ => {
                let mut block: Vec<u8> = (0..kind.block_bytes()).map(|_| mix.next() as u8).collect();
                for &at in halves(kind) {
                    let value = half::f16::from_f32(0.01 + 0.02 * mix.unit());
                    block[at..at + 2].copy_from_slice(&value.to_le_bytes());
                }
                bytes.extend(block);
            }
        }
    }
    bytes
}
