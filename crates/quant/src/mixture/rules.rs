//! The rules, tensor by tensor.

use super::{Choice, Facts, Importance, Mixture, Subject};
use crate::Kind;

/// Parts of names of tensors that stay as they are: small, or more sensitive than they are large.
const KEPT: [&str; 34] = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
];

/// `tensor_allows_quantization`.
pub(super) fn allowed(tensor: &Subject<'_>) -> bool {
    let kept_whole = ["position_embd.weight", "token_types.weight"];
    tensor.rank >= 2
        && tensor.name.ends_with("weight")
        && !kept_whole.contains(&tensor.name)
        && !tensor.name.contains("mm.a.code_embd")
        && !KEPT.iter().any(|part| tensor.name.contains(part))
}

/// `tensor_type_fallback`.
pub(super) fn fitting(kind: Kind, row_len: usize) -> Choice {
    if row_len.is_multiple_of(kind.block_elements()) {
        return Choice::Quantise(kind);
    }
    let smaller = match kind {
        Kind::Iq4Xs => Kind::Iq4Nl,
        Kind::Q2K | Kind::Q3K => Kind::Q4_0,
        Kind::Q4K => Kind::Q5_0,
        Kind::Q5K => Kind::Q5_1,
        Kind::Q6K => Kind::Q8_0,
        other => other,
    };
    if row_len.is_multiple_of(smaller.block_elements()) { Choice::Quantise(smaller) } else { Choice::Half }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Embedding,
    Query,
    Key,
    /// The value projection, or what holds it.
    Value,
    /// Query, key and value in one; counts as value.
    Joined,
    AttentionOutput,
    Down,
    Output,
    Other,
}

fn category(name: &str) -> Category {
    let parts = [
        ("attn_qkv.weight", Category::Joined),
        ("attn_kv_b.weight", Category::Value),
        ("attn_v.weight", Category::Value),
        ("attn_k.weight", Category::Key),
        ("attn_q.weight", Category::Query),
        ("attn_output.weight", Category::AttentionOutput),
        ("ffn_up", Category::Other),
        ("ffn_gate", Category::Other),
        ("ffn_down", Category::Down),
    ];
    match name {
        "output.weight" => Category::Output,
        "token_embd.weight" | "per_layer_token_embd.weight" => Category::Embedding,
        _ => parts
            .iter()
            .find(|(part, _)| name.contains(part))
            .map_or(Category::Other, |(_, category)| *category),
    }
}

fn is_value(category: Category) -> bool {
    matches!(category, Category::Value | Category::Joined)
}

/// The state that llama.cpp carries from tensor to tensor.
pub(super) struct Walk<'a> {
    mixture: Mixture,
    facts: &'a Facts<'a>,
    values: usize,
    values_seen: usize,
    downs_seen: usize,
    tied: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn begin(mixture: Mixture, facts: &'a Facts<'a>, tensors: &[Subject<'_>]) -> Self {
        Self {
            mixture,
            facts,
            values: tensors.iter().filter(|tensor| is_value(category(tensor.name))).count(),
            values_seen: 0,
            downs_seen: 0,
            tied: !tensors.iter().any(|tensor| category(tensor.name) == Category::Output),
        }
    }

    pub(super) fn choose(&mut self, tensor: &Subject<'_>) -> Choice {
        if !allowed(tensor) {
            return Choice::Keep;
        }
        fitting(self.wanted(tensor), tensor.row_len)
    }

    /// `llama_tensor_get_type_impl`.
    fn wanted(&mut self, tensor: &Subject<'_>) -> Kind {
        let plain = self.mixture.kind();
        match category(tensor.name) {
            Category::Output => self.output(tensor),
            Category::Embedding if self.tied => self.output(tensor),
            Category::Value | Category::Joined => self.value(),
            Category::Key if self.facts.experts == 8 => Kind::Q8_0,
            Category::Down => self.down(tensor.name),
            Category::AttentionOutput => self.attention_output(),
            Category::Embedding | Category::Query | Category::Key | Category::Other => plain,
        }
    }

    fn falcon(&self) -> bool {
        self.facts.architecture == "falcon"
    }

    /// Queries that share a key.
    fn sharing(&self) -> usize {
        self.facts.heads.checked_div(self.facts.key_heads).unwrap_or(0)
    }

    fn output(&self, tensor: &Subject<'_>) -> Kind {
        let plain = self.mixture.kind();
        if self.falcon() || !tensor.row_len.is_multiple_of(plain.block_elements()) || plain == Kind::Q8_0 {
            Kind::Q8_0
        } else {
            Kind::Q6K
        }
    }

    fn value(&mut self) -> Kind {
        let seen = self.values_seen;
        self.values_seen += 1;
        let mut kind = match self.mixture {
            Mixture::Q2K | Mixture::Q2KS if self.sharing() >= 4 => Kind::Q4K,
            Mixture::Q2K => Kind::Q3K,
            Mixture::Q3KM if seen < 2 => Kind::Q5K,
            Mixture::Q3KM => Kind::Q4K,
            Mixture::Q3KL => Kind::Q5K,
            Mixture::Iq4Nl | Mixture::Iq4Xs if self.sharing() >= 4 => Kind::Q5K,
            Mixture::Q4KM | Mixture::Q5KM if more_bits(seen, self.values) => Kind::Q6K,
            Mixture::Q4KS if seen < 4 => Kind::Q5K,
            other => other.kind(),
        };
        let seventy_billion = self.facts.layers == 80
            && matches!(self.facts.architecture, "llama" | "qwen2")
            && (self.facts.architecture != "llama" || self.facts.heads != self.facts.key_heads);
        if seventy_billion && matches!(kind, Kind::Q3K | Kind::Q4K) {
            kind = Kind::Q5K;
        }
        if self.facts.experts == 8 { Kind::Q8_0 } else { kind }
    }

    fn down(&mut self, name: &str) -> Kind {
        let seen = self.downs_seen;
        self.downs_seen += 1;
        let layers = self.facts.layers;
        // Experts' tensors are not in the order of their layers.
        let layer = match super::place(name).0 {
            Some(block) if self.facts.experts > 1 => usize::try_from(block).unwrap_or(usize::MAX),
            _ => seen,
        };
        let more = more_bits(layer, layers);
        let important = self.facts.importance == Importance::Given;
        match self.mixture {
            Mixture::Q2K => Kind::Q3K,
            Mixture::Q2KS if layer < layers / 8 => Kind::Q4K,
            Mixture::Q3KM if layer < layers / 16 => Kind::Q5K,
            Mixture::Q3KM if !self.falcon() || more => Kind::Q4K,
            Mixture::Q3KL if self.falcon() => Kind::Q4K,
            Mixture::Q3KL => Kind::Q5K,
            Mixture::Q4KM if self.falcon() && layer < layers / 16 => Kind::Q6K,
            Mixture::Q4KM if self.falcon() && more => Kind::Q5K,
            Mixture::Q4KM if !self.falcon() && more => Kind::Q6K,
            Mixture::Iq4Nl | Mixture::Iq4Xs if layer < layers / 8 && !important => Kind::Q5K,
            Mixture::Q5KM if more => Kind::Q6K,
            Mixture::Q4KS if !self.falcon() && layer < layers / 8 => Kind::Q5K,
            Mixture::Q4_0 if important && layer < layers / 8 => Kind::Q4_1,
            Mixture::Q5_0 if important && layer < layers / 8 => Kind::Q5_1,
            other => other.kind(),
        }
    }

    fn attention_output(&self) -> Kind {
        let plain = self.mixture.kind();
        if self.falcon() {
            return if self.mixture == Mixture::Q3KL { Kind::Q4K } else { plain };
        }
        if self.facts.experts == 8 {
            return match self.mixture {
                Mixture::Q2K
                | Mixture::Q3KS
                | Mixture::Q3KM
                | Mixture::Iq4Nl
                | Mixture::Iq4Xs
                | Mixture::Q4KS
                | Mixture::Q4KM => Kind::Q5K,
                _ => plain,
            };
        }
        match self.mixture {
            Mixture::Q2K => Kind::Q3K,
            Mixture::Q3KM => Kind::Q4K,
            Mixture::Q3KL => Kind::Q5K,
            _ => plain,
        }
    }
}

/// The layers that get more bits: the first and the last eighth, and every third between.
fn more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || layer.checked_sub(eighth).is_some_and(|after| after % 3 == 2)
}
