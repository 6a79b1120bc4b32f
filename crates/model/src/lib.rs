//! Language models run and trained on the CPU, with taps on what happens inside.
