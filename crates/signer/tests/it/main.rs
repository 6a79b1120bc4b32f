//! The crate as others use it, against tools that know nothing of it.

#[cfg(test)]
mod peers;
