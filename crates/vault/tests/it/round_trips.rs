use std::io::Read;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use proptest::prelude::*;
use statement::Digest;
use vault::blocking::BlockingVault;
use vault::{FileKeyRing, MasterKey, Options, Outcome, Presence, Protection, Quota, Vault};

use crate::scene::{CHUNK, GROUP, KIB, OPTIONS, Scene, WINDOW, content, files};

#[tokio::test(flavor = "multi_thread")]
async fn sizes_around_every_border_come_back() {
    let borders = [0, CHUNK, GROUP, 2 * GROUP, 3 * GROUP, WINDOW, WINDOW + GROUP, 2 * WINDOW];
    for protection in [Protection::Encrypted, Protection::Plain] {
        let scene = Scene::with(Options { protection, ..OPTIONS }).await;
        for border in borders {
            for length in [border.saturating_sub(1), border, border + 1] {
                let bytes = content(length, 1);
                let stored = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap();
                assert_eq!(stored.digest, Digest::of(&bytes));
                assert_eq!(stored.root.as_bytes(), blake3::hash(&bytes).as_bytes());
                assert_eq!(stored.length, length as u64);
                let back = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap();
                assert!(back == bytes, "{protection:?} {length}");
                let verified = scene.vault.verify(&scene.acme, &stored.digest).await.unwrap();
                assert_eq!((verified.length, verified.root), (stored.length, stored.root));
            }
        }
        // What was written by one vault is read by the next, whichever way it stores.
        let digest = Digest::of(&content(GROUP + 1, 1));
        assert_eq!(scene.reopened().verify(&scene.acme, &digest).await.unwrap().length, GROUP as u64 + 1);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_range_is_what_the_content_has_there(
        length in prop_oneof![0..3 * GROUP, WINDOW - 2..WINDOW + 3, Just(2 * CHUNK), Just(WINDOW + 2 * GROUP)],
        ranges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
        plain in any::<bool>(),
    ) {
        runtime().block_on(async {
            let protection = if plain { Protection::Plain } else { Protection::Encrypted };
            let scene = Scene::with(Options { protection, ..OPTIONS }).await;
            let bytes = content(length, 2);
            let stored = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap();
            let artefact = scene.vault.open(&scene.acme, &stored.digest).await.unwrap();
            for (one, two) in ranges {
                let (one, two) = (one.index(length + 1), two.index(length + 1));
                let (start, end) = (one.min(two), one.max(two));
                let read = artefact.read_range(start as u64..end as u64).await.unwrap();
                prop_assert!(read == bytes[start..end], "{start}..{end} of {length}");
            }
            let outside = artefact.read_range(0..length as u64 + 1).await.unwrap_err();
            prop_assert_eq!(outside.code(), "CS-VLT-013");
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn ranges_outside_or_backwards_are_refused() {
    let scene = Scene::new().await;
    let digest = scene.vault.put_bytes(&scene.acme, b"0123456789").await.unwrap().digest;
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    for range in [0..11, 11..11, 5..4, 11..12, u64::MAX..u64::MAX, 0..u64::MAX] {
        let refusal = scene.vault.read_range(&scene.acme, &digest, range.clone()).await.unwrap_err();
        assert_eq!(refusal.code(), "CS-VLT-013", "{range:?}");
    }
    assert_eq!(&scene.vault.read_range(&scene.acme, &digest, 3..6).await.unwrap()[..], b"345");
    assert!(scene.vault.read_range(&scene.acme, &digest, 10..10).await.unwrap().is_empty());
    assert_eq!(scene.vault.read(&scene.acme, &digest, 9).await.unwrap_err().code(), "CS-VLT-012");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_in_give_the_same_artefact() {
    let scene = Scene::new().await;
    let bytes = content(WINDOW + 12_345, 3);
    let path = scene.beside("input");
    std::fs::write(&path, &bytes).unwrap();
    let first = scene.vault.put_file(&scene.acme, &path).await.unwrap();
    assert_eq!(first.outcome, Outcome::New);
    let flowing = scene.vault.put(&scene.acme, bytes.as_slice()).await.unwrap();
    let blocking = scene.vault.put_reader(&scene.acme, std::io::Cursor::new(bytes.clone())).await.unwrap();
    // One that yields little at a time.
    let (drip, rest) = bytes.split_at(1000);
    let dripping =
        drip.chunks(7).fold(Box::new(std::io::empty()) as Box<dyn Read + Send>, |before, piece| {
            Box::new(before.chain(std::io::Cursor::new(piece.to_vec())))
        });
    let dripping = dripping.chain(std::io::Cursor::new(rest.to_vec()));
    let dripped = scene.vault.put_reader(&scene.acme, dripping).await.unwrap();
    for again in [flowing, blocking, dripped] {
        assert_eq!(again.outcome, Outcome::AlreadyThere);
        assert_eq!((again.digest, again.root, again.length), (first.digest, first.root, first.length));
    }
    assert_eq!(scene.stored(&scene.acme, "content").len(), 1, "what was there already is stored once");
    let artefact = scene.vault.open(&scene.acme, &first.digest).await.unwrap();
    let pieces: Vec<_> = artefact.stream(0..artefact.length()).try_collect().await.unwrap();
    assert!(pieces.concat() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_of_the_same_content_at_once_store_it_once() {
    let scene = Scene::new().await;
    let bytes = content(300 * KIB, 4);
    let puts = (0..8).map(|_| scene.vault.put_bytes(&scene.acme, &bytes));
    let stored: Vec<_> = futures::stream::iter(puts).buffer_unordered(8).try_collect().await.unwrap();
    let new = stored.iter().filter(|stored| stored.outcome == Outcome::New).count();
    assert_eq!(new, 1);
    assert_eq!(scene.stored(&scene.acme, "content").len(), 1);
    assert_eq!(scene.stored(&scene.acme, "records").len(), 1);
    let size = std::fs::metadata(scene.only(&scene.acme, "content")).unwrap().len();
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), size);
}

/// A source that fails after some bytes.
struct Failing(u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.0).unwrap());
        if count == 0 {
            return Err(std::io::Error::other("unplugged"));
        }
        self.0 -= count as u64;
        Ok(count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_fails_leaves_nothing() {
    let scene = Scene::new().await;
    for length in [0, 10, WINDOW as u64 + 10, 3 * WINDOW as u64 + 10] {
        let refusal = scene.vault.put_reader(&scene.acme, Failing(length)).await.unwrap_err();
        assert_eq!(refusal.code(), "CS-VLT-025");
        assert!(scene.stored(&scene.acme, "content").is_empty(), "after {length} bytes");
    }
    assert!(scene.vault.list(&scene.acme).await.unwrap().is_empty());
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_dropped_leaves_nothing_visible() {
    let scene = Scene::new().await;
    // The source yields two windows and then never again.
    let (mut sender, receiver) = tokio::io::duplex(WINDOW);
    let vault = scene.vault.clone();
    let tenant = scene.acme.clone();
    let put = tokio::spawn(async move { vault.put(&tenant, receiver).await.map(|_| ()) });
    tokio::io::AsyncWriteExt::write_all(&mut sender, &content(2 * WINDOW + 1, 5)).await.unwrap();
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    assert!(scene.vault.list(&scene.acme).await.unwrap().is_empty());
    let future = crate::scene::far_future();
    scene.vault.sweep(&scene.acme, future).await.unwrap();
    assert!(scene.stored(&scene.acme, "content").is_empty());
    assert_eq!(scene.reopened().used(&scene.acme).await.unwrap(), 0);
}

#[tokio::test]
async fn names_tell_nothing_across_tenants() {
    let scene = Scene::new().await;
    let bytes = content(GROUP + 1, 6);
    let digest = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap().digest;
    scene.vault.put_bytes(&scene.other, &bytes).await.unwrap();
    let name = |path: std::path::PathBuf| {
        let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_str().unwrap().to_owned()).collect();
        format!("{}{}", parts[1], parts[0])
    };
    let (mine, theirs) = (scene.only(&scene.acme, "records"), scene.only(&scene.other, "records"));
    assert_ne!(name(mine.clone()), name(theirs));
    assert_ne!(name(mine), digest.to_string());
    let names: Vec<String> =
        files(&scene.root()).into_iter().map(|path| path.display().to_string()).collect();
    assert!(names.iter().all(|name| !name.contains(&digest.short())));
    let (mine, theirs) = (scene.only(&scene.acme, "content"), scene.only(&scene.other, "content"));
    let (mine, theirs) = (std::fs::read(mine).unwrap(), std::fs::read(theirs).unwrap());
    assert!(mine.chunks_exact(64).zip(theirs.chunks_exact(64)).all(|(mine, theirs)| mine != theirs));
    assert!(!mine.windows(16).any(|window| window == &bytes[..16]));
    // Not even the tree's hashes are there to compare with.
    let group = blake3::hash(&bytes);
    assert!(!mine.windows(32).any(|window| window == group.as_bytes()));
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let scene = Scene::new().await;
    let digest = scene.vault.put_bytes(&scene.acme, b"mine").await.unwrap().digest;
    assert!(scene.vault.contains(&scene.acme, &digest).await.unwrap());
    assert!(!scene.vault.contains(&scene.other, &digest).await.unwrap());
    assert_eq!(scene.vault.read(&scene.other, &digest, 10).await.unwrap_err().code(), "CS-VLT-001");
    let nobody = "nobody".parse().unwrap();
    assert_eq!(scene.vault.put_bytes(&nobody, b"x").await.unwrap_err().code(), "CS-VLT-004");
    assert_eq!(scene.vault.read(&nobody, &digest, 10).await.unwrap_err().code(), "CS-VLT-004");
    assert_eq!(scene.vault.create_tenant(&scene.acme).await.unwrap_err().code(), "CS-VLT-005");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_never_exceeded() {
    let scene = Scene::new().await;
    let small = scene.vault.put_bytes(&scene.acme, &content(100 * KIB, 7)).await.unwrap();
    let used = scene.vault.used(&scene.acme).await.unwrap();
    // Exactly as much as a second one of that size takes.
    scene.vault.set_quota(&scene.acme, Quota::Bytes(2 * used));
    let refusal = scene.vault.put_bytes(&scene.acme, &content(100 * KIB + 1, 8)).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-011");
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), used);
    let path = scene.beside("input");
    std::fs::write(&path, content(100 * KIB, 8)).unwrap();
    let second = scene.vault.put_file(&scene.acme, &path).await.unwrap();
    // Full: but what is there already can be put again.
    assert_eq!(scene.vault.put_file(&scene.acme, &path).await.unwrap().outcome, Outcome::AlreadyThere);
    let unknown_length = std::io::Cursor::new(content(3 * WINDOW, 9));
    assert_eq!(scene.vault.put_reader(&scene.acme, unknown_length).await.unwrap_err().code(), "CS-VLT-011");
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), 2 * used);
    let on_disk = |scene: &Scene| -> u64 {
        scene.stored(&scene.acme, "content").iter().map(|path| std::fs::metadata(path).unwrap().len()).sum()
    };
    assert_eq!(on_disk(&scene), 2 * used);
    scene.vault.remove(&scene.acme, &second.digest).await.unwrap();
    scene.vault.purge(&scene.acme, &small.digest).await.unwrap();
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), 0);
    assert_eq!(on_disk(&scene), 0);
    // Another tenant has its own account, and a vault opened anew counts what it finds.
    scene.vault.put_bytes(&scene.other, &content(500 * KIB, 9)).await.unwrap();
    let counted = scene.reopened().used(&scene.other).await.unwrap();
    assert_eq!(counted, scene.vault.used(&scene.other).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_at_once_do_not_share_one_quota_twice() {
    let scene = Scene::new().await;
    let one = content(100 * KIB, 0).len() as u64 + 56 + 7 * 16;
    scene.vault.set_quota(&scene.acme, Quota::Bytes(3 * one));
    let contents: Vec<Vec<u8>> = (0..8).map(|seed| content(100 * KIB, seed)).collect();
    let puts = contents.iter().map(|bytes| scene.vault.put_bytes(&scene.acme, bytes));
    let stored: Vec<_> = futures::stream::iter(puts).buffer_unordered(8).collect().await;
    assert_eq!(stored.iter().filter(|stored| stored.is_ok()).count(), 3);
    assert!(
        stored.iter().filter_map(|stored| stored.as_ref().err()).all(|error| error.code() == "CS-VLT-011")
    );
    assert_eq!(scene.vault.used(&scene.acme).await.unwrap(), 3 * one);
}

#[tokio::test]
async fn a_listing_names_what_is_there() {
    let scene = Scene::new().await;
    let mut digests = Vec::new();
    for seed in 0..5 {
        digests.push(scene.vault.put_bytes(&scene.acme, &content(10, seed)).await.unwrap().digest);
    }
    scene.vault.purge(&scene.acme, &digests[1]).await.unwrap();
    scene.vault.remove(&scene.acme, &digests[2]).await.unwrap();
    let purged = digests[1];
    digests.remove(2);
    digests.sort();
    let listed = scene.vault.list(&scene.acme).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.digest).collect::<Vec<_>>(), digests);
    for entry in listed {
        let expected =
            if entry.digest == purged { (Presence::Purged, None) } else { (Presence::Present, Some(10)) };
        assert_eq!((entry.presence, entry.length), expected);
    }
}

#[test]
fn any_object_store_serves_and_so_does_the_blocking_form() {
    let folder = tempfile::tempdir().unwrap();
    let ring = FileKeyRing::open(folder.path(), MasterKey::generate().unwrap()).unwrap();
    let vault = Vault::on_store(Arc::new(InMemory::new()), Arc::new(ring), OPTIONS);
    let blocking = BlockingVault::new(vault).unwrap();
    let acme = "acme".parse().unwrap();
    blocking.create_tenant(&acme).unwrap();
    let bytes = content(WINDOW + GROUP + 1, 10);
    let stored = blocking.put_bytes(&acme, &bytes).unwrap();
    assert_eq!(blocking.put_bytes(&acme, &bytes).unwrap().outcome, Outcome::AlreadyThere);
    assert!(blocking.read(&acme, &stored.digest, u64::MAX).unwrap() == bytes);
    assert_eq!(blocking.verify(&acme, &stored.digest).unwrap().length, bytes.len() as u64);
    blocking.purge(&acme, &stored.digest).unwrap();
    assert_eq!(blocking.presence(&acme, &stored.digest).unwrap(), Presence::Purged);
    let second = blocking.put_bytes(&acme, b"second").unwrap().digest;
    blocking.block_on(blocking.vault().remove(&acme, &second)).unwrap();
    assert_eq!(blocking.presence(&acme, &second).unwrap(), Presence::Absent);
    blocking.destroy_tenant(&acme).unwrap();
    assert_eq!(blocking.read(&acme, &stored.digest, 10).unwrap_err().code(), "CS-VLT-002");
    assert_eq!(blocking.list(&acme).unwrap_err().code(), "CS-VLT-003");
}
