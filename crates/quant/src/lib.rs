//! Quantisers of model weights, bit for bit those of ggml, and of bitsandbytes as far as
//! [`bitsandbytes`] says; GPTQ and AWQ tensors unpacked.
//!
//! A quantised file is not approved because somebody says it came from an approved model: it is made
//! again and compared. That needs the same bytes, so every function here repeats the float operations of
//! the code it stands in for, in the same order, each rounded once; no multiplication is fused with an
//! addition. `docs/quantize.md` says which build of ggml that matches.
//!
//! The crate works on slices. It reads no file and knows no container; [`mixture`] says which tensor llama.cpp
//! gives which kind. It multiplies no matrices.
//!
//! ```
//! use quant::Kind;
//!
//! let row: Vec<f32> = (0..256).map(|at| (at as f32 - 128.0) / 64.0).collect();
//! let blocks = quant::quantize(Kind::Q4K, &row, 256, None)?;
//! assert_eq!(blocks.len(), 144);
//! let mut again = vec![0.0; 256];
//! quant::dequantize(Kind::Q4K, &blocks, &mut again)?;
//! assert!(row.iter().zip(&again).all(|(before, after)| (before - after).abs() < 0.1));
//! # Ok::<(), quant::Error>(())
//! ```

pub mod awq;
pub mod bitsandbytes;
pub mod gptq;
pub mod mixture;

mod error;
mod ggml;
mod kind;

pub use error::Error;
pub use ggml::{check, dequantize, half, half_bits, quantize, quantize_into};
pub use kind::Kind;
