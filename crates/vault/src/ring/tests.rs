use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::Error;
use crate::disk::tests::Recorder;
use crate::secret::MasterKey;

fn master(byte: u8) -> MasterKey {
    MasterKey::from_bytes(Zeroizing::new([byte; 32]))
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn ring(path: &Path) -> FileKeyRing {
    FileKeyRing::open(path, master(1)).unwrap()
}

#[test]
fn a_key_is_made_once_kept_private_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let acme = tenant("acme");
    assert_eq!(ring(&path).key(&acme).unwrap_err().code(), "CS-VLT-004");
    ring(&path).create(&acme).unwrap();
    let key = ring(&path).key(&acme).unwrap();
    assert_eq!(ring(&path).key(&acme).unwrap().bytes(), key.bytes());
    assert_eq!(ring(&path).create(&acme).unwrap_err().code(), "CS-VLT-005");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("acme.key"))), (0o700, 0o600));
    let stored = std::fs::read(path.join("acme.key")).unwrap();
    assert!(!stored.windows(32).any(|window| window == key.bytes()), "the key is stored sealed");
    assert_eq!(format!("{key:?} {:?}", master(1)), "TenantKey(redacted) MasterKey(redacted)");
}

#[test]
fn key_files_open_for_their_tenant_and_master_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    ring(path).create(&tenant("a")).unwrap();
    ring(path).create(&tenant("b")).unwrap();
    assert_eq!(FileKeyRing::open(path, master(2)).unwrap_err().code(), "CS-VLT-022");
    std::fs::copy(path.join("a.key"), path.join("b.key")).unwrap();
    assert_eq!(ring(path).key(&tenant("b")).unwrap_err().code(), "CS-VLT-022");
    std::fs::set_permissions(path.join("a.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(ring(path).key(&tenant("a")).unwrap_err().code(), "CS-VLT-023");
    // A key that is damaged or exposed can still be destroyed.
    ring(path).destroy(&tenant("a")).unwrap();
    ring(path).destroy(&tenant("b")).unwrap();
    assert_eq!(ring(path).key(&tenant("a")).unwrap_err().code(), "CS-VLT-003");
}

#[test]
fn every_flipped_bit_of_a_key_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    ring.create(&tenant("a")).unwrap();
    let path = folder.path().join("a.key");
    let sealed = std::fs::read(&path).unwrap();
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(ring.key(&tenant("a")).unwrap_err().code(), "CS-VLT-022", "byte {at}");
    }
}

#[test]
fn destruction_is_final_and_reaches_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let acme = tenant("acme");
    let recorder = Arc::new(Recorder::default());
    let steps: Arc<dyn crate::disk::Steps> = recorder.clone();
    let ring = FileKeyRing::with_steps(path.clone(), master(1), steps).unwrap();
    assert_eq!(ring.destroy(&acme).unwrap_err().code(), "CS-VLT-004");
    ring.create(&acme).unwrap();
    std::fs::hard_link(path.join("acme.key"), folder.path().join("witness")).unwrap();
    recorder.reset(None);
    ring.destroy(&acme).unwrap();
    let steps = recorder.steps();
    let tail: Vec<&str> = steps.iter().map(String::as_str).skip(1).collect();
    assert!(steps[0].starts_with("write ring.draft-"), "{steps:?}");
    assert_eq!(tail[0], "link acme.destroyed");
    assert_eq!(tail[2..], ["sync ring", "overwrite acme.key", "unlink acme.key", "sync ring"]);
    assert!(std::fs::read(folder.path().join("witness")).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(ring.key(&acme).unwrap_err().code(), "CS-VLT-003");
    assert_eq!(ring.create(&acme).unwrap_err().code(), "CS-VLT-003");
    ring.destroy(&acme).unwrap();
}

#[test]
fn a_crash_at_any_step_of_creating_or_destroying_is_survived() {
    let acme = tenant("acme");
    let count = {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let steps: Arc<dyn crate::disk::Steps> = recorder.clone();
        let ring = FileKeyRing::with_steps(folder.path().into(), master(1), steps).unwrap();
        ring.create(&acme).unwrap();
        recorder.reset(None);
        ring.destroy(&acme).unwrap();
        recorder.steps().len()
    };
    for crash in 0..count {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let steps: Arc<dyn crate::disk::Steps> = recorder.clone();
        let ring = FileKeyRing::with_steps(folder.path().into(), master(1), steps).unwrap();
        ring.create(&acme).unwrap();
        std::fs::hard_link(folder.path().join("acme.key"), folder.path().join("witness")).unwrap();
        recorder.reset(Some(crash));
        ring.destroy(&acme).unwrap_err();
        drop(ring);
        let marked = folder.path().join("acme.destroyed").exists();
        // Opening finishes what was begun; what was not yet marked has not happened.
        let again = FileKeyRing::open(folder.path(), master(1)).unwrap();
        let gone = std::fs::read(folder.path().join("witness")).unwrap().iter().all(|byte| *byte == 0);
        assert_eq!(gone, marked, "crash at {crash}");
        match again.key(&acme) {
            Ok(_) => assert!(!marked, "crash at {crash}"),
            Err(Error::TenantDestroyed { .. }) => assert!(marked, "crash at {crash}"),
            Err(error) => panic!("crash at {crash}: {error}"),
        }
        again.destroy(&acme).unwrap();
        assert!(std::fs::read(folder.path().join("witness")).unwrap().iter().all(|byte| *byte == 0));
    }
    for crash in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::default());
        let steps: Arc<dyn crate::disk::Steps> = recorder.clone();
        let ring = FileKeyRing::with_steps(folder.path().into(), master(1), steps).unwrap();
        recorder.reset(Some(crash));
        ring.create(&acme).unwrap_err();
        let again = FileKeyRing::open(folder.path(), master(1)).unwrap();
        match again.create(&acme) {
            Ok(()) | Err(Error::TenantExists { .. }) => drop(again.key(&acme).unwrap()),
            Err(error) => panic!("crash at {crash}: {error}"),
        }
        // Destroying takes drafts of the key with it.
        again.destroy(&acme).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["ring.check", "acme.destroyed"].contains(&name.as_str()))
            .collect();
        assert!(left.is_empty(), "crash at {crash}: {left:?}");
    }
}

#[test]
fn a_forged_marker_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    ring.create(&tenant("a")).unwrap();
    let marker = folder.path().join("a.destroyed");
    std::fs::write(&marker, b"gone").unwrap();
    std::fs::set_permissions(&marker, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(ring.key(&tenant("a")).unwrap_err().code(), "CS-VLT-022");
}

#[test]
fn tenant_names_are_strict() {
    for good in ["a", "0", "acme-eu-1", &"x".repeat(63)] {
        good.parse::<Tenant>().unwrap();
    }
    for bad in ["", "-a", "A", "a.b", "a/b", "..", "a b", "ä", "a\0", &"x".repeat(64)] {
        assert_eq!(bad.parse::<Tenant>().unwrap_err().code(), "CS-VLT-006", "{bad:?}");
    }
}
