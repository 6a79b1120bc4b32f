//! What the same tensor is called in GGUF and at Hugging Face.
//!
//! Source: `gguf-py/gguf/tensor_mapping.py` and `constants.py` (names), `convert_hf_to_gguf.py` (transforms) of
//! llama.cpp. Both ways: a name that is not in the table has no other.

use super::transform::{Heads, Transform};

/// A family of models with one set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Llama 1 to 3, Mistral, SmolLM: whatever GGUF calls `llama`.
    Llama,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Gemma 1.
    Gemma,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3, text only.
    Gemma3,
    /// GPT-2.
    Gpt2,
    /// BERT and its like: MiniLM, for one.
    Bert,
}

/// A name in GGUF, that at Hugging Face, and what the converter does. `{}` stands for the layer; the last segment
/// (`weight`, `bias`) is left out and the same in both.
type Row = (&'static str, &'static str, Transform);

const LLAMA: &[Row] = &[
    ("token_embd", "model.embed_tokens", Transform::Same),
    ("output_norm", "model.norm", Transform::Same),
    ("output", "lm_head", Transform::Same),
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm", Transform::Same),
    ("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Transform::Rotary(Heads::Query)),
    ("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Transform::Rotary(Heads::KeyValue)),
    ("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Transform::Same),
    ("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Transform::Same),
    ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", Transform::Same),
    ("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Transform::Same),
    ("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Transform::Same),
    ("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Transform::Same),
];

const QWEN: &[Row] = &[
    ("token_embd", "model.embed_tokens", Transform::Same),
    ("output_norm", "model.norm", Transform::Same),
    ("output", "lm_head", Transform::Same),
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm", Transform::Same),
    ("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Transform::Same),
    ("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Transform::Same),
    ("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Transform::Same),
    ("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Transform::Same),
    ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm", Transform::Same),
    ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Transform::Same),
    ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", Transform::Same),
    ("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Transform::Same),
    ("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Transform::Same),
    ("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Transform::Same),
];

const GEMMA: &[Row] = &[
    ("token_embd", "model.embed_tokens", Transform::Same),
    ("output_norm", "model.norm", Transform::PlusOne),
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm", Transform::PlusOne),
    ("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Transform::Same),
    ("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Transform::Same),
    ("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Transform::Same),
    ("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Transform::Same),
    ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", Transform::PlusOne),
    ("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Transform::Same),
    ("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Transform::Same),
    ("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Transform::Same),
];

/// Gemma 2 and 3 have norms on either side of both halves of a layer, and Gemma 3 of queries and keys.
const GEMMA_2_AND_3: &[Row] = &[
    ("token_embd", "model.embed_tokens", Transform::Same),
    ("output_norm", "model.norm", Transform::PlusOne),
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm", Transform::PlusOne),
    ("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Transform::Same),
    ("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Transform::Same),
    ("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Transform::Same),
    ("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Transform::Same),
    ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm", Transform::PlusOne),
    ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Transform::PlusOne),
    ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm", Transform::PlusOne),
    ("blk.{}.ffn_norm", "model.layers.{}.pre_feedforward_layernorm", Transform::PlusOne),
    ("blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm", Transform::PlusOne),
    ("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Transform::Same),
    ("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Transform::Same),
    ("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Transform::Same),
];

const GPT2: &[Row] = &[
    ("token_embd", "transformer.wte", Transform::Same),
    ("position_embd", "transformer.wpe", Transform::Same),
    ("output_norm", "transformer.ln_f", Transform::Same),
    ("output", "lm_head", Transform::Same),
    ("blk.{}.attn_norm", "transformer.h.{}.ln_1", Transform::Same),
    ("blk.{}.attn_qkv", "transformer.h.{}.attn.c_attn", Transform::Transposed),
    ("blk.{}.attn_output", "transformer.h.{}.attn.c_proj", Transform::Transposed),
    ("blk.{}.ffn_norm", "transformer.h.{}.ln_2", Transform::Same),
    ("blk.{}.ffn_up", "transformer.h.{}.mlp.c_fc", Transform::Transposed),
    ("blk.{}.ffn_down", "transformer.h.{}.mlp.c_proj", Transform::Transposed),
];

const BERT: &[Row] = &[
    ("token_embd", "embeddings.word_embeddings", Transform::Same),
    ("position_embd", "embeddings.position_embeddings", Transform::Same),
    ("token_types", "embeddings.token_type_embeddings", Transform::Same),
    ("token_embd_norm", "embeddings.LayerNorm", Transform::Same),
    ("blk.{}.attn_q", "encoder.layer.{}.attention.self.query", Transform::Same),
    ("blk.{}.attn_k", "encoder.layer.{}.attention.self.key", Transform::Same),
    ("blk.{}.attn_v", "encoder.layer.{}.attention.self.value", Transform::Same),
    ("blk.{}.attn_output", "encoder.layer.{}.attention.output.dense", Transform::Same),
    ("blk.{}.attn_output_norm", "encoder.layer.{}.attention.output.LayerNorm", Transform::Same),
    ("blk.{}.ffn_up", "encoder.layer.{}.intermediate.dense", Transform::Same),
    ("blk.{}.ffn_down", "encoder.layer.{}.output.dense", Transform::Same),
    ("blk.{}.layer_output_norm", "encoder.layer.{}.output.LayerNorm", Transform::Same),
];

impl Family {
    /// The family that GGUF's `general.architecture` names.
    pub fn of_architecture(architecture: &str) -> Option<Self> {
        Some(match architecture {
            "llama" => Self::Llama,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gemma" => Self::Gemma,
            "gemma2" => Self::Gemma2,
            "gemma3" => Self::Gemma3,
            "gpt2" => Self::Gpt2,
            "bert" => Self::Bert,
            _ => return None,
        })
    }

    /// The family that `model_type` in Hugging Face's `config.json` names.
    pub fn of_model_type(model_type: &str) -> Option<Self> {
        match model_type {
            "mistral" | "smollm" => Some(Self::Llama),
            "gemma3_text" => Some(Self::Gemma3),
            other => Self::of_architecture(other),
        }
    }

    const fn rows(self) -> &'static [Row] {
        match self {
            Self::Llama => LLAMA,
            Self::Qwen2 | Self::Qwen3 => QWEN,
            Self::Gemma => GEMMA,
            Self::Gemma2 | Self::Gemma3 => GEMMA_2_AND_3,
            Self::Gpt2 => GPT2,
            Self::Bert => BERT,
        }
    }

    /// What some files put in front of a name, or leave out.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Gpt2 => "transformer.",
            Self::Bert => "bert.",
            Self::Llama | Self::Qwen2 | Self::Qwen3 | Self::Gemma | Self::Gemma2 | Self::Gemma3 => "model.",
        }
    }

    /// The name at Hugging Face of a tensor that GGUF calls `name`, and what the converter did to it.
    pub fn to_hugging_face(self, name: &str) -> Option<(String, Transform)> {
        self.rows().iter().find_map(|(gguf, hugging_face, transform)| {
            let (layer, parameter) = matched(gguf, name)?;
            Some((filled(hugging_face, layer, parameter), of_parameter(*transform, parameter)))
        })
    }

    /// The name in GGUF of a tensor that Hugging Face calls `name`, and what the converter does to it. What the
    /// family's files put in front of names (`transformer.`, `bert.`, `model.`) may be there or not.
    pub fn to_gguf(self, name: &str) -> Option<(String, Transform)> {
        let bare = name.strip_prefix(self.prefix()).unwrap_or(name);
        self.rows().iter().find_map(|(gguf, hugging_face, transform)| {
            let known = hugging_face.strip_prefix(self.prefix()).unwrap_or(hugging_face);
            let (layer, parameter) = matched(known, bare)?;
            Some((filled(gguf, layer, parameter), of_parameter(*transform, parameter)))
        })
    }
}

/// A bias has no columns to be exchanged with.
fn of_parameter(transform: Transform, parameter: &str) -> Transform {
    match transform {
        Transform::Transposed | Transform::PlusOne if parameter != "weight" => Transform::Same,
        transform => transform,
    }
}

/// The layer (empty where the pattern has none) and the parameter of a name that fits a pattern.
fn matched<'n>(pattern: &str, name: &'n str) -> Option<(&'n str, &'n str)> {
    let (path, parameter) = name.rsplit_once('.').filter(|(_, last)| matches!(*last, "weight" | "bias"))?;
    let Some((head, tail)) = pattern.split_once("{}") else {
        return (path == pattern).then_some(("", parameter));
    };
    let layer = path.strip_prefix(head)?.strip_suffix(tail)?;
    let plain = layer.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=6).contains(&layer.len())
        && (layer == "0" || !layer.starts_with('0'));
    plain.then_some((layer, parameter))
}

fn filled(pattern: &str, layer: &str, parameter: &str) -> String {
    let mut name = pattern.replace("{}", layer);
    name.extend([".", parameter]);
    name
}
