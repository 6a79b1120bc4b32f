//! A small generator of pseudo-random numbers from a seed, for permutations, subsamples and simulations.
//!
//! xoshiro256++ 1.0, seeded by SplitMix64 (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators",
//! 2021). It is not for secrets: who knows some outputs knows the rest.

/// The generator. The same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

/// One step of SplitMix64: the next state and the output.
fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        let mut at = seed;
        let state = std::array::from_fn(|_| {
            let (next, word) = split_mix(at);
            at = next;
            word
        });
        Self { state }
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let word = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        word
    }

    /// Uniform in [0, 1), in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Uniform among `0..bound`, without bias; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire's method: reject the few words that would make some numbers likelier than others.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.word()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Puts the entries into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, entries: &mut [T]) {
        for last in (1..entries.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            entries.swap(last, other);
        }
    }

    /// How many of `n` trials succeed at rate `p`, by inversion in steps whose count grows with `n p`.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if p <= 0.0 {
            return 0;
        }
        // Waiting times between successes are geometric: exact, and as many steps as there are successes.
        let log_q = libm::log1p(-p);
        let (mut at, mut successes) = (0.0, 0);
        loop {
            at += libm::floor(libm::log(1.0 - self.unit()) / log_q) + 1.0;
            if at > n as f64 {
                return successes;
            }
            successes += 1;
        }
    }

    /// A standard normal value (Box and Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeding_is_split_mix_as_published() {
        // The first outputs of SplitMix64 from seed 1234567, from its authors' test vector.
        let (state, first) = split_mix(1_234_567);
        assert_eq!(first, 6_457_827_717_110_365_317);
        assert_eq!(split_mix(state).1, 3_203_168_211_198_807_973);
    }

    #[test]
    fn words_are_xoshiro256_plus_plus_as_published() {
        // State 1, 2, 3, 4, as in the test of the authors' reference implementation in other languages.
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!(random.word(), 41_943_041);
        assert_eq!(random.word(), 58_720_359);
        assert_eq!(random.word(), 3_588_806_011_781_223);
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut random = Random::new(7);
        let mut counts = [0_u64; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn binomial_counts_have_their_mean_and_variance() {
        for (n, p) in [(9_u64, 0.005), (100, 0.3), (50, 0.9)] {
            let mut random = Random::new(11);
            let draws: Vec<f64> = (0..20_000).map(|_| random.binomial(n, p) as f64).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
            let (m, v) = (n as f64 * p, n as f64 * p * (1.0 - p));
            assert!((mean - m).abs() < 5.0 * (v / 20_000.0).sqrt(), "{n} {p}: {mean}");
            assert!((variance - v).abs() < 0.1 * v, "{n} {p}: {variance}");
        }
    }
}
