"""What llama.cpp's converter calls tensors, as the Python package `gguf` (0.19) says: `names.py > names.txt`.

A line holds the architecture, a name at Hugging Face and the name in GGUF. `src/weights/tests.rs` compares.
"""

from gguf import MODEL_ARCH, get_tensor_name_map

DECODER = ["model.embed_tokens.weight", "model.norm.weight"]
HEAD = ["lm_head.weight"]
PROJECTIONS = """self_attn.k_proj.weight self_attn.o_proj.weight mlp.gate_proj.weight mlp.up_proj.weight
mlp.down_proj.weight self_attn.q_proj.weight self_attn.v_proj.weight input_layernorm.weight
post_attention_layernorm.weight"""
BIASES = "self_attn.q_proj.bias self_attn.k_proj.bias self_attn.v_proj.bias"
QUERY_KEY_NORMS = "self_attn.q_norm.weight self_attn.k_norm.weight"
OUTER_NORMS = "pre_feedforward_layernorm.weight post_feedforward_layernorm.weight"
GPT2 = """ln_1.weight ln_1.bias attn.c_attn.weight attn.c_attn.bias attn.c_proj.weight attn.c_proj.bias ln_2.weight
ln_2.bias mlp.c_fc.weight mlp.c_fc.bias mlp.c_proj.weight mlp.c_proj.bias"""
BERT = """attention.self.query.weight attention.self.query.bias attention.self.key.weight attention.self.key.bias
attention.self.value.weight attention.self.value.bias attention.output.dense.weight attention.output.dense.bias
attention.output.LayerNorm.weight attention.output.LayerNorm.bias intermediate.dense.weight intermediate.dense.bias
output.dense.weight output.dense.bias output.LayerNorm.weight output.LayerNorm.bias"""


def layer(prefix, *names):
    """Those names in the seventh layer."""
    return [f"{prefix}.7.{name}" for name in " ".join(names).split()]


FAMILIES = {
    "llama": DECODER + HEAD + layer("model.layers", PROJECTIONS, BIASES),
    "qwen2": DECODER + HEAD + layer("model.layers", PROJECTIONS, BIASES),
    "qwen3": DECODER + HEAD + layer("model.layers", PROJECTIONS, QUERY_KEY_NORMS),
    "gemma": DECODER + layer("model.layers", PROJECTIONS),
    "gemma2": DECODER + layer("model.layers", PROJECTIONS, OUTER_NORMS),
    "gemma3": DECODER + layer("model.layers", PROJECTIONS, OUTER_NORMS, QUERY_KEY_NORMS),
    "gpt2": ["transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight", "transformer.ln_f.bias"]
    + HEAD
    + layer("transformer.h", GPT2),
    "bert": [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
    ]
    + layer("encoder.layer", BERT),
}

for family, names in FAMILIES.items():
    mapping = get_tensor_name_map(getattr(MODEL_ARCH, family.upper()), 12)
    for name in names:
        print(family, name, mapping.get_name(name, try_suffixes=(".weight", ".bias")))
