//! Model files as others publish them, read in full. They are no part of the project: where they are absent, the
//! tests say so and pass.

#[cfg(test)]
mod adapter;
#[cfg(test)]
mod gguf;
#[cfg(test)]
mod onnx;
#[cfg(test)]
mod published;
#[cfg(test)]
mod weights;
