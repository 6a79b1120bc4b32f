//! What the name of an adapter's tensor says.

/// What a tensor is to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    A,
    B,
    EmbeddingA,
    EmbeddingB,
    Magnitude,
    /// Under `modules_to_save`, with the name of the parameter.
    Saved(&'a str),
    /// A parameter by its name in the base model.
    Plain(&'a str),
}

/// Splits `base_model.model.<module>.<what>` into the module's path and what the tensor is to it.
///
/// The adapter's own name, `default`, may or may not stand after what it names; other names do not belong in a
/// saved adapter and are not recognised.
pub(super) fn parse_name(name: &str) -> Option<(&str, Part<'_>)> {
    let rest = name.strip_prefix("base_model.model.")?;
    if rest.split('.').any(str::is_empty) {
        return None;
    }
    if let Some((path, saved)) = split_on(rest, "modules_to_save") {
        let parameter = saved.strip_prefix("default.").unwrap_or(saved);
        let single = !parameter.contains('.') && !path.contains("modules_to_save");
        return single.then_some((path, Part::Saved(parameter)));
    }
    for (word, part) in [
        ("lora_A", Part::A),
        ("lora_B", Part::B),
        ("lora_embedding_A", Part::EmbeddingA),
        ("lora_embedding_B", Part::EmbeddingB),
        ("lora_magnitude_vector", Part::Magnitude),
    ] {
        if let Some((path, tail)) = split_on(rest, word) {
            let known = match part {
                Part::A | Part::B => matches!(tail, "weight" | "default.weight"),
                _ => matches!(tail, "" | "default" | "weight" | "default.weight"),
            };
            return (known && !path.contains("lora_")).then_some((path, part));
        }
    }
    let (path, parameter) = rest.rsplit_once('.')?;
    (!rest.contains("lora_")).then_some((path, Part::Plain(parameter)))
}

/// `path` and `tail` of `path.word.tail`, or of `path.word` with an empty tail.
fn split_on<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    text.match_indices(word).find_map(|(at, _)| {
        let path = text.get(..at)?.strip_suffix('.')?;
        let tail = text.get(at + word.len()..)?;
        let tail = if tail.is_empty() { tail } else { tail.strip_prefix('.')? };
        (!path.is_empty()).then_some((path, tail))
    })
}

/// Last segments of module paths that are input embeddings or output heads in the model families in use.
const EMBEDDINGS: [&str; 16] = [
    "embed_tokens",
    "embed_tokens_per_layer",
    "embed_positions",
    "embed_in",
    "embed_out",
    "embeddings",
    "word_embeddings",
    "position_embeddings",
    "token_type_embeddings",
    "tok_embeddings",
    "wte",
    "wpe",
    "shared",
    "embedding",
    "lm_head",
    "output_embeddings",
];

/// Whether a module path ends in a name in use for embeddings and output heads.
pub(super) fn is_embedding(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    EMBEDDINGS.contains(&last)
}
