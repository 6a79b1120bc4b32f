//! The project's chores: test, demo, bench, sim, fuzz, gen.

fn main() {}
