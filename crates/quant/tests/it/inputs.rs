//! Tensors that are hard on a quantiser, made from a seed: the same bits on every machine. The comparison with
//! ggml's C reads this file too.

/// A small generator of good quality (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Generator(u64);

impl Generator {
    /// Starts at a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Even over 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    /// Close to a normal distribution: the sum of twelve even ones, less six.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Tails that fall slowly.
    pub(crate) fn heavy(&mut self) -> f32 {
        let unit = self.unit() * 1.998 - 0.999;
        unit / (1.0 - unit * unit)
    }
}

/// A name, and how the value at a place comes about.
type Recipe = (&'static str, fn(&mut Generator, usize) -> f32);

/// Every case's weights.
pub(crate) const CASES: &[Recipe] = &[
    ("zeros", |_, _| 0.0),
    ("negative-zeros", |_, _| -0.0),
    ("mixed-zeros", |g, _| if g.next() % 2 == 0 { 0.0 } else { -0.0 }),
    ("constant", |_, _| 0.37),
    ("constant-negative", |_, _| -0.37),
    ("constant-by-block", |_, at| (at / 16 % 7) as f32 - 3.0),
    ("normal", |g, _| g.normal() * 0.02),
    ("normal-wide", |g, _| g.normal() * 1000.0),
    ("heavy-tails", |g, _| g.heavy() * 0.01),
    ("positive", |g, _| g.unit() + 0.5),
    ("negative", |g, _| -g.unit() - 0.5),
    ("sparse", |g, _| if g.next() % 17 == 0 { g.normal() } else { 0.0 }),
    ("one-outlier", |g, at| if at % 256 == 77 { 50.0 } else { g.normal() * 0.01 }),
    ("outlier-by-group", |g, at| if at % 32 == 5 { -3.0 } else { g.normal() * 0.01 }),
    ("two-values", |g, _| if g.next() % 2 == 0 { 0.125 } else { -0.25 }),
    ("ternary", |g, _| (g.next() % 3) as f32 - 1.0),
    ("ramp", |_, at| (at % 256) as f32 / 255.0 - 0.5),
    ("ties", |g, _| ((g.next() % 33) as f32 - 16.0) * 0.5),
    ("ties-eighth", |g, _| ((g.next() % 257) as f32 - 128.0) * 0.125),
    ("ties-127", |g, at| if at % 32 == 0 { 127.0 } else { (g.next() % 253) as f32 * 0.5 - 63.0 }),
    ("half-precision", |g, _| ((g.normal() * 256.0) as i32) as f32 / 2048.0),
    ("scales-apart", |g, at| g.normal() * [1e-6, 1.0, 1e-3, 1e3, 1e-2, 1e-5, 10.0, 1e-4][at / 32 % 8]),
    ("nearly-equal", |g, _| 1.0 + (g.next() % 3) as f32 * f32::EPSILON),
    ("tiny", |g, _| g.normal() * 1e-20),
    ("around-the-zero-limit", |g, _| g.normal() * 1e-15),
    ("subnormal", |g, _| f32::from_bits((g.next() as u32) & 0x807f_ffff)),
    ("smallest", |g, _| f32::from_bits((g.next() as u32) & 0x8000_0003)),
    ("subnormal-scale", |g, _| g.normal() * 1e-37),
    ("large", |g, _| g.normal() * 1e6),
    ("huge", |g, _| g.normal() * 1e30),
    ("near-the-top", |g, _| if g.next() % 2 == 0 { 3.0e38 } else { -3.2e38 }),
    ("any-finite-bits", |g, _| {
        let bits = g.next() as u32;
        if bits & 0x7f80_0000 == 0x7f80_0000 { 1.0 } else { f32::from_bits(bits) }
    }),
    ("any-moderate-bits", |g, _| f32::from_bits((g.next() as u32 & 0x83ff_ffff) | 0x3800_0000)),
];

/// Every importance matrix's entries.
pub(crate) const IMPORTANCES: &[Recipe] = &[
    ("ones", |_, _| 1.0),
    ("zeros", |_, _| 0.0),
    ("activations", |g, _| {
        let value = g.normal();
        value * value
    }),
    ("sparse", |g, _| if g.next() % 5 == 0 { g.unit() } else { 0.0 }),
    ("apart", |g, at| g.unit() * [1e-8, 1.0, 1e4, 1e-3][at / 8 % 4]),
    ("tiny", |g, _| g.unit() * 1e-30),
    ("huge", |g, _| g.unit() * 1e20),
];

/// The weights of a case.
pub(crate) fn weights(case: usize, seed: u64, elements: usize) -> Vec<f32> {
    let mut generator = Generator::new(seed ^ (case as u64) << 32);
    (0..elements).map(|at| CASES[case].1(&mut generator, at)).collect()
}

/// The entries of an importance matrix.
pub(crate) fn importance(which: usize, seed: u64, elements: usize) -> Vec<f32> {
    let mut generator = Generator::new(seed ^ 0x1234_5678 ^ (which as u64) << 40);
    (0..elements).map(|at| IMPORTANCES[which].1(&mut generator, at)).collect()
}
