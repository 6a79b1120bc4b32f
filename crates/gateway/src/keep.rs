//! What a gateway keeps on disk: the leaves it has seen with the head that covers them, the latest time it knew, what it has
//! admitted, where its rollouts are, stops that are not in the log yet, and reports for the log.
//!
//! Everything is written whole or not at all. What is read back is believed no further than its head's signature goes:
//! leaves are hashed and compared with the head again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use statement::kind::{BindingLevel, Response};
use statement::leaf::ENTRY_BYTES_MAX;
use statement::{Digest, Envelope, SlotId, StateId, StatementId, json};

use crate::Error;

/// Bytes of the small files at most.
const FILE_BYTES_MAX: usize = 16 << 20;

/// The folder.
#[derive(Debug)]
pub(crate) struct Keep {
    folder: PathBuf,
}

/// What has been decided here, kept across restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// Orders that were admitted: those may be served on after they can no longer be admitted.
    pub(crate) admitted: BTreeMap<StatementId, Admission>,
    /// The latest time that was known.
    pub(crate) floor_ms: u64,
    /// What monitors have decided about slots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) responses: BTreeMap<SlotId, Responded>,
    /// Rollouts by order.
    pub(crate) rollouts: BTreeMap<StatementId, KeptRollout>,
}

/// What was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admission {
    pub(crate) at_ms: u64,
    /// The least level of engine binding that was asked for then. It is asked for as long as the state is served.
    #[serde(default = "declared")]
    pub(crate) binding: BindingLevel,
    pub(crate) fallback: StateId,
    pub(crate) serve_until_ms: u64,
    pub(crate) state: StateId,
}

/// What a quorum of monitors has decided about what an order brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Responded {
    pub(crate) at_ms: u64,
    pub(crate) incident: StatementId,
    pub(crate) order: StatementId,
    pub(crate) response: Response,
    pub(crate) state: StateId,
}

/// What gateways asked for that kept no level.
const fn declared() -> BindingLevel {
    BindingLevel::Declared
}

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRollout {
    /// When the present stage began.
    pub(crate) from_ms: u64,
    /// Which plan it follows.
    pub(crate) plan: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<StatementId>,
    /// Kinds of stages that have passed.
    pub(crate) reports: BTreeSet<statement::Name>,
    /// The stage.
    pub(crate) stage: u32,
    /// `waiting`, `running`, `paused`, `held`, `done`, `rolled-back`.
    pub(crate) state: String,
}

impl Keep {
    /// Opens the folder; makes it, readable by its owner alone, where it is absent.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        for path in ["", "pending", "outbox", "data", "evidence"] {
            let path = folder.join(path);
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(Error::file(&path, "made"))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What was decided; nothing where there is no such file.
    pub(crate) fn kept(&self) -> Result<Kept, Error> {
        let path = self.path("kept.json");
        let Some(bytes) = read(&path, FILE_BYTES_MAX)? else { return Ok(Kept::default()) };
        let wrong = |reason: String| Error::Kept { path: path.clone(), reason };
        let value = json::parse(&bytes, json::Limits::signed(FILE_BYTES_MAX))
            .map_err(|error| wrong(error.to_string()))?;
        json::from_value(&value).map_err(|error| wrong(error.to_string()))
    }

    /// Keeps what was decided. A route is published only afterwards.
    pub(crate) fn keep(&self, kept: &Kept) -> Result<(), Error> {
        let path = self.path("kept.json");
        let bytes = json::to_canonical(kept)
            .map_err(|error| Error::Kept { path: path.clone(), reason: error.to_string() })?;
        replace(&path, &bytes)
    }

    /// The head that was kept, and the leaves under it; the file may hold further ones of a look that was cut off.
    pub(crate) fn head(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path("checkpoint"), FILE_BYTES_MAX)
    }

    /// The first `size` leaves.
    pub(crate) fn entries(&self, size: u64) -> Result<Vec<Vec<u8>>, Error> {
        let path = self.path("leaves");
        let file = fs::File::open(&path).map_err(Error::file(&path, "read"))?;
        let mut reader = std::io::BufReader::new(file);
        let mut entries = Vec::new();
        for index in 0..size {
            let wrong =
                |reason: &str| Error::Kept { path: path.clone(), reason: format!("leaf {index} {reason}") };
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(|_| wrong("is missing"))?;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length > ENTRY_BYTES_MAX {
                return Err(wrong("is longer than a leaf can be"));
            }
            let mut entry = vec![0; length];
            reader.read_exact(&mut entry).map_err(|_| wrong("is cut off"))?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Adds leaves after the first `bytes` bytes of the file, and then the head that covers them. The file's new length.
    pub(crate) fn advance(&self, bytes: u64, entries: &[Vec<u8>], head: &[u8]) -> Result<u64, Error> {
        let path = self.path("leaves");
        let failed = || Error::file(&path, "written");
        let mut file =
            fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed())?;
        // What a look that was cut off has left behind is written again.
        file.set_len(bytes).map_err(failed())?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(bytes)).map_err(failed())?;
        let mut text = Vec::new();
        for entry in entries {
            text.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_be_bytes());
            text.extend_from_slice(entry);
        }
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed())?;
        replace(&self.path("checkpoint"), head)?;
        Ok(bytes + text.len() as u64)
    }

    /// Keeps a checkpoint that contradicts the one that was seen.
    pub(crate) fn evidence(&self, checkpoint: &[u8]) -> Result<(), Error> {
        replace(&self.path("evidence").join(Digest::of(checkpoint).to_string()), checkpoint)
    }

    /// Statements that act before they are in the log.
    pub(crate) fn pending(&self) -> Result<Vec<Envelope>, Error> {
        let mut found = Vec::new();
        for path in files(&self.path("pending"))? {
            let bytes = read(&path, statement::envelope::ENVELOPE_BYTES_MAX)?.unwrap_or_default();
            found.push(Envelope::parse(&bytes)?);
        }
        Ok(found)
    }

    pub(crate) fn add_pending(&self, envelope: &Envelope) -> Result<(), Error> {
        replace(&self.path("pending").join(format!("{}.json", envelope.id())), &envelope.to_bytes()?)
    }

    pub(crate) fn drop_pending(&self, id: StatementId) -> Result<(), Error> {
        let path = self.path("pending").join(format!("{id}.json"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(&path, "removed")(error)),
            _ => Ok(()),
        }
    }

    /// Puts a signed report, with its number among those of one moment, and what it rests on where `countersign rollout submit` takes them from.
    pub(crate) fn report(
        &self,
        (at_ms, number): (u64, u32),
        envelope: &Envelope,
        attached: &[&[u8]],
    ) -> Result<(), Error> {
        for bytes in attached {
            replace(&self.path("data").join(Digest::of(bytes).to_string()), bytes)?;
        }
        let name = format!("{at_ms:015}-{number:06}-{}.json", envelope.id());
        replace(&self.path("outbox").join(name), &envelope.to_bytes()?)
    }
}

/// The files of a folder that were written whole, sorted by name.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = || Error::file(folder, "read");
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A file of at most so many bytes; none where it is absent.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path, "read")(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::file(path, "read"))?;
    if bytes.len() > limit {
        return Err(Error::Kept {
            path: path.to_owned(),
            reason: format!("it is longer than {limit} bytes"),
        });
    }
    Ok(Some(bytes))
}

/// Writes a file whole or not at all, and durably.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = || Error::file(path, "written");
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed())
}
