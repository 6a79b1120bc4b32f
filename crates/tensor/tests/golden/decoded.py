"""What three tensors of SmolLM2's GGUF stand for, as the Python package `gguf` (0.19) says: `decoded.py FILE`.

A line holds the name at Hugging Face, the shape and the SHA-256 of the little-endian `f32` in Hugging Face's order of rows.
`tests/it/weights.rs` compares.
"""

import hashlib
import sys

from gguf import GGUFReader
from gguf.quants import dequantize

HEADS = {"blk.0.attn_q.weight": 9, "blk.0.attn_k.weight": 3}
NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
    "blk.0.attn_k.weight": "model.layers.0.self_attn.k_proj.weight",
    "blk.29.ffn_down.weight": "model.layers.29.mlp.down_proj.weight",
    "output_norm.weight": "model.norm.weight",
}

for tensor in GGUFReader(sys.argv[1]).tensors:
    if tensor.name in NAMES:
        values = dequantize(tensor.data, tensor.tensor_type).astype("<f4")
        if heads := HEADS.get(tensor.name):
            rows, columns = values.shape
            values = values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        print(NAMES[tensor.name], "x".join(map(str, values.shape)), digest)
