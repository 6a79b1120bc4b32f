"""Has llama.cpp write a model in each of its mixtures, and prints the SHA-256 of each file.

    npm install --ignore-scripts node-llama-cpp@3.22.1
    python3 quantize_golden.py node_modules/@node-llama-cpp/linux-x64/bins/linux-x64 MODEL.gguf > quantize.golden

The package holds llama.cpp 0.5.0 as shared libraries; `llama_model_quantize` is called in them, with `allow_requantize`,
so the model may be quantised already.
"""

import ctypes
import hashlib
import os
import pathlib
import sys
import tempfile

MIXTURES = {
    "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
    "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30,
}


class Parameters(ctypes.Structure):
    """The beginning of `llama_model_quantize_params`, with room for the rest."""

    _fields_ = [
        ("threads", ctypes.c_int32),
        ("mixture", ctypes.c_int32),
        ("output_type", ctypes.c_int32),
        ("embedding_type", ctypes.c_int32),
        ("allow_requantize", ctypes.c_bool),
        ("rest", ctypes.c_uint8 * 239),
    ]


folder, model = pathlib.Path(sys.argv[1]), sys.argv[2]
llama = ctypes.CDLL(str(next(folder.glob("libllama.v*.so"))))
ggml = ctypes.CDLL(str(next(folder.glob("libggml.v*.so"))))
ggml.ggml_backend_load_all_from_path(str(folder).encode())
llama.llama_backend_init()
llama.llama_model_quantize_default_params.restype = Parameters
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]
llama.llama_model_quantize.restype = ctypes.c_uint32
with tempfile.TemporaryDirectory() as scratch:
    out = os.path.join(scratch, "out.gguf")
    for name, number in MIXTURES.items():
        parameters = llama.llama_model_quantize_default_params()
        parameters.threads, parameters.mixture, parameters.allow_requantize = 1, number, True
        if llama.llama_model_quantize(model.encode(), out.encode(), ctypes.byref(parameters)) != 0:
            raise SystemExit(f"llama.cpp did not write {name}")
        digest = hashlib.sha256(pathlib.Path(out).read_bytes()).hexdigest()
        print(name, digest, flush=True)
