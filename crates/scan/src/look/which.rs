//! Which weights of a folder are the model's: programs differ.

use tensor::Error;
use tensor::safetensors::Index;
use tensor::weights::folder::two_models;

use super::notes::{Notes, shown};
use crate::artefact::{Artefact, Entry};
use crate::finding::Place;

/// Looks whether this file is the second model of its folder.
pub(super) fn beside(artefact: &Artefact<'_>, entry: &Entry<'_>, notes: &mut Notes<'_>) {
    let two = two_models(|name| artefact.beside(entry.folder(), name).is_some());
    if let Some([first, second]) = two
        && entry.name() == second
    {
        let message = format!("`{second}` lies beside `{first}`: some programs read the one, some the other");
        notes.find("SCAN-FIL-011", Place::File, message, []);
    }
}

/// Looks at the shards that an index names: each is a file beside it.
pub(super) fn index(artefact: &Artefact<'_>, entry: &Entry<'_>, bytes: &[u8], notes: &mut Notes<'_>) {
    let mut find = |message: String| notes.find("SCAN-FIL-011", Place::File, message, []);
    let index = match Index::read(bytes) {
        Ok(index) => index,
        Err(Error::ShardName { name }) => {
            return find(format!("the index names `{name}`, which does not lie beside it"));
        }
        Err(error) => return find(format!("the index cannot be followed: {error}")),
    };
    // An index that is looked at alone has nothing beside it.
    let missing = |shard: &&str| artefact.is_several() && artefact.beside(entry.folder(), shard).is_none();
    for shard in index.shards().into_iter().filter(missing) {
        find(format!("the index names `{}`, which is not there", shown(shard)));
    }
}
