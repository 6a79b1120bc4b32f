//! Tiles: the names and counts of the specification, and proofs from nothing but tiles.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::tree::tests::{Naive, leaves, naive_root};
use crate::tree::{Frontier, HashReader as _, consistency_proof, inclusion_proof, root_at};

fn path(text: &str) -> TilePath {
    text.parse().unwrap()
}

/// All tiles of the tree with these leaves, made from the nodes that the right edge finishes.
fn tiles(leaves: &[Hash]) -> BTreeMap<TilePath, Vec<u8>> {
    let mut levels: BTreeMap<u8, Vec<Hash>> = BTreeMap::new();
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push_with(*leaf, |level, _, hash| {
            if level % TILE_HEIGHT == 0 {
                levels.entry(level / TILE_HEIGHT).or_default().push(*hash);
            }
        });
    }
    let tile = |path: TilePath| {
        let TileKind::Hashes { level } = path.kind() else { panic!("{path} is no hash tile") };
        let start = usize::try_from(path.index() * TILE_WIDTH).unwrap();
        encode_tile(&levels[&level][start..start + usize::from(path.width())])
    };
    tiles_between(0, leaves.len() as u64).map(|path| (path, tile(path))).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("no tile")]
struct NoTile;

#[test]
fn paths_have_one_spelling() {
    for text in [
        "tile/0/000",
        "tile/0/000.p/1",
        "tile/63/999.p/255",
        "tile/0/x001/x234/067",
        "tile/entries/x001/000",
        "tile/entries/000.p/15",
        "tile/1/x009/x223/x372/x036/x854/x775/807",
    ] {
        assert_eq!(path(text).to_string(), text);
    }
    assert_eq!(path("tile/0/x001/x234/067").index(), 1_234_067);
    for text in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/256/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/001/000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0/+01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/+1",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/1/",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/entry/000",
        "tile/Entries/000",
        "tile/0/000 ",
        "tile/0/٠٠٠",
    ] {
        assert_eq!(text.parse::<TilePath>().unwrap_err().code(), "CS-MRK-010", "{text}");
    }
    assert!(TilePath::new(TileKind::Entries, 0, 0).is_err());
    assert!(TilePath::new(TileKind::Entries, 0, 257).is_err());
    assert!(TilePath::new(TileKind::Hashes { level: 64 }, 0, 1).is_err());
}

#[test]
fn the_specification_s_tree_of_70_000_has_its_tiles() {
    let all: Vec<_> = tiles_between(0, 70_000).collect();
    let count = |level: u8, partial: bool| {
        let kind = TileKind::Hashes { level };
        all.iter().filter(|tile| tile.kind() == kind && tile.is_partial() == partial).count()
    };
    assert_eq!(
        [count(0, false), count(0, true), count(1, false), count(1, true), count(2, true)],
        [273, 1, 1, 1, 1]
    );
    assert_eq!(all.len(), 277);
    let partial: Vec<_> = all.iter().filter(|tile| tile.is_partial()).map(TilePath::width).collect();
    assert_eq!(partial, [112, 17, 1]);
    let small: Vec<_> = tiles_between(0, 256).map(|tile| tile.to_string()).collect();
    assert_eq!(small, ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(bundles_between(0, 70_000).count(), 274);
    assert_eq!(tiles_between(70_000, 70_000).count(), 0);
    let grown: Vec<_> = tiles_between(255, 257).map(|tile| tile.to_string()).collect();
    assert_eq!(grown, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    assert_eq!(tiles_between(9, 3).count(), 0);
    assert!(tiles_between(u64::MAX - 1, u64::MAX).count() > 0);
}

#[test]
fn tiles_have_exactly_their_width() {
    let hashes = leaves(3);
    let bytes = encode_tile(&hashes);
    assert_eq!(decode_tile(&path("tile/0/000.p/3"), &bytes).unwrap(), hashes);
    for (text, bytes) in [
        ("tile/0/000.p/2", &bytes[..]),
        ("tile/0/000.p/4", &bytes[..]),
        ("tile/0/000", &bytes[..]),
        ("tile/0/000.p/3", &bytes[..95]),
        ("tile/0/000.p/1", &[][..]),
    ] {
        assert_eq!(decode_tile(&path(text), bytes).unwrap_err().code(), "CS-MRK-011");
    }
}

#[test]
fn bundles_have_exactly_their_entries() {
    let longest = vec![7; MAX_ENTRY];
    let entries = [&b"one"[..], b"", &longest];
    let bytes = encode_bundle(&entries).unwrap();
    assert_eq!(decode_bundle(&path("tile/entries/000.p/3"), &bytes).unwrap(), entries);
    for (text, bytes) in [
        ("tile/entries/000.p/2", &bytes[..]),
        ("tile/entries/000.p/4", &bytes[..]),
        ("tile/entries/000.p/3", &bytes[..bytes.len() - 1]),
        ("tile/entries/000.p/3", &bytes[..1]),
        ("tile/entries/000.p/1", &[][..]),
    ] {
        assert_eq!(decode_bundle(&path(text), bytes).unwrap_err().code(), "CS-MRK-012");
    }
    assert_eq!(encode_bundle(&[vec![0; MAX_ENTRY + 1]]).unwrap_err().code(), "CS-MRK-013");
    assert_eq!(encode_bundle::<&[u8]>(&[]).unwrap_err().code(), "CS-MRK-012");
    assert_eq!(encode_bundle(&[b""; 257]).unwrap_err().code(), "CS-MRK-012");
    encode_bundle(&[b""; 256]).unwrap();
}

#[test]
fn an_outsider_gets_roots_and_proofs_from_tiles_alone() {
    let leaves = leaves(600);
    let size = leaves.len() as u64;
    let tiles = tiles(&leaves);
    let reader = TileReader::new(size, |path| tiles.get(&path).cloned().ok_or(NoTile));
    assert_eq!(root_at(&reader, size).unwrap(), naive_root(&leaves));
    for old in [1, 255, 256, 257, 511, 512, 600] {
        assert_eq!(root_at(&reader, old).unwrap(), naive_root(&leaves[..usize::try_from(old).unwrap()]));
        let expected = consistency_proof(&Naive(&leaves), old, size).unwrap();
        assert_eq!(consistency_proof(&reader, old, size).unwrap(), expected);
        let expected = inclusion_proof(&Naive(&leaves), old - 1, size).unwrap();
        assert_eq!(inclusion_proof(&reader, old - 1, size).unwrap(), expected);
    }
}

#[test]
fn nodes_outside_the_tree_and_bad_tiles_are_refused() {
    let leaves = leaves(300);
    let tiles = tiles(&leaves);
    let reader = TileReader::new(300, |path| tiles.get(&path).cloned().ok_or(NoTile));
    for (level, index) in [(0, 300), (1, 150), (8, 1), (9, 0), (63, 0), (64, 0), (255, 0), (0, u64::MAX)] {
        assert_eq!(reader.node(level, index).unwrap_err().code(), "CS-MRK-014", "{level} {index}");
    }
    let short = TileReader::new(300, |path: TilePath| {
        Ok::<_, Infallible>(vec![0; usize::from(path.width()) * 32 - 1])
    });
    assert_eq!(short.node(0, 0).unwrap_err().code(), "CS-MRK-011");
    let missing = TileReader::new(300, |_| Err::<Vec<u8>, _>(NoTile));
    let error = root_at(&missing, 300).unwrap_err();
    assert_eq!(error.code(), "CS-MRK-009");
    let huge = TileReader::new(u64::MAX, |_| Err::<Vec<u8>, _>(NoTile));
    assert_eq!(huge.node(0, u64::MAX - 1).unwrap_err().code(), "CS-MRK-015");
    assert_eq!(huge.node(63, 0).unwrap_err().code(), "CS-MRK-015");
}

proptest! {
    #[test]
    fn paths_round_trip(level in 0_u8..64, index in 0..=crate::tree::MAX_SIZE, width in 1_u16..=256, entries in any::<u8>()) {
        let kind = if entries % 2 == 0 { TileKind::Entries } else { TileKind::Hashes { level } };
        let tile = TilePath::new(kind, index, width).unwrap();
        prop_assert_eq!(TilePath::parse(tile.to_string().as_bytes()).unwrap(), tile);
    }

    #[test]
    fn parsing_paths_and_bundles_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(tile) = TilePath::parse(&bytes) {
            prop_assert_eq!(tile.to_string().into_bytes(), bytes.clone());
        }
        for width in 1..=256 {
            let tile = TilePath::new(TileKind::Entries, 0, width).unwrap();
            if let Ok(entries) = decode_bundle(&tile, &bytes) {
                prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes.clone());
            }
        }
    }

    #[test]
    fn growth_in_steps_gives_every_tile(first in 0_u64..3000, second in 0_u64..3000) {
        let (old, new) = (first.min(second), first.max(second));
        let mut stepwise: std::collections::BTreeSet<_> = tiles_between(0, old).collect();
        stepwise.extend(tiles_between(old, new));
        for tile in tiles_between(0, new) {
            prop_assert!(stepwise.contains(&tile), "{}", tile);
        }
    }
}
