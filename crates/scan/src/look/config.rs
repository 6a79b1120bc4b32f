//! `config.json` and `generation_config.json`: numbers that no model has, settings that change what is said, and
//! whether the tensors are those of the configuration.

use tensor::json::Value;
use tensor::safetensors::View;

use super::json::{each, items, member, number, string, whole};
use super::notes::{Notes, shown};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;

/// Looks at a model's configuration.
pub(super) fn model(_artefact: &Artefact<'_>, _entry: &Entry<'_>, config: &Value, notes: &mut Notes<'_>) {
    each(config, &mut String::new(), &mut |pointer, key, value| {
        let Some(number) = number(value) else { return };
        let (least, most) = (format!("{key}_min"), format!("{key}_max"));
        let (least, most) =
            (notes.rules.parameter("SCAN-CFG-005", &least), notes.rules.parameter("SCAN-CFG-005", &most));
        // A bound that is not there is NaN, which no number is below or above.
        if number < least || number > most {
            let message = format!("`{key}` is {number}, which no published model has");
            notes.find(
                "SCAN-CFG-005",
                Place::Pointer(pointer.to_owned()),
                message,
                [format!("ordinary: {least} to {most}")],
            );
        }
    });
    if let Some(name) = string(config, "_name_or_path")
        && (name.starts_with('/') || name.starts_with("./") || name.starts_with('~') || name.contains(":\\"))
    {
        let message =
            format!("the model says that it was loaded from `{}` on its maker's machine", shown(name));
        notes.find("SCAN-CFG-008", Place::Pointer("/_name_or_path".to_owned()), message, []);
    }
}

/// Looks at a generation configuration.
pub(super) fn generation(config: &Value, notes: &mut Notes<'_>) {
    for key in ["sequence_bias", "bad_words_ids", "force_words_ids", "forced_decoder_ids", "suppress_tokens"]
    {
        if let Some(value) = member(config, key).filter(|value| !value.is_empty()) {
            let message = format!("`{key}` forces or forbids what the model says");
            let evidence =
                format!("{} entries", if let Value::List(items) = value { items.len() } else { 1 });
            notes.find("SCAN-CFG-006", Place::Pointer(format!("/{key}")), message, [evidence]);
        }
    }
}

/// Whether the tensors of a model are those that its configuration speaks of.
pub(super) fn against_tensors(
    artefact: &Artefact<'_>,
    entry: &Entry<'_>,
    views: &[View<'_>],
    notes: &mut Notes<'_>,
) {
    // A shard holds a part; only a single file can be compared as a whole.
    if entry.name() != "model.safetensors" {
        return;
    }
    let Some(bytes) = artefact.beside(entry.folder(), "config.json").and_then(Entry::bytes) else { return };
    let Ok(config) = Value::read(bytes) else { return };
    let config = member(&config, "text_config").unwrap_or(&config);
    let embedding = views.iter().find(|view| {
        let path = view.name.strip_suffix(".weight").unwrap_or(view.name);
        view.shape.len() == 2
            && ["embed_tokens", "wte", "word_embeddings", "tok_embeddings"]
                .contains(&path.rsplit('.').next().unwrap_or(path))
    });
    let mut differ = |what: &str, said: u64, found: u64, place: Place| {
        let message = format!("the configuration says `{what}` is {said}, the tensors say {found}");
        notes.find("SCAN-CFG-007", place, message, []);
    };
    if let Some((embedding, [rows, columns])) =
        embedding.and_then(|view| Some((view, <[usize; 2]>::try_from(view.shape).ok()?)))
    {
        let place = || Place::Tensor(embedding.name.to_owned());
        if let Some(said) = whole(config, "vocab_size").filter(|&said| said != rows as u64) {
            differ("vocab_size", said, rows as u64, place());
        }
        let width = whole(config, "hidden_size").or_else(|| whole(config, "n_embd"));
        // Some families (ALBERT, OPT) embed in a width of their own and say so.
        let own = whole(config, "embedding_size").or_else(|| whole(config, "word_embed_proj_dim"));
        if let Some(said) = own.or(width).filter(|&said| said != columns as u64) {
            differ("hidden_size", said, columns as u64, place());
        }
    }
    let layers = whole(config, "num_hidden_layers").or_else(|| whole(config, "n_layer"));
    let numbered = views.iter().filter_map(|view| layer_of(view.name)).max().map(|last| last + 1);
    if let (Some(said), Some(found)) = (layers, numbered)
        && found != said
        && items(config, "layer_types").is_empty()
    {
        differ("num_hidden_layers", said, found, Place::File);
    }
}

/// The number of the layer that a tensor's name speaks of, where it stands after the word for layers.
fn layer_of(name: &str) -> Option<u64> {
    let mut segments = name.split('.');
    while let Some(segment) = segments.next() {
        if matches!(segment, "layers" | "layer" | "h") {
            return segments.next()?.parse().ok();
        }
    }
    None
}
