//! Channels over real connections.

#[cfg(test)]
mod holding;
