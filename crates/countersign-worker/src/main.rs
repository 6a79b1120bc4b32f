//! What opens untrusted files: measures a change and answers findings. Holds no key.

fn main() {}
