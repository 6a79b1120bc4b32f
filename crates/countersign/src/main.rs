//! Change control for models that change themselves.

fn main() {}
