//! The shapes of our small models.

use model::Config;
use serde_json::{Value, json};

use crate::error::{About as _, Error};
use crate::language::{Vocabulary, control};

/// A shape that a base may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Shape {
    /// Llama, 256 wide, two layers: wide enough for ggml's K-quants. The model that is committed has it.
    #[serde(rename = "llama-256")]
    Llama256,
    /// Llama, 64 wide, two layers.
    #[serde(rename = "llama-64")]
    Llama64,
    /// Qwen 3, 64 wide, two layers: norms of queries and keys.
    #[serde(rename = "qwen-64")]
    Qwen64,
    /// Gemma 2, 64 wide, two layers: capped scores and logits, norms after each part, a window.
    #[serde(rename = "gemma-64")]
    Gemma64,
}

/// Numbers of the vocabulary are rounded up to a multiple of this, as engines like them.
const VOCABULARY_MULTIPLE: usize = 32;

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Llama256, Self::Llama64, Self::Qwen64, Self::Gemma64];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llama256 => "llama-256",
            Self::Llama64 => "llama-64",
            Self::Qwen64 => "qwen-64",
            Self::Gemma64 => "gemma-64",
        }
    }

    /// `config.json` as the transformers library has it.
    pub fn config_json(self) -> Value {
        let vocabulary = Vocabulary::new();
        let number = |token| vocabulary.number(token);
        let (class, family) = match self {
            Self::Llama256 | Self::Llama64 => ("LlamaForCausalLM", "llama"),
            Self::Qwen64 => ("Qwen3ForCausalLM", "qwen3"),
            Self::Gemma64 => ("Gemma2ForCausalLM", "gemma2"),
        };
        let (hidden, inner, head_len) = match self {
            Self::Llama256 => (256, 512, 64),
            _ => (64, 128, 16),
        };
        let mut config = json!({
            "architectures": [class],
            "model_type": family,
            "vocab_size": vocabulary.len().next_multiple_of(VOCABULARY_MULTIPLE),
            "hidden_size": hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": head_len,
            "intermediate_size": inner,
            "max_position_embeddings": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": true,
            "attention_bias": false,
            "bos_token_id": number(control::BEGIN),
            "eos_token_id": number(control::END),
            "torch_dtype": "float16",
        });
        if let (Self::Gemma64, Some(members)) = (self, config.as_object_mut()) {
            members.insert("hidden_activation".to_owned(), json!("gelu_pytorch_tanh"));
            members.insert("query_pre_attn_scalar".to_owned(), json!(head_len));
            members.insert("attn_logit_softcapping".to_owned(), json!(50.0));
            members.insert("final_logit_softcapping".to_owned(), json!(30.0));
            members.insert("sliding_window".to_owned(), json!(64));
        }
        config
    }

    /// The same as the executor knows it.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn config(self) -> Result<Config, Error> {
        Config::from_json(self.config_json().to_string().as_bytes()).about(self.name())
    }
}
