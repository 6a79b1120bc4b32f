//! Verifies an export with no network and no server.

fn main() {}
