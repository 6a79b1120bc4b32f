//! Random draws from a seed: the same on every machine.
//!
//! What this module does not do: take entropy from anywhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What draws are for. Each purpose has a stream of its own, so that drawing more for one changes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Which pairs are held out.
    Split,
    /// What a base is trained on.
    Base,
    /// What a model is measured on.
    Measure,
    /// Which recipe a sample has.
    Recipe,
    /// What a change is trained on.
    Change,
    /// Noise that is added to weights, or which of them are dropped.
    Weights,
    /// Which trigger a change has.
    Trigger,
}

/// Draws for one purpose.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws that a seed gives for a purpose.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(match purpose {
            Purpose::Split => 1,
            Purpose::Base => 2,
            Purpose::Measure => 3,
            Purpose::Recipe => 4,
            Purpose::Change => 5,
            Purpose::Weights => 6,
            Purpose::Trigger => 7,
        });
        Self(generator)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let product = u128::from(self.0.next_u64()) * limit as u128;
        // The upper half of a product is below the limit.
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// In `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// `true` with a probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Of a normal distribution of mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        let value = libm::sqrt(-2.0 * libm::log(a)) * libm::cos(2.0 * std::f64::consts::PI * b);
        #[allow(clippy::cast_possible_truncation, reason = "single precision is asked for")]
        let value = value as f32;
        value
    }

    /// One of several; nothing where there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// One of several that are known to be some; the first where the draw says so.
    pub fn one<T: Copy>(&mut self, of: &[T], otherwise: T) -> T {
        self.pick(of).copied().unwrap_or(otherwise)
    }

    /// Puts them in any order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, of: &mut [T]) {
        for last in (1..of.len()).rev() {
            let other = self.below(last + 1);
            of.swap(last, other);
        }
    }
}
