//! What is wrong with a model's files: rules with ids and references, as data.
