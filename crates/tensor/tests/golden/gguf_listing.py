"""Lists a GGUF file as the Python package `gguf` (0.19) reads it: `gguf_listing.py FILE > smollm2.gguf.txt`.

`tests/it/gguf.rs` makes the same listing and compares. Shapes are in ggml's order, offsets count from the start of the
file; long texts and arrays stand as SHA-256.
"""

import hashlib
import sys

from gguf import GGUFReader

reader = GGUFReader(sys.argv[1])
print("alignment", reader.alignment, "data", reader.data_offset)
for key, field in reader.fields.items():
    if key.startswith("GGUF."):
        continue
    contents = field.contents()
    types = [value_type.name for value_type in field.types]
    if isinstance(contents, list):
        digest = hashlib.sha256()
        for item in contents:
            digest.update(str(item).encode() + b"\n")
        print("array", key, types[-1], len(contents), digest.hexdigest())
    elif isinstance(contents, str) and len(contents) > 100:
        print("text", key, len(contents.encode()), hashlib.sha256(contents.encode()).hexdigest())
    else:
        print("value", key, types[0], contents)
for tensor in reader.tensors:
    shape = "x".join(map(str, tensor.shape.tolist()))
    print("tensor", tensor.name, tensor.tensor_type.name, shape, tensor.data_offset, tensor.n_bytes)
