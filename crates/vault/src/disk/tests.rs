use std::sync::Mutex;

use super::*;

/// Records every step, and fails at one of them (as a crash would: that step and all later ones do nothing).
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: Vec<String>,
    crash_at: Option<usize>,
}

impl Recorder {
    /// Lets the step with this number and all later ones fail.
    pub(crate) fn crash_at(step: usize) -> Self {
        Self { state: Mutex::new(State { steps: Vec::new(), crash_at: Some(step) }) }
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        self.state.lock().unwrap().steps.clone()
    }

    pub(crate) fn reset(&self, crash_at: Option<usize>) {
        *self.state.lock().unwrap() = State { steps: Vec::new(), crash_at };
    }

    fn step(&self, verb: &str, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.crash_at.is_some_and(|at| state.steps.len() >= at) {
            return Err(io::Error::other("crashed"));
        }
        let name = path.file_name().unwrap().to_string_lossy();
        state.steps.push(format!("{verb} {name}"));
        Ok(())
    }
}

impl Steps for Recorder {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step("write", path)?;
        OsSteps.write_new(path, bytes)
    }

    fn overwrite(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.step("overwrite", path)?;
        OsSteps.overwrite(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("link", to)?;
        OsSteps.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", to)?;
        OsSteps.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.step("unlink", path)?;
        OsSteps.unlink(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.step("sync", directory)?;
        OsSteps.sync_directory(directory)
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    Scene { _folder: folder, root }
}

#[test]
fn publishing_syncs_file_and_directory_before_it_returns() {
    let scene = scene();
    let recorder = Recorder::default();
    publish_new(&recorder, &scene.root.join("final"), &scene.root.join("draft"), b"bytes").unwrap();
    assert_eq!(recorder.steps(), ["write draft", "link final", "unlink draft", "sync root"]);
    assert_eq!(std::fs::metadata(scene.root.join("final")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn publishing_leaves_an_existing_file_alone() {
    let scene = scene();
    let path = scene.root.join("final");
    std::fs::write(&path, b"first").unwrap();
    let refused = publish_new(&OsSteps, &path, &scene.root.join("draft"), b"second").unwrap_err();
    assert!(matches!(&refused, Error::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    assert!(!scene.root.join("draft").exists());
}

#[test]
fn destroying_overwrites_the_very_blocks() {
    let scene = scene();
    let path = scene.root.join("secret");
    // A second name keeps the blocks in sight after the first is gone; sizes lie around the buffer's.
    for length in [0, 1, 100, 65_536, 65_537, 200_000] {
        std::fs::write(&path, vec![0xAA; length]).unwrap();
        std::fs::hard_link(&path, scene.root.join("witness")).unwrap();
        let recorder = Recorder::default();
        destroy(&recorder, &path).unwrap();
        assert_eq!(recorder.steps(), ["overwrite secret", "unlink secret", "sync root"]);
        assert!(!path.exists());
        assert_eq!(std::fs::read(scene.root.join("witness")).unwrap(), vec![0; length]);
        std::fs::remove_file(scene.root.join("witness")).unwrap();
    }
    destroy(&OsSteps, &path).unwrap();
    remove(&OsSteps, &path).unwrap();
}

#[test]
fn replacing_survives_a_crash_at_every_step() {
    let whole = {
        let scene = scene();
        let path = scene.root.join("record");
        std::fs::write(&path, b"old").unwrap();
        let recorder = Recorder::default();
        replace_and_destroy(&recorder, &path, &beside(&path, "#new"), &beside(&path, "#old"), b"new")
            .unwrap();
        recorder.steps()
    };
    assert_eq!(
        whole,
        [
            "write record#new",
            "link record#old",
            "sync root",
            "rename record",
            "sync root",
            "overwrite record#old",
            "unlink record#old",
            "sync root"
        ]
    );
    for crash in 0..whole.len() {
        let scene = scene();
        let path = scene.root.join("record");
        let (draft, old) = (beside(&path, "#new"), beside(&path, "#old"));
        std::fs::write(&path, b"old").unwrap();
        std::fs::hard_link(&path, scene.root.join("witness")).unwrap();
        replace_and_destroy(&Recorder::crash_at(crash), &path, &draft, &old, b"new").unwrap_err();
        // In between, the reader sees the one or the other, whole.
        let seen = std::fs::read(&path).unwrap();
        assert!(seen == b"old" || seen == b"new", "crash at {crash}: {seen:?}");
        replace_and_destroy(&OsSteps, &path, &draft, &old, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(
            std::fs::read(scene.root.join("witness")).unwrap(),
            [0; 3],
            "crash at {crash}: old bytes live on"
        );
        assert!(!draft.exists() && !old.exists());
    }
}

#[test]
fn a_stale_leftover_does_not_shield_the_record_from_destruction() {
    let scene = scene();
    let path = scene.root.join("record");
    std::fs::write(beside(&path, "#old"), b"of an earlier time").unwrap();
    std::fs::write(&path, b"old").unwrap();
    std::fs::hard_link(&path, scene.root.join("witness")).unwrap();
    replace_and_destroy(&OsSteps, &path, &beside(&path, "#new"), &beside(&path, "#old"), b"new").unwrap();
    assert_eq!(std::fs::read(scene.root.join("witness")).unwrap(), [0; 3]);
}

#[test]
fn drafts_are_swept_by_age() {
    let scene = scene();
    let shard = scene.root.join("ab");
    std::fs::create_dir(&shard).unwrap();
    for name in ["kept", "draft#1", "record#old"] {
        std::fs::write(shard.join(name), b"x").unwrap();
    }
    assert_eq!(destroy_drafts(&OsSteps, &scene.root, Some(SystemTime::UNIX_EPOCH)).unwrap(), 0);
    assert_eq!(destroy_drafts(&OsSteps, &scene.root, None).unwrap(), 2);
    assert!(shard.join("kept").exists());
    assert_eq!(destroy_drafts(&OsSteps, &scene.root.join("nowhere"), None).unwrap(), 0);
}

#[test]
fn every_folder_that_is_made_is_made_durable() {
    let scene = scene();
    let recorder = Recorder::default();
    let deep = scene.root.join("a/b");
    ensure_directory(&recorder, &deep).unwrap();
    assert_eq!(recorder.steps(), ["sync a", "sync root"]);
    assert_eq!(std::fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
    ensure_directory(&recorder, &deep).unwrap();
    assert_eq!(recorder.steps().len(), 2, "what is there is left alone");
}
