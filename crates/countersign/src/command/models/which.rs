//! Which files of a folder are its model: one answer for every command.

use std::path::Path;

use tensor::safetensors::Index;
use tensor::weights::folder::two_models;
pub(super) use tensor::weights::folder::{ADAPTER, INDEX, SINGLE};

use crate::failure::{Done, Failure, in_file};

/// Most shards of a model.
const SHARDS_MAX: usize = 4_000;

/// Refuses a folder with more than one model.
pub(super) fn is_one_model(folder: &Path, is_there: impl Fn(&str) -> bool) -> Done {
    let Some([first, second]) = two_models(is_there) else { return Ok(()) };
    let message = format!(
        "`{}` holds `{first}` and `{second}`: programs differ in which of them they read",
        folder.display()
    );
    Err(Failure::new("CS-CLI-089", message, "leave one in the folder, or name the file that is meant"))
}

/// The shards that an index names, which lie beside it.
pub(super) fn shards(place: &Path, index: &[u8]) -> Done<Vec<String>> {
    let index = Index::read(index).map_err(in_file(place))?;
    let shards = index.shards().into_iter().map(str::to_owned).collect();
    few(place, shards)
}

/// Files of weights, unless they are too many.
pub(super) fn few<T>(place: &Path, files: Vec<T>) -> Done<Vec<T>> {
    if files.len() > SHARDS_MAX {
        return Err(Failure::not_a("model", place, "it has more than 4000 shards"));
    }
    Ok(files)
}
