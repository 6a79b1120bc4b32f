//! The levels, and the rules by which a value between -1 and 1 gets one.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "tables of sixteen and of 256 entries, with indices that the loops keep below"
)]

/// A table of sixteen levels between -1 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FourBit {
    /// Quantiles of a normal distribution (QLoRA, arXiv 2305.14314).
    Nf4,
    /// A float with two bits of exponent and one of fraction.
    Fp4,
}

const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// By code: the sign in the highest bit.
const FP4: [f32; 16] = [
    0.0,
    0.0625 / 12.0,
    8.0 / 12.0,
    1.0,
    4.0 / 12.0,
    6.0 / 12.0,
    2.0 / 12.0,
    3.0 / 12.0,
    0.0,
    -0.0625 / 12.0,
    -8.0 / 12.0,
    -1.0,
    -4.0 / 12.0,
    -6.0 / 12.0,
    -2.0 / 12.0,
    -3.0 / 12.0,
];

/// The levels of version 0.48, by code.
const FP4_FOUR_DIGITS: [f32; 16] = [
    0.0, 0.0052, 0.6667, 1.0, 0.3333, 0.5, 0.1667, 0.25, 0.0, -0.0052, -0.6667, -1.0, -0.3333, -0.5, -0.1667,
    -0.25,
];

/// FP4's codes from the lowest level to the highest; of the two zeros, the positive one first.
const FP4_ORDER: [u8; 16] = [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3];

/// The thresholds of `dQuantizeNF4`, as the source writes them, and of `dQuantizeFP4` for magnitudes.
const NF4_TREE: [f32; 15] = [
    -0.848_096_4,
    -0.610_632_9,
    -0.459_995_27,
    -0.339_679_43,
    -0.234_607_41,
    -0.137_911_73,
    -0.045_525_018,
    0.039_790_15,
    0.120_255_25,
    0.203_521_25,
    0.292_013_77,
    0.389_312_54,
    0.501_663_4,
    0.642_786_9,
    0.861_478_4,
];
const FP4_TREE: [(f32, u8); 7] = [
    (0.002_604_17, 1),
    (0.085_937_5, 6),
    (0.208_333_33, 7),
    (0.291_666_67, 4),
    (0.416_666_7, 5),
    (0.583_333, 2),
    (0.833_333_3, 3),
];

impl FourBit {
    /// The level of each code.
    pub const fn levels(self) -> [f32; 16] {
        match self {
            Self::Nf4 => NF4,
            Self::Fp4 => FP4,
        }
    }

    /// The levels that version 0.48 uses on a processor.
    pub(super) const fn levels_of_048(self) -> [f32; 16] {
        match self {
            Self::Nf4 => NF4,
            Self::Fp4 => FP4_FOUR_DIGITS,
        }
    }

    /// The code by the middles between neighbouring levels; on a middle, the lower one.
    pub(super) fn by_middle(self, value: f32) -> u8 {
        let order: [u8; 16] = match self {
            Self::Nf4 => std::array::from_fn(|at| at as u8),
            Self::Fp4 => FP4_ORDER,
        };
        let levels = self.levels();
        let passed = order
            .windows(2)
            .filter(|pair| value > f32::midpoint(levels[usize::from(pair[0])], levels[usize::from(pair[1])]));
        order[passed.count()]
    }

    /// The code of the nearest level, the first of equals. What is not a number is nearest to the first, as in PyTorch.
    pub(super) fn by_distance(self, value: f32) -> u8 {
        let levels = self.levels_of_048();
        let mut best = (levels[0] - value).abs();
        let mut code = 0;
        for (at, level) in levels.iter().enumerate().skip(1) {
            let distance = (value - level).abs();
            if distance < best {
                best = distance;
                code = at as u8;
            }
        }
        code
    }

    /// The code that the CUDA kernels' comparisons lead to.
    pub(super) fn by_tree(self, value: f32) -> u8 {
        match self {
            // Comparisons in rising order lead where the tree leads; what is not a number passes none.
            Self::Nf4 => NF4_TREE.iter().filter(|threshold| value > **threshold).count() as u8,
            Self::Fp4 => {
                let sign = if value < 0.0 { 8 } else { 0 };
                let passed = FP4_TREE.iter().rev().find(|(threshold, _)| value.abs() > *threshold);
                sign + passed.map_or(0, |(_, code)| *code)
            }
        }
    }
}

/// The table of 256 rising levels that the library uses for the scales of double quantisation
/// (`create_dynamic_map`): a sign, an exponent of variable length, and an even fraction.
pub fn dynamic_map() -> [f32; 256] {
    let mut levels = Vec::with_capacity(256);
    for exponent in 0..7_i32 {
        let items = (1 << exponent) + 1;
        let boundaries: Vec<f32> = (0..items).map(|at| spaced(at, items)).collect();
        let power = libm::pow(10.0, f64::from(exponent - 6)) as f32;
        for pair in boundaries.windows(2) {
            let mean = f32::midpoint(pair[0], pair[1]);
            levels.push(power * mean);
            levels.push(-power * mean);
        }
    }
    levels.extend([0.0, 1.0]);
    levels.sort_by(f32::total_cmp);
    std::array::from_fn(|at| levels.get(at).copied().unwrap_or(0.0))
}

/// An item of `torch.linspace(0.1, 1, items)` in single precision: counted from the nearer end, product and sum rounded
/// once, as PyTorch does where the processor can.
fn spaced(at: i32, items: i32) -> f32 {
    let step = (1.0_f32 - 0.1) / (items - 1) as f32;
    if at < items / 2 {
        libm::fmaf(step, at as f32, 0.1)
    } else {
        libm::fmaf(-step, (items - at - 1) as f32, 1.0)
    }
}
