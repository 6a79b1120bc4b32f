use std::path::Path;

use statement::Digest;
use vault::{Error, Options, Part, Protection, Stored};

use crate::scene::{CHUNK, GROUP, OPTIONS, Scene, content};

const SEALED_CHUNK: usize = CHUNK + 16;
const HEADER: usize = 56;
const LENGTH: usize = 3 * GROUP + CHUNK + 100;

async fn stored(protection: Protection) -> (Scene, Stored, Vec<u8>) {
    let scene = Scene::with(Options { protection, ..OPTIONS }).await;
    let bytes = content(LENGTH, 1);
    let stored = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap();
    (scene, stored, bytes)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn damage(error: &Error, digest: Digest) -> (Part, u64) {
    match error {
        Error::Corrupt { digest: found, part, offset } => {
            assert_eq!(*found, digest);
            assert!(error.to_string().contains(&digest.to_string()));
            assert_eq!(error.code(), "CS-VLT-007");
            (*part, *offset)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_ciphertext_is_named_by_its_chunk() {
    let (scene, stored, bytes) = stored(Protection::Encrypted).await;
    let path = scene.only(&scene.acme, "content");
    let chunks = LENGTH / CHUNK + 1;
    let tree_at = HEADER + LENGTH + 16 * chunks;
    let total = std::fs::metadata(&path).unwrap().len() as usize;
    let mut places: Vec<(usize, (Part, u64))> = Vec::new();
    for at in [0, 23, 24, 55] {
        places.push((at, (Part::Header, 0)));
    }
    for chunk in [0, 1, 15, 16, 31, 47, 48, chunks - 1] {
        let start = HEADER + chunk * SEALED_CHUNK;
        let end = tree_at.min(start + SEALED_CHUNK);
        for at in [start, end - 17, end - 16, end - 1] {
            places.push((at, (Part::Content, (chunk * CHUNK) as u64)));
        }
    }
    for at in [tree_at, tree_at + 55] {
        places.push((at, (Part::Header, 0)));
    }
    for at in [tree_at + 56, total - 17, total - 16, total - 1] {
        places.push((at, (Part::Tree, 0)));
    }
    for (at, expected) in places {
        flip(&path, at);
        let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest), expected, "byte {at}");
        let error = scene.vault.verify(&scene.acme, &stored.digest).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest), expected, "byte {at}");
        flip(&path, at);
    }
    assert!(scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_plain_content_is_named_by_its_group() {
    let (scene, stored, bytes) = stored(Protection::Plain).await;
    let path = scene.only(&scene.acme, "content");
    assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, LENGTH + (4 + 2) * 32);
    for at in [0, GROUP - 1, GROUP, 2 * GROUP + 7, 3 * GROUP, LENGTH - 1] {
        flip(&path, at);
        let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest), (Part::Content, (at / GROUP * GROUP) as u64), "byte {at}");
        flip(&path, at);
    }
    // A tree that fits the damaged content does not fit the root in the sealed record.
    for at in LENGTH..LENGTH + 128 {
        flip(&path, at);
        let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest).0, Part::Tree, "byte {at}");
        flip(&path, at);
    }
    assert!(scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_elsewhere_does_not_keep_a_range_from_being_verified() {
    let (scene, stored, bytes) = stored(Protection::Encrypted).await;
    let path = scene.only(&scene.acme, "content");
    flip(&path, HEADER + 20 * SEALED_CHUNK);
    let read = |range| scene.vault.read_range(&scene.acme, &stored.digest, range);
    let group = GROUP as u64;
    assert!(read(0..group).await.unwrap() == bytes[..GROUP]);
    assert!(read(2 * group..3 * group + 5).await.unwrap() == bytes[2 * GROUP..3 * GROUP + 5]);
    let error = read(group..group + 1).await.unwrap_err();
    assert_eq!(damage(&error, stored.digest), (Part::Content, 20 * CHUNK as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_hands_out_nothing_after_the_damage_and_nothing_of_it() {
    use futures::StreamExt as _;
    let scene = Scene::new().await;
    let bytes = content(3 * crate::scene::WINDOW, 2);
    let digest = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap().digest;
    let damaged = crate::scene::WINDOW + 5 * CHUNK;
    flip(&scene.only(&scene.acme, "content"), HEADER + damaged / CHUNK * SEALED_CHUNK + 3);
    let artefact = scene.vault.open(&scene.acme, &digest).await.unwrap();
    let mut pieces = std::pin::pin!(artefact.stream(0..artefact.length()));
    assert!(pieces.next().await.unwrap().unwrap() == bytes[..crate::scene::WINDOW]);
    let error = pieces.next().await.unwrap().unwrap_err();
    assert_eq!(damage(&error, digest), (Part::Content, damaged as u64));
    assert!(pieces.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_length_is_refused() {
    for protection in [Protection::Encrypted, Protection::Plain] {
        let (scene, stored, _) = stored(protection).await;
        let path = scene.only(&scene.acme, "content");
        let whole = std::fs::read(&path).unwrap();
        for length in
            [0, 1, HEADER, HEADER + SEALED_CHUNK, LENGTH, whole.len() - SEALED_CHUNK, whole.len() - 1]
        {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = scene.vault.read_range(&scene.acme, &stored.digest, 0..1).await.unwrap_err();
            assert_eq!(damage(&error, stored.digest), (Part::Length, length as u64));
        }
        std::fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        let error = scene.vault.read_range(&scene.acme, &stored.digest, 0..1).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest), (Part::Length, whole.len() as u64 + 1));
        std::fs::remove_file(&path).unwrap();
        let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
        assert_eq!(error.code(), "CS-VLT-009");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_cannot_be_swapped_repeated_or_spliced() {
    let (scene, stored, bytes) = stored(Protection::Encrypted).await;
    let path = scene.only(&scene.acme, "content");
    let whole = std::fs::read(&path).unwrap();
    let chunk = |at: usize| HEADER + at * SEALED_CHUNK..HEADER + (at + 1) * SEALED_CHUNK;
    let mut swapped = whole.clone();
    swapped[chunk(2)].copy_from_slice(&whole[chunk(3)]);
    swapped[chunk(3)].copy_from_slice(&whole[chunk(2)]);
    let mut repeated = whole.clone();
    repeated[chunk(20)].copy_from_slice(&whole[chunk(4)]);
    for (bad, at) in [(swapped, 2), (repeated, 20)] {
        std::fs::write(&path, bad).unwrap();
        let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
        assert_eq!(damage(&error, stored.digest), (Part::Content, (at * CHUNK) as u64));
    }
    // The same content stored again, under another key: its chunk of the same number does not fit either.
    let other = scene.vault.put_bytes(&scene.other, &bytes).await.unwrap();
    assert_eq!(other.digest, stored.digest);
    let foreign = std::fs::read(scene.only(&scene.other, "content")).unwrap();
    let mut spliced = whole.clone();
    spliced[chunk(5)].copy_from_slice(&foreign[chunk(5)]);
    std::fs::write(&path, spliced).unwrap();
    let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
    assert_eq!(damage(&error, stored.digest), (Part::Content, 5 * CHUNK as u64));
    // Nor does all of it.
    std::fs::write(&path, foreign).unwrap();
    let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
    assert_eq!(damage(&error, stored.digest), (Part::Header, 0));
}

#[tokio::test]
async fn plain_groups_cannot_be_swapped() {
    let (scene, stored, _) = stored(Protection::Plain).await;
    let path = scene.only(&scene.acme, "content");
    let whole = std::fs::read(&path).unwrap();
    let mut swapped = whole.clone();
    swapped[..GROUP].copy_from_slice(&whole[GROUP..2 * GROUP]);
    swapped[GROUP..2 * GROUP].copy_from_slice(&whole[..GROUP]);
    // With its leaves, so that content and leaves agree.
    let (left, right) = (LENGTH..LENGTH + 32, LENGTH + 32..LENGTH + 64);
    swapped[left.clone()].copy_from_slice(&whole[right.clone()]);
    swapped[right].copy_from_slice(&whole[left]);
    std::fs::write(&path, swapped).unwrap();
    let error = scene.vault.read(&scene.acme, &stored.digest, u64::MAX).await.unwrap_err();
    assert_eq!(damage(&error, stored.digest).0, Part::Tree);
}

#[tokio::test]
async fn contents_and_records_cannot_be_swapped() {
    let scene = Scene::new().await;
    let one = scene.vault.put_bytes(&scene.acme, &content(1000, 1)).await.unwrap().digest;
    let (record, bytes) = (scene.only(&scene.acme, "records"), scene.only(&scene.acme, "content"));
    let two = scene.vault.put_bytes(&scene.acme, &content(1000, 2)).await.unwrap().digest;
    let other =
        |kind, path: &Path| scene.stored(&scene.acme, kind).into_iter().find(|found| found != path).unwrap();
    let (record_two, bytes_two) = (other("records", &record), other("content", &bytes));
    let swap = |a: &Path, b: &Path| {
        let (first, second) = (std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
        std::fs::write(a, second).unwrap();
        std::fs::write(b, first).unwrap();
    };
    swap(&bytes, &bytes_two);
    for digest in [one, two] {
        let error = scene.vault.read(&scene.acme, &digest, 1000).await.unwrap_err();
        assert_eq!(damage(&error, digest), (Part::Header, 0));
    }
    swap(&bytes, &bytes_two);
    swap(&record, &record_two);
    for digest in [one, two] {
        assert_eq!(scene.vault.read(&scene.acme, &digest, 1000).await.unwrap_err().code(), "CS-VLT-008");
        assert_eq!(scene.vault.contains(&scene.acme, &digest).await.unwrap_err().code(), "CS-VLT-008");
    }
    assert_eq!(scene.vault.list(&scene.acme).await.unwrap_err().code(), "CS-VLT-008");
    // A sweep that cannot read a record deletes nothing.
    let future = crate::scene::far_future();
    assert_eq!(scene.vault.sweep(&scene.acme, future).await.unwrap_err().code(), "CS-VLT-008");
    assert_eq!(scene.stored(&scene.acme, "content").len(), 2);
    swap(&record, &record_two);
    scene.vault.verify(&scene.acme, &one).await.unwrap();
    scene.vault.verify(&scene.acme, &two).await.unwrap();
}

#[tokio::test]
async fn nothing_can_be_moved_to_another_tenant() {
    let scene = Scene::new().await;
    let bytes = content(1000, 1);
    let digest = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap().digest;
    scene.vault.put_bytes(&scene.other, &bytes).await.unwrap();
    let copy = |kind| {
        std::fs::copy(scene.only(&scene.acme, kind), scene.only(&scene.other, kind)).unwrap();
    };
    copy("content");
    let error = scene.vault.read(&scene.other, &digest, 1000).await.unwrap_err();
    assert_eq!(damage(&error, digest), (Part::Header, 0));
    copy("records");
    assert_eq!(scene.vault.read(&scene.other, &digest, 1000).await.unwrap_err().code(), "CS-VLT-008");
}

#[tokio::test]
async fn every_flipped_bit_of_a_record_is_refused() {
    let scene = Scene::new().await;
    let digest = scene.vault.put_bytes(&scene.acme, b"content").await.unwrap().digest;
    let path = scene.only(&scene.acme, "records");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        flip(&path, at);
        assert_eq!(
            scene.vault.read(&scene.acme, &digest, 10).await.unwrap_err().code(),
            "CS-VLT-008",
            "byte {at}"
        );
        flip(&path, at);
    }
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(scene.vault.read(&scene.acme, &digest, 10).await.unwrap_err().code(), "CS-VLT-008");
    }
}
