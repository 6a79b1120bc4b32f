//! `engine`, as a person uses it.
