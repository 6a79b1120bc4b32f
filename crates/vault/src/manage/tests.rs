use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::disk::tests::Recorder;
use crate::{FileKeyRing, MasterKey, Options, Quota};

struct Scene {
    folder: tempfile::TempDir,
    recorder: Arc<Recorder>,
    vault: Vault,
    tenant: Tenant,
    digest: Digest,
}

impl Scene {
    async fn new(protection: Protection) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let master = MasterKey::from_bytes(Zeroizing::new([4; 32]));
        let ring = FileKeyRing::open(folder.path().join("ring"), master).unwrap();
        let options = Options { protection, quota: Quota::Unlimited };
        let store = folder.path().join("store");
        let vault = Vault::on_disk_with(&store, Arc::new(ring), options, recorder.clone()).unwrap();
        let tenant: Tenant = "acme".parse().unwrap();
        vault.create_tenant(&tenant).await.unwrap();
        let digest = vault.put_bytes(&tenant, b"content").await.unwrap().digest;
        let scene = Self { folder, recorder, vault, tenant, digest };
        // A second name of the record keeps its blocks in sight.
        std::fs::hard_link(scene.record(), scene.folder.path().join("witness")).unwrap();
        scene.recorder.reset(None);
        scene
    }

    fn reopened(&self) -> Vault {
        let master = MasterKey::from_bytes(Zeroizing::new([4; 32]));
        let ring = FileKeyRing::open(self.folder.path().join("ring"), master).unwrap();
        let options = Options { protection: Protection::Encrypted, quota: Quota::Unlimited };
        Vault::on_disk(&self.folder.path().join("store"), Arc::new(ring), options).unwrap()
    }

    fn record(&self) -> std::path::PathBuf {
        let records = self.folder.path().join("store/acme/records");
        let shard = std::fs::read_dir(records).unwrap().next().unwrap().unwrap().path();
        std::fs::read_dir(shard).unwrap().next().unwrap().unwrap().path()
    }

    fn wrapped_key_is_gone(&self) -> bool {
        std::fs::read(self.folder.path().join("witness")).unwrap().iter().all(|byte| *byte == 0)
    }
}

/// The object store syncs what it writes because it is told to, and removals are synced by our own steps.
#[tokio::test]
async fn the_disk_is_opened_durable_and_removals_are_synced() {
    let scene = Scene::new(Protection::Encrypted).await;
    let Medium::Disk { files, .. } = scene.vault.medium() else { panic!("not on disk") };
    assert!(format!("{files:?}").contains("fsync: true"), "{files:?}");
    scene.vault.remove(&scene.tenant, &scene.digest).await.unwrap();
    let verbs: Vec<String> =
        scene.recorder.steps().iter().map(|step| step.split(' ').next().unwrap().into()).collect();
    assert_eq!(verbs, ["overwrite", "unlink", "sync", "unlink", "sync"]);
    assert!(scene.wrapped_key_is_gone());
}

#[tokio::test]
async fn a_purge_that_crashes_anywhere_is_finished_by_the_next() {
    for protection in [Protection::Encrypted, Protection::Plain] {
        let scene = Scene::new(protection).await;
        scene.vault.purge(&scene.tenant, &scene.digest).await.unwrap();
        let steps = scene.recorder.steps().len();
        assert!(steps >= 10, "{:?}", scene.recorder.steps());
        for crash in 0..steps {
            let scene = Scene::new(protection).await;
            scene.recorder.reset(Some(crash));
            scene.vault.purge(&scene.tenant, &scene.digest).await.unwrap_err();
            // In between it is whole or purged, and never anything else.
            match scene.vault.read(&scene.tenant, &scene.digest, 100).await {
                Ok(bytes) => assert_eq!(&bytes[..], b"content"),
                Err(error) => assert_eq!(error.code(), "CS-VLT-002", "crash at {crash}: {error}"),
            }
            scene.recorder.reset(None);
            scene.vault.purge(&scene.tenant, &scene.digest).await.unwrap();
            assert!(scene.wrapped_key_is_gone(), "crash at {crash}");
            let refusal = scene.vault.read(&scene.tenant, &scene.digest, 100).await.unwrap_err();
            assert_eq!(refusal.code(), "CS-VLT-002");
            // Where the deletion itself was cut off, the bytes stay counted until the vault is opened anew.
            let whole = stored_len(protection, 7);
            assert!([0, whole].contains(&scene.vault.used(&scene.tenant).await.unwrap()), "crash at {crash}");
            assert_eq!(scene.reopened().used(&scene.tenant).await.unwrap(), 0, "crash at {crash}");
            let store = scene.folder.path().join("store/acme/content");
            let left = std::fs::read_dir(store)
                .unwrap()
                .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
            assert_eq!(left.count(), 0, "crash at {crash}");
        }
    }
}

#[tokio::test]
async fn a_removal_that_crashes_leaves_it_there_or_gone() {
    for crash in 0..5 {
        let scene = Scene::new(Protection::Encrypted).await;
        scene.recorder.reset(Some(crash));
        scene.vault.remove(&scene.tenant, &scene.digest).await.unwrap_err();
        scene.recorder.reset(None);
        let code = match scene.vault.read(&scene.tenant, &scene.digest, 100).await {
            Ok(_) => "whole",
            Err(error) => error.code(),
        };
        // After the overwrite and before the unlink, the record is seen to be damaged; nothing is handed out.
        assert!(["whole", "CS-VLT-001", "CS-VLT-008"].contains(&code), "crash at {crash}: {code}");
    }
}
