//! What becomes of each tensor.

use std::str::FromStr;

use quant::Kind;
use quant::bitsandbytes::FourBit;
use quant::mixture::{self, Choice, Importance, Mixture, is_quantised};

use super::source::{Source, Weights};
use crate::cli::QuantizeChoice;
use crate::failure::{Done, Failure};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A mixture of ggml's kinds.
    Mixture(Mixture),
    /// One of ggml's kinds.
    Kind(Kind),
    FourBit(FourBit),
    Int8,
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mixture(mixture) => mixture.name(),
            Self::Kind(kind) => kind.name(),
            Self::FourBit(FourBit::Nf4) => "NF4",
            Self::FourBit(FourBit::Fp4) => "FP4",
            Self::Int8 => "INT8",
        }
    }
}

impl FromStr for Target {
    type Err = quant::Error;

    fn from_str(text: &str) -> Result<Self, quant::Error> {
        match text.to_ascii_uppercase().as_str() {
            "NF4" => Ok(Self::FourBit(FourBit::Nf4)),
            "FP4" => Ok(Self::FourBit(FourBit::Fp4)),
            "INT8" => Ok(Self::Int8),
            // Blocks that engines make of activations stand in no file.
            "Q8_1" | "Q8_K" => Err(quant::Error::UnknownKind { name: text.to_owned() }),
            _ => match text.parse() {
                Ok(mixture) => Ok(Self::Mixture(mixture)),
                Err(_) => text.parse().map(Self::Kind),
            },
        }
    }
}

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    Keep,
    Half,
    /// To one of ggml's kinds.
    Quantise(Kind),
    /// To what bitsandbytes keeps.
    Pack,
}

pub(super) struct Plan {
    pub(super) target: Target,
    /// For each tensor of the source, in its order.
    pub(super) treatments: Vec<Treatment>,
}

impl Plan {
    pub(super) fn make(
        target: Target,
        choice: QuantizeChoice,
        source: &Source<'_>,
        importance: Importance,
    ) -> Done<Self> {
        let subjects: Vec<_> = source.tensors.iter().map(Weights::subject).collect();
        let every = |kind: Kind| {
            let treat = |(weights, subject)| match mixture::fitting(kind, Weights::row_len(weights)) {
                _ if !is_quantised(subject) => Treatment::Keep,
                Choice::Keep => Treatment::Keep,
                Choice::Half => Treatment::Half,
                Choice::Quantise(kind) => Treatment::Quantise(kind),
            };
            source.tensors.iter().zip(&subjects).map(treat).collect()
        };
        let mut treatments: Vec<Treatment> = match target {
            Target::Mixture(mixture) if choice == QuantizeChoice::Mixture && source.is_gguf() => {
                let treat = |choice| match choice {
                    Choice::Keep => Treatment::Keep,
                    Choice::Half => Treatment::Half,
                    Choice::Quantise(kind) => Treatment::Quantise(kind),
                };
                mixture::kinds(mixture, &source.facts(importance), &subjects)?
                    .into_iter()
                    .map(treat)
                    .collect()
            }
            Target::Mixture(mixture)
                if choice == QuantizeChoice::Mixture && mixture.name() != mixture.kind().name() =>
            {
                let hint =
                    "give the model's folder instead of the file, or `--pure` for the same kind everywhere";
                let message = format!("`{}` goes by the names in a GGUF file", mixture.name());
                return Err(Failure::new("CS-CLI-032", message, hint));
            }
            Target::Mixture(mixture) => every(mixture.kind()),
            Target::Kind(kind) => every(kind),
            Target::FourBit(_) | Target::Int8 => {
                let linear = |weights: &Weights<'_>| {
                    let name = weights.name;
                    weights.shape.len() == 2
                        && name.ends_with("weight")
                        && !["embed", "norm", "lm_head", "output.weight", "token_embd"]
                            .iter()
                            .any(|part| name.contains(part))
                };
                let treat = |weights| if linear(weights) { Treatment::Pack } else { Treatment::Keep };
                source.tensors.iter().map(treat).collect()
            }
        };
        // A tensor that is of the kind already is copied, as in llama.cpp.
        for (treatment, weights) in treatments.iter_mut().zip(&source.tensors) {
            let same = match treatment {
                Treatment::Quantise(kind) => kind.ggml_type() == weights.kind.number(),
                Treatment::Half => weights.kind == tensor::gguf::GgmlType::F16,
                Treatment::Keep | Treatment::Pack => false,
            };
            if same {
                *treatment = Treatment::Keep;
            }
        }
        Ok(Self { target, treatments })
    }

    /// Whether weights are quantised that had been quantised before.
    pub(super) fn requantises(&self, source: &Source<'_>) -> bool {
        let changed = self
            .treatments
            .iter()
            .zip(&source.tensors)
            .filter(|(treatment, _)| **treatment != Treatment::Keep);
        changed.into_iter().any(|(_, weights)| !weights.kind.is_plain())
    }

    /// What the output says in `general.file_type`: the mixture's number, or that of the mixture named as the kind.
    pub(super) fn file_type(&self) -> u32 {
        let mixture = match self.target {
            Target::Mixture(mixture) => Some(mixture),
            Target::Kind(_) | Target::FourBit(_) | Target::Int8 => None,
        };
        // llama.cpp's number for a guess.
        mixture.map_or(1024, Mixture::file_type)
    }
}
