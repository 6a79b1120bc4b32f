//! Which tensor of a GGUF file gets which kind under a mixture such as `Q4_K_M`.
//!
//! The rules are those of llama.cpp's `llama-quant.cpp` (`tensor_allows_quantization`, `llama_tensor_get_type`,
//! `tensor_type_fallback`) for the mixtures of the kinds made here, in the order in which it goes through the
//! tensors. Rules for single architectures other than Falcon are not repeated: see [`Facts::architecture`].

mod rules;

#[cfg(test)]
mod tests;

use std::str::FromStr;

use crate::{Error, Kind};

/// A file type of llama.cpp (`enum llama_ftype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name that llama.cpp gives the mixture is its meaning")]
pub enum Mixture {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q2KS,
    Q3KS,
    Q3KM,
    Q3KL,
    Q4KS,
    Q4KM,
    Q5KS,
    Q5KM,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

/// A mixture with its name, its number in `general.file_type`, and the kind that most of its tensors get.
const TABLE: [(Mixture, &str, u32, Kind); 17] = [
    (Mixture::Q4_0, "Q4_0", 2, Kind::Q4_0),
    (Mixture::Q4_1, "Q4_1", 3, Kind::Q4_1),
    (Mixture::Q5_0, "Q5_0", 8, Kind::Q5_0),
    (Mixture::Q5_1, "Q5_1", 9, Kind::Q5_1),
    (Mixture::Q8_0, "Q8_0", 7, Kind::Q8_0),
    (Mixture::Q2K, "Q2_K", 10, Kind::Q2K),
    (Mixture::Q2KS, "Q2_K_S", 21, Kind::Q2K),
    (Mixture::Q3KS, "Q3_K_S", 11, Kind::Q3K),
    (Mixture::Q3KM, "Q3_K_M", 12, Kind::Q3K),
    (Mixture::Q3KL, "Q3_K_L", 13, Kind::Q3K),
    (Mixture::Q4KS, "Q4_K_S", 14, Kind::Q4K),
    (Mixture::Q4KM, "Q4_K_M", 15, Kind::Q4K),
    (Mixture::Q5KS, "Q5_K_S", 16, Kind::Q5K),
    (Mixture::Q5KM, "Q5_K_M", 17, Kind::Q5K),
    (Mixture::Q6K, "Q6_K", 18, Kind::Q6K),
    (Mixture::Iq4Nl, "IQ4_NL", 25, Kind::Iq4Nl),
    (Mixture::Iq4Xs, "IQ4_XS", 30, Kind::Iq4Xs),
];

impl Mixture {
    /// Every mixture.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, u32, Kind) {
        const FIRST: (Mixture, &str, u32, Kind) = TABLE[0];
        // INVARIANT: every mixture has a row; a test goes through them.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&FIRST)
    }

    /// The name, as in `Q4_K_M`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What a file says of itself in `general.file_type`.
    pub fn file_type(self) -> u32 {
        self.row().2
    }

    /// The kind of most tensors.
    pub fn kind(self) -> Kind {
        self.row().3
    }
}

impl FromStr for Mixture {
    type Err = Error;

    /// Reads llama.cpp's name, in either case; `Q3_K`, `Q4_K` and `Q5_K` mean the `M` ones, as there.
    fn from_str(text: &str) -> Result<Self, Error> {
        let name = match text.to_ascii_uppercase().as_str() {
            short @ ("Q3_K" | "Q4_K" | "Q5_K") => format!("{short}_M"),
            other => other.to_owned(),
        };
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0).ok_or_else(|| Error::UnknownKind {
            name: text.chars().take(40).flat_map(char::escape_debug).collect(),
        })
    }
}

/// What the rules ask about the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// `general.architecture`. Falcon has rules of its own; GLM5-next, whose rules are not repeated, is refused by
    /// [`kinds`].
    pub architecture: &'a str,
    /// `block_count`.
    pub layers: usize,
    /// `attention.head_count`; zero where it is not said.
    pub heads: usize,
    /// `attention.head_count_kv`; zero where it is not said.
    pub key_heads: usize,
    /// `expert_count`; zero for a model without experts.
    pub experts: usize,
    /// Whether tensors are quantised with an importance matrix.
    pub importance: Importance,
}

/// Whether there is an importance matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// There is one.
    Given,
    /// There is none.
    Absent,
}

/// What the rules ask about a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Its name in a GGUF file.
    pub name: &'a str,
    /// Elements in a row.
    pub row_len: usize,
    /// Dimensions, trailing ones of length one left aside, as ggml counts them.
    pub rank: usize,
}

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It keeps the type it has.
    Keep,
    /// It is quantised.
    Quantise(Kind),
    /// Its rows fit no block: half precision.
    Half,
}

/// The place of a tensor in llama.cpp's order: what belongs to no block first, by name, then block by block.
pub fn place(name: &str) -> (Option<u64>, &str) {
    let block = name.strip_prefix("blk.").and_then(|rest| {
        let (number, _) = rest.split_once('.')?;
        number.parse().ok()
    });
    (block, name)
}

/// What becomes of each tensor, in the order given.
///
/// # Errors
/// [`Error::UnknownKind`] for an architecture whose rules are not repeated here.
pub fn kinds(mixture: Mixture, facts: &Facts<'_>, tensors: &[Subject<'_>]) -> Result<Vec<Choice>, Error> {
    if matches!(facts.architecture, "glm5-next") {
        return Err(Error::UnknownKind { name: format!("{} for {}", mixture.name(), facts.architecture) });
    }
    let mut order: Vec<(usize, &Subject<'_>)> = tensors.iter().enumerate().collect();
    order.sort_by_key(|(_, tensor)| place(tensor.name));
    let mut walk = rules::Walk::begin(mixture, facts, tensors);
    let mut choices = vec![Choice::Keep; tensors.len()];
    for (at, tensor) in order {
        if let Some(choice) = choices.get_mut(at) {
            *choice = walk.choose(tensor);
        }
    }
    Ok(choices)
}

/// Whether llama.cpp quantises a tensor of that name and rank at all.
pub fn is_quantised(tensor: &Subject<'_>) -> bool {
    rules::allowed(tensor)
}

/// The kind, or the one that llama.cpp takes in its place for rows that are not whole blocks of it.
pub fn fitting(kind: Kind, row_len: usize) -> Choice {
    rules::fitting(kind, row_len)
}
