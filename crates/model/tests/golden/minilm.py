"""What MiniLM-L6-v2 makes of a few sentences, computed by NumPy alone from the safetensors file.

    python minilm.py FOLDER > minilm.json

FOLDER holds model.safetensors, config.json and vocab.txt. Nothing of this project or of the transformers library is
used: the file is read, the text is split and the network is computed here, in double precision.
"""
import json
import math
import struct
import sys
import unicodedata

import numpy as np

folder = sys.argv[1]
raw = open(f"{folder}/model.safetensors", "rb").read()
(size,) = struct.unpack("<Q", raw[:8])
header = json.loads(raw[8 : 8 + size])
tensors = {}
for name, entry in header.items():
    if name != "__metadata__" and entry["dtype"] == "F32":
        begin, end = entry["data_offsets"]
        values = np.frombuffer(raw[8 + size + begin : 8 + size + end], "<f4").astype(np.float64)
        tensors[name] = values.reshape(entry["shape"])
config = json.load(open(f"{folder}/config.json"))
vocabulary = {line.rstrip("\n"): number for number, line in enumerate(open(f"{folder}/vocab.txt", encoding="utf-8"))}
erf = np.vectorize(math.erf)


def punctuation(character):
    code = ord(character)
    ascii_marks = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_marks or unicodedata.category(character).startswith("P")


def tokens_of(text):
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    text = "".join(f" {c} " if punctuation(c) else c for c in text)
    out = [vocabulary["[CLS]"]]
    for word in text.split():
        start, pieces = 0, []
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in vocabulary:
                    pieces.append(vocabulary[piece])
                    start = end
                    break
            else:
                pieces = [vocabulary["[UNK]"]]
                break
        out += pieces
    return out + [vocabulary["[SEP]"]]


def norm(x, name):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + config["layer_norm_eps"])
    return x * tensors[name + ".weight"] + tensors[name + ".bias"]


def linear(x, name):
    return x @ tensors[name + ".weight"].T + tensors[name + ".bias"]


def run(tokens):
    heads = config["num_attention_heads"]
    x = tensors["embeddings.word_embeddings.weight"][tokens]
    x = x + tensors["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    width = x.shape[1] // heads
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        split = lambda y: y.reshape(len(tokens), heads, width).transpose(1, 0, 2)
        q, k, v = (split(linear(x, at + "attention.self." + part)) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(width)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        attended = (weights @ v).transpose(1, 0, 2).reshape(x.shape)
        x = norm(linear(attended, at + "attention.output.dense") + x, at + "attention.output.LayerNorm")
        inner = linear(x, at + "intermediate.dense")
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        x = norm(linear(inner, at + "output.dense") + x, at + "output.LayerNorm")
    return x


texts = [
    "A man is eating food.",
    "Someone has a meal",
    "The rollback finished without errors.",
    "Naïve café-goers don't re-read unbelievably long antidisestablishmentarianism!",
    "q",
]
rows = []
for text in texts:
    tokens = tokens_of(text)
    out = run(tokens)
    mean = out.mean(0)
    mean /= np.sqrt((mean * mean).sum())
    row = {"text": text, "tokens": tokens}
    row["first"] = [round(float(value), 6) for value in out[0, :12]]
    row["embedding"] = [round(float(value), 7) for value in mean[::8]]
    rows.append(json.dumps(row, ensure_ascii=False))
print("[\n" + ",\n".join(rows) + "\n]")
