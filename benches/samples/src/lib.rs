//! Nothing: only the names in `Cargo.toml` matter.
