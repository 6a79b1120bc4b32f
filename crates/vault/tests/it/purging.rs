use std::path::{Path, PathBuf};
use std::time::SystemTime;

use vault::{Attachment, Options, Presence, Protection};

use crate::scene::{GROUP, OPTIONS, Scene, content, far_future, files};

/// Copies of everything under a folder, as a thief or a backup has them.
fn copied(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn restore(copies: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in copies {
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_a_tenant_leaves_old_bytes_unreadable() {
    let scene = Scene::new().await;
    let bytes = content(GROUP + 1, 1);
    let digest = scene.vault.put_bytes(&scene.acme, &bytes).await.unwrap().digest;
    let kept = scene.vault.put_bytes(&scene.other, &bytes).await.unwrap().digest;
    let artefact = scene.vault.open(&scene.acme, &digest).await.unwrap();
    let before = copied(&scene.root());
    scene.vault.destroy_tenant(&scene.acme).await.unwrap();

    let codes = [
        scene.vault.read(&scene.acme, &digest, u64::MAX).await.unwrap_err(),
        scene.vault.open(&scene.acme, &digest).await.unwrap_err(),
        scene.vault.verify(&scene.acme, &digest).await.unwrap_err(),
        scene.vault.remove(&scene.acme, &digest).await.unwrap_err(),
        // A handle from before holds no key.
        artefact.read_range(0..1).await.unwrap_err(),
        scene.reopened().read(&scene.acme, &digest, u64::MAX).await.unwrap_err(),
    ];
    assert!(codes.iter().all(|error| error.code() == "CS-VLT-002"), "{codes:?}");
    assert_eq!(scene.vault.presence(&scene.acme, &digest).await.unwrap(), Presence::Purged);
    assert_eq!(scene.vault.put_bytes(&scene.acme, b"x").await.unwrap_err().code(), "CS-VLT-003");
    assert_eq!(scene.vault.create_tenant(&scene.acme).await.unwrap_err().code(), "CS-VLT-003");

    // The stored bytes are all still there, and are as they were before: they alone are not enough. A vault over
    // the same bytes with a new key for a tenant of that name opens nothing of them.
    assert_eq!(before, copied(&scene.root()));
    let ring = scene.beside("new-ring");
    let ring = vault::FileKeyRing::open(ring, vault::MasterKey::generate().unwrap()).unwrap();
    let thief = vault::Vault::on_disk(&scene.root(), std::sync::Arc::new(ring), OPTIONS).unwrap();
    thief.create_tenant(&scene.acme).await.unwrap();
    assert_eq!(thief.presence(&scene.acme, &digest).await.unwrap(), Presence::Absent);
    assert_eq!(thief.list(&scene.acme).await.unwrap_err().code(), "CS-VLT-008");
    // Nothing in the ring holds the key any more.
    let names: Vec<String> = files(&scene.beside("ring"))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["acme.destroyed", "other.key", "ring.check"]);

    // The other tenant is untouched, and the digest is still the content's.
    scene.vault.verify(&scene.other, &kept).await.unwrap();
    assert_eq!(statement::Digest::of(&bytes), digest);
    assert_eq!(scene.vault.reclaim(&scene.other).await.unwrap_err().code(), "CS-VLT-005");
    assert_eq!(scene.vault.reclaim(&scene.acme).await.unwrap(), 2);
    assert!(files(&scene.root().join("acme")).is_empty());
    assert_eq!(scene.vault.read(&scene.acme, &digest, 1).await.unwrap_err().code(), "CS-VLT-002");
    scene.vault.destroy_tenant(&scene.acme).await.unwrap();
    scene.vault.purge(&scene.acme, &digest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn purging_one_artefact_destroys_its_key_and_content() {
    let scene = Scene::new().await;
    let digest = scene.vault.put_bytes(&scene.acme, &content(GROUP + 1, 1)).await.unwrap().digest;
    let (record, bytes) = (scene.only(&scene.acme, "records"), scene.only(&scene.acme, "content"));
    let witness = scene.beside("witness");
    std::fs::hard_link(&record, &witness).unwrap();
    let sealed = std::fs::read(&record).unwrap();
    let ciphertext = std::fs::read(&bytes).unwrap();
    let neighbour = scene.vault.put_bytes(&scene.acme, b"stays").await.unwrap().digest;
    scene.vault.purge(&scene.acme, &digest).await.unwrap();

    assert_eq!(scene.vault.read(&scene.acme, &digest, u64::MAX).await.unwrap_err().code(), "CS-VLT-002");
    assert_eq!(scene.reopened().presence(&scene.acme, &digest).await.unwrap(), Presence::Purged);
    assert!(!bytes.exists());
    // The wrapped key is gone from the disk's blocks, not only from the folder.
    assert!(std::fs::read(&witness).unwrap().iter().all(|byte| *byte == 0));
    let left = copied(&scene.root());
    assert!(
        left.iter()
            .all(|(_, found)| !found.windows(32).any(|window| sealed.windows(32).any(|old| old == window)))
    );
    // The old ciphertext, put back, is not read: its key is gone.
    std::fs::write(&bytes, &ciphertext).unwrap();
    assert_eq!(scene.vault.read(&scene.acme, &digest, u64::MAX).await.unwrap_err().code(), "CS-VLT-002");
    // Purging again finishes the work.
    scene.vault.purge(&scene.acme, &digest).await.unwrap();
    assert!(!bytes.exists());
    // What was purged does not come back by being stored again, and cannot be made to look never stored.
    let again = scene.vault.put_bytes(&scene.acme, &content(GROUP + 1, 1)).await.unwrap_err();
    assert_eq!(again.code(), "CS-VLT-002");
    assert_eq!(scene.stored(&scene.acme, "content").len(), 1);
    assert_eq!(scene.vault.remove(&scene.acme, &digest).await.unwrap_err().code(), "CS-VLT-002");
    scene.vault.verify(&scene.acme, &neighbour).await.unwrap();
    let missing = statement::Digest::of(b"never stored");
    assert_eq!(scene.vault.purge(&scene.acme, &missing).await.unwrap_err().code(), "CS-VLT-001");
    // The tombstone cannot be moved to hide another artefact.
    let stays = scene.stored(&scene.acme, "records").into_iter().find(|path| *path != record).unwrap();
    std::fs::copy(&record, &stays).unwrap();
    assert_eq!(scene.vault.read(&scene.acme, &neighbour, 9).await.unwrap_err().code(), "CS-VLT-008");
}

#[tokio::test]
async fn plain_content_is_overwritten_when_it_is_purged() {
    let scene = Scene::with(Options { protection: Protection::Plain, ..OPTIONS }).await;
    let digest = scene.vault.put_bytes(&scene.acme, &content(1000, 1)).await.unwrap().digest;
    let witness = scene.beside("witness");
    std::fs::hard_link(scene.only(&scene.acme, "content"), &witness).unwrap();
    scene.vault.purge(&scene.acme, &digest).await.unwrap();
    assert_eq!(std::fs::read(&witness).unwrap(), [0; 1000]);
    assert_eq!(scene.vault.read(&scene.acme, &digest, 1000).await.unwrap_err().code(), "CS-VLT-002");
}

#[tokio::test]
async fn absent_purged_and_damaged_are_three_answers() {
    let scene = Scene::new().await;
    let mut digests = Vec::new();
    for seed in 0..2 {
        digests.push(scene.vault.put_bytes(&scene.acme, &content(100, seed)).await.unwrap().digest);
    }
    scene.vault.purge(&scene.acme, &digests[0]).await.unwrap();
    let path = scene.only(&scene.acme, "content");
    std::fs::write(&path, vec![0; std::fs::metadata(&path).unwrap().len() as usize]).unwrap();
    let code = async |digest| scene.vault.read(&scene.acme, &digest, 100).await.unwrap_err().code();
    assert_eq!(code(statement::Digest::of(b"absent")).await, "CS-VLT-001");
    assert_eq!(code(digests[0]).await, "CS-VLT-002");
    assert_eq!(code(digests[1]).await, "CS-VLT-007");
}

#[tokio::test]
async fn a_sweep_takes_what_nothing_names_and_nothing_else() {
    let scene = Scene::new().await;
    let kept = scene.vault.put_bytes(&scene.acme, &content(100, 1)).await.unwrap().digest;
    let lost = scene.vault.put_bytes(&scene.acme, &content(200, 2)).await.unwrap().digest;
    let used = scene.vault.used(&scene.acme).await.unwrap();
    // A crash between content and record, and one in the middle of an upload.
    let records = scene.stored(&scene.acme, "records");
    let kept_copy = copied(&scene.root());
    scene.vault.remove(&scene.acme, &lost).await.unwrap();
    let gone: Vec<_> = records.iter().filter(|path| !path.exists()).cloned().collect();
    restore(&kept_copy);
    for path in gone {
        std::fs::remove_file(path).unwrap();
    }
    let shard = scene.stored(&scene.acme, "content")[0].parent().unwrap().to_owned();
    std::fs::write(shard.join("draft#1"), b"half").unwrap();
    let fresh = scene.reopened();
    assert_eq!(fresh.used(&scene.acme).await.unwrap(), used);
    assert_eq!(fresh.sweep(&scene.acme, SystemTime::UNIX_EPOCH).await.unwrap().objects, 0);
    let future = far_future();
    assert_eq!(fresh.sweep(&scene.acme, future).await.unwrap().objects, 2);
    assert_eq!(scene.stored(&scene.acme, "content").len(), 1);
    fresh.verify(&scene.acme, &kept).await.unwrap();
    assert!(fresh.used(&scene.acme).await.unwrap() < used);
}

#[tokio::test]
async fn attachments_are_salted_and_purged_with_their_salt() {
    let scene = Scene::new().await;
    let reason = b"approved by phone".to_vec();
    let attachment = Attachment::new(reason.clone()).unwrap();
    let digest = scene.vault.put_attachment(&scene.acme, &attachment).await.unwrap();
    assert_eq!(digest, attachment.digest());
    let parts: [&[u8]; 3] = [b"countersign-attachment-v1", attachment.salt(), &reason];
    assert_eq!(digest, statement::Digest::of_parts(&parts));
    assert_ne!(digest, Attachment::new(reason.clone()).unwrap().digest(), "a fresh salt each time");
    assert_eq!(scene.vault.attachment(&scene.acme, &digest, 1000).await.unwrap(), attachment);
    assert!(!format!("{attachment:?}").contains("phone"));
    let plain = scene.vault.put_bytes(&scene.acme, b"no attachment").await.unwrap().digest;
    assert_eq!(scene.vault.attachment(&scene.acme, &plain, 1000).await.unwrap_err().code(), "CS-VLT-017");
    assert_eq!(Attachment::parse(b"countersign-attachment-v1 short").unwrap_err().code(), "CS-VLT-017");
    scene.vault.purge(&scene.acme, &digest).await.unwrap();
    assert_eq!(scene.vault.attachment(&scene.acme, &digest, 1000).await.unwrap_err().code(), "CS-VLT-002");
}
