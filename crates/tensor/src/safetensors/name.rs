//! What a tensor may be called, in every container.

/// Whether a text may name a tensor or a key: not empty, within the limit, without control characters, and nothing
/// that leads elsewhere where somebody takes it for a path (a leading separator, a backslash, a `..` segment).
pub(crate) fn is_tensor_name(name: &str, bytes_max: usize) -> bool {
    !name.is_empty()
        && name.len() <= bytes_max
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && !name.starts_with('/')
        && name.split('/').all(|segment| segment != "..")
}
