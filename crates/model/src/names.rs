//! What the parts of a decoder are called in files.

use crate::config::{Architecture, Config, Presence};
use crate::source::{Origin, Source};

/// A part of a decoder that has a tensor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    Positions,
    FinalNorm,
    Output,
    AttentionNorm,
    Queries,
    Keys,
    Values,
    /// GPT-2's queries, keys and values in one.
    Fused,
    AttentionOutput,
    QueryNorm,
    KeyNorm,
    PostAttentionNorm,
    MlpNorm,
    Gate,
    Up,
    Down,
    PostMlpNorm,
}

/// The module's path in a transformers model: what adapters name, whatever file the weights come from.
pub(crate) fn path(config: &Config, part: Part, layer: usize) -> String {
    if config.architecture == Architecture::Gpt2 {
        let inner = match part {
            Part::Embedding => return "transformer.wte".to_owned(),
            Part::Positions => return "transformer.wpe".to_owned(),
            Part::FinalNorm => return "transformer.ln_f".to_owned(),
            Part::Output => return "lm_head".to_owned(),
            Part::AttentionNorm => "ln_1",
            Part::Queries | Part::Keys | Part::Values | Part::Fused => "attn.c_attn",
            Part::AttentionOutput => "attn.c_proj",
            Part::QueryNorm => "attn.q_norm",
            Part::KeyNorm => "attn.k_norm",
            Part::PostAttentionNorm => "ln_1_post",
            Part::MlpNorm => "ln_2",
            Part::Gate => "mlp.c_gate",
            Part::Up => "mlp.c_fc",
            Part::Down => "mlp.c_proj",
            Part::PostMlpNorm => "ln_2_post",
        };
        return format!("transformer.h.{layer}.{inner}");
    }
    let inner = match part {
        Part::Embedding => return "model.embed_tokens".to_owned(),
        Part::Positions => return "model.embed_positions".to_owned(),
        Part::FinalNorm => return "model.norm".to_owned(),
        Part::Output => return "lm_head".to_owned(),
        Part::AttentionNorm => "input_layernorm",
        Part::Queries => "self_attn.q_proj",
        Part::Keys => "self_attn.k_proj",
        Part::Values => "self_attn.v_proj",
        Part::Fused => "self_attn.qkv_proj",
        Part::AttentionOutput => "self_attn.o_proj",
        Part::QueryNorm => "self_attn.q_norm",
        Part::KeyNorm => "self_attn.k_norm",
        Part::PostAttentionNorm => "post_attention_layernorm",
        Part::MlpNorm => return norm_path(config, layer),
        Part::Gate => "mlp.gate_proj",
        Part::Up => "mlp.up_proj",
        Part::Down => "mlp.down_proj",
        Part::PostMlpNorm => "post_feedforward_layernorm",
    };
    format!("model.layers.{layer}.{inner}")
}

/// The norm before the perceptron has another name where there is one after attention too.
fn norm_path(config: &Config, layer: usize) -> String {
    let name = match config.post_norms {
        Presence::Present => "pre_feedforward_layernorm",
        Presence::Absent | Presence::WhereStored => "post_attention_layernorm",
    };
    format!("model.layers.{layer}.{name}")
}

/// The name, without `.weight` or `.bias`, that a part has in a file.
pub(crate) fn stored(source: &Source, config: &Config, part: Part, layer: usize) -> String {
    match source.origin() {
        Origin::Gguf => gguf(part, layer),
        Origin::Safetensors => {
            let name = path(config, part, layer);
            if config.architecture == Architecture::Gpt2 {
                // Published files of GPT-2 leave the prefix out.
                let bare = name.strip_prefix("transformer.").unwrap_or(&name);
                if source.has(&format!("{bare}.weight")) {
                    return bare.to_owned();
                }
            }
            name
        }
    }
}

/// The name in a GGUF file.
pub(crate) fn gguf(part: Part, layer: usize) -> String {
    let inner = match part {
        Part::Embedding => return "token_embd".to_owned(),
        Part::Positions => return "position_embd".to_owned(),
        Part::FinalNorm => return "output_norm".to_owned(),
        Part::Output => return "output".to_owned(),
        Part::AttentionNorm => "attn_norm",
        Part::Queries => "attn_q",
        Part::Keys => "attn_k",
        Part::Values => "attn_v",
        Part::Fused => "attn_qkv",
        Part::AttentionOutput => "attn_output",
        Part::QueryNorm => "attn_q_norm",
        Part::KeyNorm => "attn_k_norm",
        Part::PostAttentionNorm => "post_attention_norm",
        Part::MlpNorm => "ffn_norm",
        Part::Gate => "ffn_gate",
        Part::Up => "ffn_up",
        Part::Down => "ffn_down",
        Part::PostMlpNorm => "post_ffw_norm",
    };
    format!("blk.{layer}.{inner}")
}

/// The parts of a layer that are linear, with their outputs and inputs.
pub(crate) fn linear_shape(config: &Config, part: Part) -> (usize, usize) {
    let (queries, keys) = (config.heads * config.head_len, config.kv_heads * config.head_len);
    match part {
        Part::Queries => (queries, config.hidden),
        Part::Keys | Part::Values => (keys, config.hidden),
        Part::Fused => (queries + 2 * keys, config.hidden),
        Part::AttentionOutput => (config.hidden, queries),
        Part::Gate | Part::Up => (config.inner, config.hidden),
        Part::Down => (config.hidden, config.inner),
        _ => (config.vocabulary, config.hidden),
    }
}
