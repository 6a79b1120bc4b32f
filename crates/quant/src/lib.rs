//! Quantisers of model weights, bit for bit those of ggml and bitsandbytes.
