//! A small log written by Tessera: its tiles give the roots that its checkpoints state.

use std::path::Path;

use merkle::tile::{TileKind, bundles_between, decode_bundle, decode_tile, tiles_between};
use merkle::{
    Frontier, SignedCheckpoint, TilePath, TileReader, consistency_proof, inclusion_proof, leaf_hash, root_at,
    verify_consistency, verify_inclusion,
};

use crate::peers::vectors;

fn read(folder: &Path, path: TilePath) -> Result<Vec<u8>, std::io::Error> {
    std::fs::read(folder.join(path.to_string()))
}

#[test]
fn the_tiles_give_the_roots_of_every_checkpoint() {
    let Some(folder) = vectors("the_tiles_give_the_roots_of_every_checkpoint", "tessera-log") else { return };
    let folder = folder.join("testdata/log");
    let mut heads = Vec::new();
    for size in 0..=15_u64 {
        let bytes = std::fs::read(folder.join(format!("checkpoint.{size}"))).unwrap();
        let head = SignedCheckpoint::parse(&bytes).unwrap();
        assert_eq!(head.to_bytes(), bytes);
        assert_eq!(head.claims().size(), size);
        heads.push(*head.claims().root());
    }
    let mut frontier = Frontier::new();
    for (size, root) in (0_u64..).zip(&heads) {
        let reader = TileReader::new(size, |path| read(&folder, path));
        assert_eq!(root_at(&reader, size).unwrap(), *root, "size {size}");
        for path in tiles_between(0, size) {
            decode_tile(&path, &read(&folder, path).unwrap()).unwrap();
        }
        for path in bundles_between(0, size) {
            let bytes = read(&folder, path).unwrap();
            let entries = decode_bundle(&path, &bytes).unwrap();
            assert_eq!(entries.len() as u64, size);
            frontier.push(leaf_hash(entries.last().unwrap()));
        }
        assert_eq!(frontier.root(), *root, "entries of size {size}");
        for index in 0..size {
            let leaves = TilePath::in_tree(TileKind::Hashes { level: 0 }, 0, size).unwrap();
            let leaf = decode_tile(&leaves, &read(&folder, leaves).unwrap()).unwrap()
                [usize::try_from(index).unwrap()];
            let proof = inclusion_proof(&reader, index, size).unwrap();
            verify_inclusion(index, size, &leaf, &proof, root).unwrap();
        }
        for (old, old_root) in (1..=size).zip(&heads[1..]) {
            let proof = consistency_proof(&reader, old, size).unwrap();
            verify_consistency(old, size, &proof, old_root, root).unwrap();
        }
    }
}
