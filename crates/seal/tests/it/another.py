"""Another implementation of the exact and the 8-bit seal, from docs/fingerprint.md alone.

another.py RULE-FILE MODEL...: prints one root for each model under the rule, which must have no overrides.
NumPy and blake3 do the work; GGUF files are read by ggml's own Python package.
"""

import hashlib
import json
import struct
import sys

import blake3
import numpy as np


def key(rule_digest, purpose):
    return blake3.blake3(rule_digest, derive_key_context="countersign seal v1: " + purpose).digest()


def keyed(key, data):
    return blake3.blake3(data, key=key).digest()


def tree(key, leaves):
    if not leaves:
        return keyed(key, b"")
    if len(leaves) == 1:
        return leaves[0]
    at = 1
    while at * 2 < len(leaves):
        at *= 2
    return keyed(key, tree(key, leaves[:at]) + tree(key, leaves[at:]))


def exact(block):
    """The narrowest of BF16, F16 and F32 that holds all values."""
    bits = block.view(np.uint32)
    if not (bits & 0xFFFF).any():
        return 1, (bits >> 16).astype("<u2").tobytes()
    with np.errstate(over="ignore", under="ignore"):
        half = block.astype(np.float16)
    if (half.astype(np.float32).view(np.uint32) == bits).all():
        return 2, half.astype("<f2").tobytes()
    return 3, block.astype("<f4").tobytes()


def low(block, bits):
    out = bytearray()
    for begin in range(0, len(block), 32):
        group = np.zeros(32, dtype=np.float64)
        part = block[begin : begin + 32]
        group[: len(part)] = part
        largest = np.abs(group).max()
        if not np.isfinite(largest):
            out += struct.pack("<h", 32767) + part.astype("<f8").tobytes()
            continue
        if largest == 0:
            out += struct.pack("<h", -32768)
            codes = np.zeros(32, dtype=np.int64)
        else:
            exponent = int(np.frexp(largest)[1]) - 1
            out += struct.pack("<h", exponent)
            codes = np.floor(np.ldexp(group, -(exponent + 2 - bits))).astype(np.int64)
        codes = codes & ((1 << bits) - 1)
        per_byte = 8 // bits
        packed = np.zeros(32 // per_byte, dtype=np.int64)
        for place in range(per_byte):
            packed |= codes[place::per_byte] << (bits * place)
        out += packed.astype(np.uint8).tobytes()
    return 0x40 + bits, bytes(out)


def seal(rule, tensors):
    canonical = json.dumps(rule, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(canonical).digest()
    keys = {
        name: key(digest, purpose)
        for name, purpose in {
            "payload": "payload of a block",
            "leaf": "block",
            "block_node": "node over blocks",
            "tensor": "tensor",
            "tensor_node": "node over tensors",
            "root": "root",
        }.items()
    }
    size = rule["block"]
    bits = {"exact": None, "bits-8": 8, "bits-4": 4, "bits-2": 2}[rule["default"]]
    marks = []
    for name, (shape, values) in sorted(tensors.items(), key=lambda item: item[0].encode()):
        leaves = []
        for number, begin in enumerate(range(0, len(values), size)):
            block = values[begin : begin + size]
            if block.dtype == np.int64:
                tag, payload = 0x28, block.astype("<i8").tobytes()
            elif bits is None:
                tag, payload = exact(block)
            else:
                tag, payload = low(block, bits)
            leaf = struct.pack("<BQQ", tag, number, len(block)) + keyed(keys["payload"], payload)
            leaves.append(keyed(keys["leaf"], leaf))
        encoded = name.encode()
        head = struct.pack("<Q", len(encoded)) + encoded + struct.pack(f"<Q{len(shape)}Q", len(shape), *shape)
        body = struct.pack("<Q", len(leaves)) + tree(keys["block_node"], leaves)
        marks.append(keyed(keys["tensor"], head + body))
    return keyed(keys["root"], struct.pack("<Q", len(marks)) + tree(keys["tensor_node"], marks)).hex()


def safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    kinds = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], dtype=kinds[entry["dtype"]])
        if entry["dtype"] == "F16":
            values = values.astype(np.float32)
        tensors[name] = (entry["shape"], values)
    return tensors


def gguf(path):
    """A llama model under its checkpoint's names, the rows of queries and keys put back in order."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    names = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    outer = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    reader = GGUFReader(path)
    heads = {
        "attn_q": int(reader.fields["llama.attention.head_count"].parts[-1][0]),
        "attn_k": int(reader.fields["llama.attention.head_count_kv"].parts[-1][0]),
    }
    tensors = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in heads:
                rows, columns = values.shape
                count = heads[parts[2]]
                values = values.reshape(count, rows // count // 2, 2, columns).swapaxes(1, 2)
                values = values.reshape(rows, columns)
            name = ".".join(["model", "layers", parts[1], names[parts[2]], parts[3]])
        else:
            name = ".".join([outer[parts[0]], parts[1]])
        tensors[name] = (list(values.shape), np.ascontiguousarray(values).reshape(-1))
    return tensors


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rule = json.load(file)
    for path in sys.argv[2:]:
        print(seal(rule, gguf(path) if path.endswith(".gguf") else safetensors(path)), flush=True)


main()
