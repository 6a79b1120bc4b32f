//! Which files of a folder are its model: one answer for every command.
//!
//! Programs differ where a folder holds several: some read `model.safetensors`, others the shards that an index names, others an
//! adapter. What one command compared would not be what another serves, so such a folder is refused.

use std::path::{Component, Path};

use tensor::safetensors::Index;

use crate::failure::{Done, Failure, in_file};

/// All weights in one file.
pub(super) const SINGLE: &str = "model.safetensors";
/// Which shard has which tensor.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// An adapter's weights.
pub(super) const ADAPTER: &str = "adapter_model.safetensors";

/// Refuses a folder with more than one of the three.
pub(super) fn is_one_model<'n>(folder: &Path, names: impl Iterator<Item = &'n str>) -> Done {
    let found: Vec<&str> = names.filter(|name| [SINGLE, INDEX, ADAPTER].contains(name)).collect();
    let [first, second, ..] = found.as_slice() else { return Ok(()) };
    let message = format!(
        "`{}` holds `{first}` and `{second}`: programs differ in which of them they read",
        folder.display()
    );
    Err(Failure::new("CS-CLI-089", message, "leave one in the folder, or name the file that is meant"))
}

/// The shards that an index names, which must be files beside it.
pub(super) fn shards(place: &Path, index: &[u8]) -> Done<Vec<String>> {
    let index = Index::read(index).map_err(in_file(place))?;
    let shards = index.shards().into_iter().map(|name| {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(_)), None) => Ok(name.to_owned()),
            _ => {
                Err(Failure::not_a("index of shards", place, "a shard is named that does not lie beside it"))
            }
        }
    });
    shards.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_two_models_is_refused() {
        let check =
            |names: &[&str]| is_one_model(Path::new("m"), names.iter().copied()).map_err(|error| error.code);
        assert_eq!(check(&["config.json", SINGLE, "pytorch_model.bin"]), Ok(()));
        assert_eq!(check(&[INDEX, "model-00001-of-00002.safetensors", "consolidated.safetensors"]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        for two in [[SINGLE, INDEX], [SINGLE, ADAPTER], [ADAPTER, INDEX]] {
            assert_eq!(check(&two), Err("CS-CLI-089".into()));
        }
    }

    #[test]
    fn shards_lie_beside_their_index() {
        let index = |shard: &str| {
            let index = serde_json::json!({ "metadata": {}, "weight_map": { "a": shard } });
            shards(Path::new("i"), index.to_string().as_bytes())
        };
        assert_eq!(index("one.safetensors").unwrap(), ["one.safetensors"]);
        for outside in ["../one.safetensors", "/one.safetensors", "x/one.safetensors", ".."] {
            assert!(index(outside).is_err(), "{outside}");
        }
    }
}
