//! The log on the real disk: what a program relies on, and each refusal with its code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is tests"
)]

mod faults;
mod witness;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use merkle::{
    Ed25519NoteSigner, SignedCheckpoint, TilePath, VerifierKey, verify_consistency, verify_inclusion,
};
use translog::{
    Access, AdmissionRefusal, Config, Disk, LockGuard, Log, LogError, MAX_ENTRY, Publishing, ReadLog, Report,
    Storage, StoredFile, TileCheck, fsck,
};

const ORIGIN: &str = "log.example/it";

fn signer() -> Arc<Ed25519NoteSigner> {
    Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap())
}

fn log_key() -> VerifierKey {
    signer().verifier().clone()
}

/// Stamps 1000, 1001, ...
fn config() -> Config {
    let ticks = AtomicU64::new(1000);
    let clock = Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed));
    let mut config = Config::new(ORIGIN, vec![signer()], vec![log_key()], clock);
    config.segment_bytes = 1 << 16;
    config.publishing = Publishing::OnRequest;
    config.tile_check = TileCheck::Contents;
    config
}

fn disk(dir: &Path) -> Arc<Disk> {
    Arc::new(Disk::open(dir).unwrap())
}

fn content(index: u64) -> Vec<u8> {
    format!("content number {index}").into_bytes()
}

/// A closed log of `size` entries, published.
fn filled(dir: &Path, size: u64) {
    let log = Log::create(disk(dir), config()).unwrap();
    let appended = log.submit_many((0..size).map(content).collect()).unwrap().wait().unwrap();
    assert!(appended.into_iter().enumerate().all(|(i, a)| a.unwrap().index == i as u64));
    log.close().unwrap();
}

fn report(dir: &Path) -> Report {
    fsck(&*disk(dir), ORIGIN, &[log_key()])
}

#[track_caller]
fn assert_clean(dir: &Path) {
    let report = report(dir);
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn entries_come_back_with_proofs_and_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    for index in 0..700 {
        let appended = log.submit(content(index)).unwrap();
        if index % 97 == 0 {
            let appended = appended.wait().unwrap();
            assert_eq!((appended.index, appended.duplicate), (index, false));
        }
    }
    let again = log.submit(content(5)).unwrap().wait().unwrap();
    assert_eq!((again.index, again.duplicate, log.size()), (5, true, 700));

    let head = SignedCheckpoint::parse(&log.publish().unwrap()).unwrap().open(ORIGIN, &[log_key()]).unwrap();
    assert_eq!((head.size(), *head.root()), (700, log.root(700).unwrap()));
    for index in [0, 1, 255, 256, 511, 699] {
        assert_eq!(log.entry(index).unwrap(), content(index));
        let proof = log.inclusion_proof(index, 700).unwrap();
        verify_inclusion(index, 700, &log.leaf_hash(index).unwrap(), &proof, head.root()).unwrap();
    }
    let proof = log.consistency_proof(300, 700).unwrap();
    verify_consistency(300, 700, &proof, &log.root(300).unwrap(), head.root()).unwrap();
    let all: Result<Vec<_>, _> = log.entries(690..700).collect();
    assert_eq!(all.unwrap(), (690..700).map(content).collect::<Vec<_>>());

    for path in ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        let path: TilePath = path.parse().unwrap();
        assert!(dir.path().join("tiles").join(path.to_string()).is_file(), "{path}");
    }
    log.close().unwrap();
    assert_clean(dir.path());
}

#[test]
fn the_tree_is_read_from_the_served_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 600);
    let tiles = dir.path().join("tiles");
    let head = SignedCheckpoint::parse(&std::fs::read(tiles.join("checkpoint")).unwrap()).unwrap();
    let reader = merkle::TileReader::new(600, |path: TilePath| std::fs::read(tiles.join(path.to_string())));
    assert_eq!(merkle::root_at(&reader, 600).unwrap(), *head.claims().root());
}

#[test]
fn dedup_and_stamps_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut stamping = config();
    stamping.stamper = Arc::new(|content, stamp_ms| [&stamp_ms.to_be_bytes(), content].concat());
    let log = Log::create(disk(dir.path()), stamping.clone()).unwrap();
    let first = log.submit(content(1)).unwrap().wait().unwrap();
    drop(log);
    // A clock that has gone back.
    stamping.clock = Arc::new(|| 3);
    let log = Log::open(disk(dir.path()), stamping).unwrap();
    let again = log.submit(content(1)).unwrap().wait().unwrap();
    assert_eq!((again.index, again.stamp_ms, again.duplicate), (first.index, first.stamp_ms, true));
    let next = log.submit(content(2)).unwrap().wait().unwrap();
    assert_eq!((next.index, next.stamp_ms), (1, first.stamp_ms));
    assert_eq!(log.entry(1).unwrap()[..8], first.stamp_ms.to_be_bytes());
}

#[test]
fn one_content_from_many_threads_is_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    let places: Vec<_> = std::thread::scope(|scope| {
        let submit = || (0..50).map(|i| log.submit(content(i)).unwrap().wait().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(log.size(), 50);
    let indices =
        |answers: &[translog::Appended]| answers.iter().map(|a| (a.index, a.stamp_ms)).collect::<Vec<_>>();
    assert!(places.iter().all(|answers| indices(answers) == indices(&places[0])));
    let firsts = places.iter().flatten().filter(|appended| !appended.duplicate).count();
    assert_eq!(firsts, 50);
}

#[test]
fn one_request_may_repeat_itself_and_be_refused_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut picky = config();
    picky.admission = Arc::new(|content| match content {
        b"bad" => Err(AdmissionRefusal { code: "X-1".to_owned(), reason: "bad".to_owned() }),
        _ => Ok(()),
    });
    picky.stamper = Arc::new(|content, _| [content, b"!"].concat());
    let log = Log::create(disk(dir.path()), picky).unwrap();
    let long = vec![0; MAX_ENTRY];
    let longer = vec![0; MAX_ENTRY + 1];
    let batch = vec![b"a".to_vec(), b"bad".to_vec(), b"a".to_vec(), long, longer, b"b".to_vec()];
    let answers = log.submit_many(batch).unwrap().wait().unwrap();
    let shown: Vec<_> =
        answers.iter().map(|a| a.as_ref().map(|a| (a.index, a.duplicate)).map_err(LogError::code)).collect();
    let expected = [
        Ok((0, false)),
        Err("CS-LOG-010"),
        Ok((0, true)),
        Err("CS-LOG-009"),
        Err("CS-LOG-009"),
        Ok((1, false)),
    ];
    assert_eq!(shown, expected);
    assert_eq!(log.submit(b"bad".to_vec()).unwrap_err().code(), "CS-LOG-010");
}

#[test]
fn a_reader_sees_what_was_published_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    log.submit_many((0..300).map(content).collect()).unwrap().wait().unwrap();
    log.publish().unwrap();
    log.submit(content(300)).unwrap().wait().unwrap();
    let reader = ReadLog::open(disk(dir.path()), ORIGIN, &[log_key()]).unwrap();
    assert_eq!((reader.size(), reader.unpublished(), log.size()), (300, 1, 301));
    assert_eq!(reader.entry(299).unwrap(), content(299));
    assert_eq!(reader.entry(300).unwrap_err().code(), "CS-LOG-011");
    assert_eq!(reader.inclusion_proof(7, 301).unwrap_err().code(), "CS-LOG-011");
    let proof = reader.inclusion_proof(7, 300).unwrap();
    let root = *reader.checkpoint().claims().root();
    verify_inclusion(7, 300, &reader.leaf_hash(7).unwrap(), &proof, &root).unwrap();
}

/// A disk on which a writer takes over just before the second file of the write-ahead log is opened.
#[derive(Debug)]
struct Interrupted {
    disk: Arc<Disk>,
    opened: AtomicU64,
}

impl Storage for Interrupted {
    fn open(&self, path: &str, access: Access) -> io::Result<Arc<dyn StoredFile>> {
        if path.starts_with("wal/") && self.opened.fetch_add(1, Ordering::Relaxed) == 1 {
            Log::open(Arc::clone(&self.disk) as _, config()).unwrap().close().unwrap();
        }
        self.disk.open(path, access)
    }
    fn create(&self, path: &str) -> io::Result<Arc<dyn StoredFile>> {
        self.disk.create(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename_new(from, to)
    }
    fn exists(&self, path: &str) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.disk.remove_dir(path)
    }
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn sync_everything(&self) -> io::Result<()> {
        self.disk.sync_everything()
    }
    fn lock(&self, path: &str) -> io::Result<Box<dyn LockGuard>> {
        self.disk.lock(path)
    }
    fn nonce(&self) -> io::Result<[u8; 16]> {
        self.disk.nonce()
    }
}

#[test]
fn a_reader_that_meets_a_writer_taking_over_reads_everything() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20);
    for _ in 0..2 {
        Log::open(disk(dir.path()), config()).unwrap().close().unwrap();
    }
    // The last segment is empty now: the writer removes it while the reader is about to open it.
    let before = faults::segments(dir.path());
    let disk = Interrupted { disk: disk(dir.path()), opened: AtomicU64::new(0) };
    let reader = ReadLog::open(Arc::new(disk), ORIGIN, &[log_key()]).unwrap();
    assert_ne!(faults::segments(dir.path()), before);
    assert_eq!(reader.size(), 20);
    assert_eq!(reader.entry(19).unwrap(), content(19));
}

#[test]
fn runs_that_write_nothing_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20);
    let before = faults::segments(dir.path()).len();
    for _ in 0..40 {
        Log::open(disk(dir.path()), config()).unwrap().close().unwrap();
    }
    // One more: that of the last run, which is there as long as nobody took over from it.
    assert!(faults::segments(dir.path()).len() <= before + 1, "{:?}", faults::segments(dir.path()));
    let log = Log::open(disk(dir.path()), config()).unwrap();
    assert!(log.submit(content(3)).unwrap().wait().unwrap().duplicate);
    assert_eq!(log.submit(content(20)).unwrap().wait().unwrap().index, 20);
    log.close().unwrap();
    assert_clean(dir.path());
}

#[test]
fn who_does_not_get_the_lock_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1);
    let log = Log::open(disk(dir.path()), config()).unwrap();
    let refused = Log::open(disk(dir.path()), config()).unwrap_err();
    assert_eq!(refused.code(), "CS-LOG-004");
    assert!(refused.to_string().contains(&format!("process `{}`", std::process::id())), "{refused}");
    drop(log);
    Log::open(disk(dir.path()), config()).unwrap();
}

#[test]
fn the_publisher_thread_publishes_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut eager = config();
    eager.publishing = Publishing::EveryMs(0);
    let log = Log::create(disk(dir.path()), eager).unwrap();
    log.submit(content(0)).unwrap().wait().unwrap();
    let size = || SignedCheckpoint::parse(&log.checkpoint()).unwrap().claims().size();
    while size() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(size(), 1);
}

#[test]
fn a_head_is_signed_before_it_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    let index = log.submit(content(0)).unwrap().wait().unwrap().index;
    let head = log.sign_head().unwrap().open(ORIGIN, &[log_key()]).unwrap();
    let proof = log.inclusion_proof(index, head.size()).unwrap();
    verify_inclusion(index, head.size(), &log.leaf_hash(index).unwrap(), &proof, head.root()).unwrap();
}

#[test]
fn partial_tiles_go_when_the_tile_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(disk(dir.path()), config()).unwrap();
    for size in [100, 200, 256] {
        log.submit_many((0..size).map(content).collect()).unwrap().wait().unwrap();
        log.publish().unwrap();
        let partial = dir.path().join("tiles/tile/0/000.p");
        assert_eq!(partial.exists(), size < 256);
        assert_eq!(dir.path().join("tiles/tile/0/000").exists(), size == 256);
    }
}
