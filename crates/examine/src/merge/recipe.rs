//! How parents become one model: what is written down, and what of it can be followed.

use serde::{Deserialize, Serialize};
use tensor::scope::Pattern;

use super::refused;
use crate::error::Error;

/// How differences from the base become one. `τᵢ` is parent `i` less the base, element by element in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `base + Σ cᵢ·τᵢ` (Ilharco and others, arXiv 2212.04089).
    Weighted,
    /// Of each `τᵢ` the `⌈density·n⌉` largest elements of a tensor are kept (equals of the last are kept too); the sign of
    /// `Σ cᵢ·τᵢ` is elected for each element; `base + Σc · (Σ cᵢ·τᵢ)/(Σ cᵢ)` over the parents whose element has that sign
    /// (Yadav and others, arXiv 2306.01708).
    Ties,
    /// Each element of `τᵢ` is kept with a probability of `density` and divided by it; then as weighted (Yu and others, arXiv
    /// 2311.03099). Draws are ChaCha8's from `seed`, one stream for each parent and tensor.
    Dare,
    /// Of two parents, tensor by tensor along the great circle between them, `t = c₂/(c₁+c₂)`; straight where they are nearly
    /// parallel (Shoemake 1985, as mergekit has it). The base does not count.
    Slerp,
}

impl Method {
    /// The method of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "weighted" => Self::Weighted,
            "ties" => Self::Ties,
            "dare" => Self::Dare,
            "slerp" => Self::Slerp,
            _ => return None,
        })
    }
}

/// A direction of the residual stream along which a merge writes what the base writes, and nothing else.
///
/// `r` is the unit vector from the mean of what stands before the answers to the suite's harmless prompts to that of its harmful
/// ones, after the last layer (Arditi and others, arXiv 2406.11717). Of every matrix that writes to the residual stream
/// (`o_proj`, `down_proj`), the merge's difference from the base loses its part along `r`: `ΔW' = ΔW − r·(rᵀ·ΔW)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    /// The unit vector.
    pub direction: Vec<f32>,
}

/// How parents become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The way.
    pub method: Method,
    /// As many as parents.
    pub coefficients: Vec<f32>,
    /// The share of elements that TIES and DARE keep.
    pub density: f32,
    /// What DARE draws from.
    pub seed: u64,
    /// Tensors that are merged, by patterns on their names; all where there is none. The others stay the base's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Pattern>,
    /// A direction that is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
}

/// Most parents.
const PARENTS_MAX: usize = 64;
/// Longest direction: wider than any residual stream.
const DIRECTION_MAX: usize = 1 << 16;

impl Recipe {
    /// A merge by coefficients alone.
    pub const fn weighted(coefficients: Vec<f32>) -> Self {
        Self {
            method: Method::Weighted,
            coefficients,
            density: 1.0,
            seed: 0,
            only: Vec::new(),
            protected: None,
        }
    }

    /// Whether the recipe can be followed for so many parents.
    ///
    /// # Errors
    /// [`Error::Merge`].
    pub fn check(&self, parents: usize) -> Result<(), Error> {
        if parents == 0 || parents > PARENTS_MAX || self.coefficients.len() != parents {
            return Err(refused("as many coefficients as parents, 1 to 64"));
        }
        if self.coefficients.iter().any(|coefficient| !coefficient.is_finite() || coefficient.abs() > 10.0) {
            return Err(refused("coefficients are numbers from -10 to 10"));
        }
        if self.density.is_nan() || self.density <= 0.0 || self.density > 1.0 {
            return Err(refused("the density lies above 0 and is at most 1"));
        }
        if let Some(protected) = &self.protected {
            let finite = protected.direction.iter().all(|value| value.is_finite());
            if protected.direction.is_empty() || protected.direction.len() > DIRECTION_MAX || !finite {
                return Err(refused("the protected direction is no vector of numbers"));
            }
        }
        let sum: f32 = self.coefficients.iter().sum();
        match self.method {
            Method::Slerp if parents != 2 => Err(refused("SLERP takes two parents")),
            Method::Slerp if self.coefficients.iter().any(|c| *c < 0.0) || sum <= 0.0 => {
                Err(refused("SLERP takes coefficients that are not negative, one of them above 0"))
            }
            Method::Ties if self.coefficients.iter().any(|c| *c < 0.0) => {
                Err(refused("TIES takes coefficients that are not negative"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a tensor is merged.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it is a weighted sum and nothing else, which has a declaration of its own.
    pub fn is_plain(&self) -> bool {
        self.method == Method::Weighted && self.only.is_empty() && self.protected.is_none()
    }

    /// The coefficients of a plain weighted sum, that of the base first: `1 − Σc, c₁, …`.
    pub fn with_base(&self) -> Vec<f32> {
        let rest: f32 = self.coefficients.iter().sum();
        [1.0 - rest].into_iter().chain(self.coefficients.iter().copied()).collect()
    }

    /// Scales coefficients by the squares of `kept`, their sum staying what it was.
    pub(super) fn follow(&mut self, kept: &[f64]) {
        let sum: f64 = self.coefficients.iter().map(|c| f64::from(*c)).sum();
        let scaled: Vec<f64> =
            self.coefficients.iter().zip(kept).map(|(c, kept)| f64::from(*c) * kept * kept).collect();
        let all: f64 = scaled.iter().sum();
        if all.abs() > f64::MIN_POSITIVE {
            self.coefficients = scaled.into_iter().map(|c| (sum * c / all) as f32).collect();
        }
    }

    /// The steps by which parents join: which one, by how much, and the coefficients after that. SLERP begins at its first
    /// parent, which therefore joins whole.
    pub(super) fn steps(&self, shares: &[f32]) -> Vec<(usize, f32, Vec<f32>)> {
        let mut steps = Vec::new();
        for joining in 0..self.coefficients.len() {
            let whole_at_once = self.method == Method::Slerp && joining == 0;
            for &share in if whole_at_once { &[1.0][..] } else { shares } {
                let coefficients =
                    self.coefficients.iter().enumerate().map(|(at, c)| match at.cmp(&joining) {
                        std::cmp::Ordering::Less => *c,
                        std::cmp::Ordering::Equal if whole_at_once => 1.0,
                        std::cmp::Ordering::Equal => c * share,
                        std::cmp::Ordering::Greater => 0.0,
                    });
                steps.push((joining, share, coefficients.collect()));
            }
        }
        steps
    }
}
