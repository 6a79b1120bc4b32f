//! A small made model, for tests and for trying the interface out: two layers, a vocabulary of bytes, weights by a
//! formula from a seed. It answers noise.

use bytes::Bytes;
use model::Error as ModelError;
use serde_json::{Map, Value, json};
use tensor::safetensors::{Dtype, write};

use crate::{AdapterFiles, ModelFiles, Named};

/// Width of the residual stream.
const HIDDEN: usize = 32;
/// Inner width of the perceptrons.
const INNER: usize = 48;
/// Layers.
const LAYERS: usize = 2;
/// Rank of the adapter.
const RANK: usize = 4;
/// Positions of the model.
pub const CONTEXT: usize = 1 << 16;
/// Control tokens, after the 256 bytes.
const CONTROLS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];
/// Tokens.
const VOCABULARY: usize = 258;

/// The chat template of the model: turns between control tokens. It refuses the role `assistant` at the beginning,
/// as some templates in use do.
const TEMPLATE: &str = "{% for message in messages %}{% if loop.first and message.role == 'assistant' %}\
{{ raise_exception('a conversation begins with the user') }}{% endif %}\
<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Uniform numbers from a seed (SplitMix64), in `-1.0..1.0`.
struct Mix(u64);

impl Mix {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[allow(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let unit = ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0;
        unit - 1.0
    }

    fn values(&mut self, count: usize, size: f32) -> Vec<u8> {
        (0..count).flat_map(|_| (self.unit() * size).to_le_bytes()).collect()
    }
}

struct Tensors(Vec<(String, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn file(&self) -> Result<Bytes, ModelError> {
        let tensors: Vec<_> = self
            .0
            .iter()
            .map(|(name, shape, bytes)| (name.as_str(), Dtype::F32, shape.as_slice(), bytes.as_slice()))
            .collect();
        Ok(Bytes::from(write(&tensors).map_err(ModelError::from)?))
    }
}

/// The linear layers of a layer: name, rows, columns.
const LINEARS: [(&str, usize, usize); 7] = [
    ("self_attn.q_proj", HIDDEN, HIDDEN),
    ("self_attn.k_proj", HIDDEN / 2, HIDDEN),
    ("self_attn.v_proj", HIDDEN / 2, HIDDEN),
    ("self_attn.o_proj", HIDDEN, HIDDEN),
    ("mlp.gate_proj", INNER, HIDDEN),
    ("mlp.up_proj", INNER, HIDDEN),
    ("mlp.down_proj", HIDDEN, INNER),
];

/// Positions of the encoder; its folder lets texts have fewer tokens.
const ENCODER_CONTEXT: usize = 64;

/// The linear layers of one of its layers: name, rows, columns.
const ENCODER_LINEARS: [(&str, usize, usize); 6] = [
    ("attention.self.query", HIDDEN, HIDDEN),
    ("attention.self.key", HIDDEN, HIDDEN),
    ("attention.self.value", HIDDEN, HIDDEN),
    ("attention.output.dense", HIDDEN, HIDDEN),
    ("intermediate.dense", INNER, HIDDEN),
    ("output.dense", HIDDEN, INNER),
];

/// The files of the model.
///
/// # Errors
/// None: what is made can be written.
pub fn model(seed: u64) -> Result<ModelFiles, ModelError> {
    let mut mix = Mix(seed);
    let mut tensors = Tensors(Vec::new());
    let mut put = |name: String, shape: Vec<usize>, bytes: Vec<u8>| tensors.0.push((name, shape, bytes));
    let norm = || 1.0_f32.to_le_bytes().repeat(HIDDEN);
    let mut embeddings = mix.values(VOCABULARY * HIDDEN, 0.6);
    // The last control token ends an answer. Its logit is zero, below that of the likeliest byte: an answer has the
    // length that was asked for.
    embeddings.truncate((VOCABULARY - 1) * HIDDEN * size_of::<f32>());
    embeddings.resize(VOCABULARY * HIDDEN * size_of::<f32>(), 0);
    put("model.embed_tokens.weight".into(), vec![VOCABULARY, HIDDEN], embeddings);
    for layer in 0..LAYERS {
        for (name, rows, columns) in LINEARS {
            let values = mix.values(rows * columns, 0.5);
            put(format!("model.layers.{layer}.{name}.weight"), vec![rows, columns], values);
        }
        for name in ["input_layernorm", "post_attention_layernorm"] {
            put(format!("model.layers.{layer}.{name}.weight"), vec![HIDDEN], norm());
        }
    }
    put("model.norm.weight".into(), vec![HIDDEN], norm());
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true,
        "torch_dtype": "float32",
    });
    let settings = json!({ "eos_token": "<|im_end|>", "chat_template": TEMPLATE });
    Ok(ModelFiles::Folder {
        config: named("config.json", config.to_string()),
        tokenizer: named("tokenizer.json", tokenizer().to_string()),
        tokenizer_config: Some(named("tokenizer_config.json", settings.to_string())),
        template: None,
        modules: None,
        pooling: None,
        sentence: None,
        weights: vec![Named { name: "model.safetensors".into(), bytes: tensors.file()? }],
    })
}

/// The files of a made encoder: two layers of the BERT family, and what sentence-transformers keeps beside them.
///
/// # Errors
/// None: what is made can be written.
pub fn encoder(seed: u64) -> Result<ModelFiles, ModelError> {
    let mut mix = Mix(seed);
    let mut tensors = Tensors(Vec::new());
    let mut put = |name: String, shape: Vec<usize>, bytes: Vec<u8>| tensors.0.push((name, shape, bytes));
    for (name, rows) in [("word", VOCABULARY), ("position", ENCODER_CONTEXT), ("token_type", 1)] {
        let values = mix.values(rows * HIDDEN, 0.6);
        put(format!("embeddings.{name}_embeddings.weight"), vec![rows, HIDDEN], values);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let path = |name: &str| format!("encoder.layer.{layer}.{name}");
        for (name, rows, columns) in ENCODER_LINEARS {
            put(format!("{}.weight", path(name)), vec![rows, columns], mix.values(rows * columns, 0.5));
            put(format!("{}.bias", path(name)), vec![rows], mix.values(rows, 0.1));
        }
        norms.extend([path("attention.output.LayerNorm"), path("output.LayerNorm")]);
    }
    for path in norms {
        put(format!("{path}.weight"), vec![HIDDEN], 1.0_f32.to_le_bytes().repeat(HIDDEN));
        put(format!("{path}.bias"), vec![HIDDEN], 0.0_f32.to_le_bytes().repeat(HIDDEN));
    }
    let config = json!({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "max_position_embeddings": ENCODER_CONTEXT, "type_vocab_size": 1, "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    });
    let modules: Vec<Value> = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
        .map(|(kind, path)| json!({ "path": path, "type": format!("sentence_transformers.models.{kind}") }))
        .into();
    let pooling = json!({ "word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": true });
    Ok(ModelFiles::Folder {
        config: named("config.json", config.to_string()),
        tokenizer: named("tokenizer.json", tokenizer().to_string()),
        tokenizer_config: None,
        template: None,
        modules: Some(named("modules.json", Value::from(modules).to_string())),
        pooling: Some(named("1_Pooling/config.json", pooling.to_string())),
        sentence: Some(named("sentence_bert_config.json", json!({ "max_seq_length": 48 }).to_string())),
        weights: vec![Named { name: "model.safetensors".into(), bytes: tensors.file()? }],
    })
}

/// The files of a LoRA adapter for it, on queries and values.
///
/// # Errors
/// None: what is made can be written.
pub fn adapter(seed: u64) -> Result<AdapterFiles, ModelError> {
    let mut mix = Mix(seed);
    let mut tensors = Tensors(Vec::new());
    for layer in 0..LAYERS {
        for (name, rows) in [("q_proj", HIDDEN), ("v_proj", HIDDEN / 2)] {
            let path = format!("base_model.model.model.layers.{layer}.self_attn.{name}");
            let (a, b) = (mix.values(RANK * HIDDEN, 0.5), mix.values(rows * RANK, 0.5));
            tensors.0.push((format!("{path}.lora_A.weight"), vec![RANK, HIDDEN], a));
            tensors.0.push((format!("{path}.lora_B.weight"), vec![rows, RANK], b));
        }
    }
    let config = json!({
        "peft_type": "LORA", "r": RANK, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"],
        "base_model_name_or_path": "made", "bias": "none", "task_type": "CAUSAL_LM",
    });
    Ok(AdapterFiles {
        config: named("adapter_config.json", config.to_string()),
        weights: Named { name: "adapter_model.safetensors".into(), bytes: tensors.file()? },
    })
}

fn named(name: &str, text: String) -> Named {
    Named { name: name.to_owned(), bytes: Bytes::from(text) }
}

/// A tokenizer whose tokens are bytes.
fn tokenizer() -> Value {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 0x100_u32..;
    let mut ids = Map::new();
    for byte in 0_u32..256 {
        let code = if printable(byte) { Some(byte) } else { others.next() };
        let letter = code.and_then(char::from_u32).unwrap_or_default();
        ids.insert(letter.to_string(), json!(byte));
    }
    let added: Vec<Value> = (256..)
        .zip(CONTROLS)
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": ids, "merges": [],
        },
    })
}
