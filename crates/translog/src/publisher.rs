//! What is served: tiles, entry bundles and, last, the checkpoint. All of it is derived from the write-ahead
//! log and written after the acknowledgement, many files to one `syncfs`.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use merkle::note::{MAX_SIGNATURES, NoteSignature};
use merkle::tile::{TILE_HEIGHT, TILE_WIDTH, bundles_between, encode_tile, tiles_between};
use merkle::{
    AddCheckpoint, Checkpoint, Hash, KeyKind, MerkleError, NoteSigner, SignedCheckpoint, TileKind, TilePath,
    VerifierKey,
};

use crate::config::{Config, TileCheck};
use crate::error::LogError;
use crate::heads::{CHECKPOINT, COSIGNED, TILES_DIR};
use crate::state::{Shared, SharedConfig};
use crate::storage::{Access, STAGING, parent, read_file, replace_file};

/// The one who writes what is served. No thread of its own.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    config: SharedConfig,
    /// The published checkpoint with its cosignatures.
    head: SignedCheckpoint,
    /// How many entries' tiles are written, and durable up to the published checkpoint.
    materialised: u64,
    /// Directories that are known to exist.
    directories: HashSet<String>,
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>, config: SharedConfig, head: SignedCheckpoint) -> Self {
        let materialised = head.claims().size();
        Self { shared, config, head, materialised, directories: HashSet::new() }
    }

    /// The published checkpoint.
    pub(crate) const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.head
    }

    /// Brings what is served up to all acknowledged entries.
    pub(crate) fn publish(&mut self) -> Result<(), LogError> {
        self.materialise()?;
        self.publish_head()
    }

    /// Writes the tiles and bundles of all acknowledged entries; they are durable when this returns.
    pub(crate) fn materialise(&mut self) -> Result<(), LogError> {
        self.shared.alive()?;
        self.write_tiles().map_err(|error| self.shared.poison(error))
    }

    /// Publishes the checkpoint of the entries whose tiles are written.
    pub(crate) fn publish_head(&mut self) -> Result<(), LogError> {
        self.shared.alive()?;
        self.replace_head().map_err(|error| self.shared.poison(error))
    }

    fn write_tiles(&mut self) -> Result<(), LogError> {
        let (old, new) = (self.materialised, self.shared.size());
        if old == new {
            return Ok(());
        }
        self.shared.check_fence()?;
        for path in tiles_between(old, new).chain(bundles_between(old, new)) {
            self.write_tile(&path)?;
        }
        self.shared.storage.sync_everything().map_err(LogError::sync(TILES_DIR))?;
        self.materialised = new;
        Ok(())
    }

    /// Writes one tile, atomically and not yet durably.
    fn write_tile(&mut self, path: &TilePath) -> Result<(), LogError> {
        let bytes = self.tile_bytes(path)?;
        let name = format!("{TILES_DIR}/{path}");
        let storage = &*self.shared.storage;
        let dir = parent(&name);
        if !self.directories.contains(dir) {
            storage.create_dir(dir).map_err(LogError::io("create", dir))?;
            self.directories.insert(dir.to_owned());
        }
        let temporary = format!("{STAGING}/tile");
        let file = storage.create(&temporary).map_err(LogError::io("create", &temporary))?;
        file.write_at(0, &bytes).map_err(LogError::io("write", &temporary))?;
        storage.rename(&temporary, &name).map_err(LogError::io("replace", &name))
    }

    fn tile_bytes(&self, path: &TilePath) -> Result<Vec<u8>, LogError> {
        let range = tile_range(path);
        match path.kind() {
            TileKind::Hashes { level } => {
                let index = self.shared.index();
                let hashes: Option<Vec<Hash>> =
                    range.clone().map(|hash| index.hash(level * TILE_HEIGHT, hash)).collect();
                let out_of_range = LogError::OutOfRange { wanted: range.end, size: index.size() };
                Ok(encode_tile(&hashes.ok_or(out_of_range)?))
            }
            TileKind::Entries => {
                let mut bytes = Vec::new();
                self.shared.read(range, |_, entry| {
                    let length = u16::try_from(entry.len())
                        .map_err(|_| LogError::EntryTooLarge { bytes: entry.len() })?;
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(entry);
                    Ok(())
                })?;
                Ok(bytes)
            }
        }
    }

    fn replace_head(&mut self) -> Result<(), LogError> {
        let (old, new) = (self.head.claims().size(), self.materialised);
        if old == new {
            return Ok(());
        }
        let head = sign_head(&self.config, &self.shared, new)?;
        self.shared.check_fence()?;
        replace_file(&*self.shared.storage, CHECKPOINT, &head.to_bytes())?;
        self.head = head;
        self.remove_partials(old, new)
    }

    /// Removes the partial tiles of those that have become full; clients then read the full ones.
    fn remove_partials(&mut self, old: u64, new: u64) -> Result<(), LogError> {
        let storage = &*self.shared.storage;
        for path in tiles_between(old, new).chain(bundles_between(old, new)).filter(|path| !path.is_partial())
        {
            let before = TilePath::in_tree(path.kind(), path.index(), old);
            if before.is_none() {
                continue;
            }
            let dir = format!("{TILES_DIR}/{path}.p");
            let names = storage.list(&dir).map_err(LogError::io("list", &dir))?;
            if names.is_empty() {
                continue;
            }
            for name in names {
                let partial = format!("{dir}/{name}");
                storage.remove(&partial).map_err(LogError::io("remove", &partial))?;
            }
            storage.remove_dir(&dir).map_err(LogError::io("remove", &dir))?;
            self.directories.remove(&dir);
        }
        Ok(())
    }

    /// Compares what the published checkpoint speaks of with the write-ahead log, and writes anew what is
    /// missing or wrong. Answers the paths of what was written.
    pub(crate) fn repair(&mut self) -> Result<Vec<String>, LogError> {
        let size = self.materialised;
        let mut repaired = Vec::new();
        for path in tiles_between(0, size).chain(bundles_between(0, size)) {
            for path in self.narrower(&path)?.into_iter().chain([path]) {
                if !self.is_right(&path)? {
                    self.write_tile(&path)?;
                    repaired.push(path.to_string());
                }
            }
        }
        if !repaired.is_empty() {
            tracing::warn!(count = repaired.len(), "tiles were missing or wrong and have been written anew");
            self.shared.storage.sync_everything().map_err(LogError::sync(TILES_DIR))?;
        }
        Ok(repaired)
    }

    /// The partial tiles of earlier checkpoints that are still served beside one.
    fn narrower(&self, path: &TilePath) -> Result<Vec<TilePath>, LogError> {
        if !path.is_partial() || self.config.tile_check == TileCheck::Lengths {
            return Ok(Vec::new());
        }
        let dir = format!("{TILES_DIR}/{}.p", path.full());
        let names = self.shared.storage.list(&dir).map_err(LogError::io("list", &dir))?;
        let widths = names.iter().filter_map(|name| name.parse::<u16>().ok());
        let narrower = widths.filter(|width| *width < path.width());
        Ok(narrower.filter_map(|width| TilePath::new(path.kind(), path.index(), width).ok()).collect())
    }

    fn is_right(&self, path: &TilePath) -> Result<bool, LogError> {
        let name = format!("{TILES_DIR}/{path}");
        let storage = &*self.shared.storage;
        if path.kind() == TileKind::Entries && self.config.tile_check == TileCheck::Lengths {
            let index = self.shared.index();
            let lengths = tile_range(path).filter_map(|entry| index.length(entry));
            let expected: u64 = lengths.map(|length| u64::from(length) + 2).sum();
            drop(index);
            return match storage.open(&name, Access::Read) {
                Ok(file) => Ok(file.size().map_err(LogError::io("read", &name))? == expected),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(LogError::io("open", &name)(error)),
            };
        }
        let expected = self.tile_bytes(path)?;
        match read_file(storage, &name, expected.len() as u64) {
            Ok(found) => Ok(found.is_some_and(|found| found == expected)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(false),
            Err(error) => Err(LogError::io("read", &name)(error)),
        }
    }

    /// Publishes a head for a log whose checkpoint is missing, whatever was materialised before.
    pub(crate) fn republish(&mut self) -> Result<(), LogError> {
        replace_file(&*self.shared.storage, CHECKPOINT, &self.head.to_bytes())
    }

    /// The request to a witness that knows this log at size `old`.
    pub(crate) fn witness_request(&self, old: u64) -> Result<Vec<u8>, LogError> {
        self.shared.alive()?;
        let new = self.head.claims().size();
        if old > new {
            return Err(LogError::OutOfRange { wanted: old, size: new });
        }
        let proof = self.shared.consistency_proof(old, new)?;
        let request =
            AddCheckpoint::new(old, proof, self.head.clone()).map_err(|error| bad_cosignature(&error))?;
        Ok(request.to_bytes())
    }

    /// Adds a witness's answer to the published checkpoint.
    pub(crate) fn add_cosignatures(
        &mut self,
        lines: &[u8],
        witnesses: &[VerifierKey],
    ) -> Result<(), LogError> {
        self.shared.alive()?;
        let refuse = |what: &str| Err(LogError::BadCosignature { what: what.to_owned() });
        let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.is_empty() || lines.len() > MAX_SIGNATURES {
            return refuse("the answer is not 1 to 64 signature lines");
        }
        let mut head = self.head.clone();
        for line in lines {
            let line = NoteSignature::parse(line).map_err(|error| bad_cosignature(&error))?;
            let Some(key) = witnesses.iter().find(|key| key.matches(&line)) else {
                return refuse("it is from no witness that is known here");
            };
            match key.kind() {
                KeyKind::Ed25519Cosignature | KeyKind::MlDsa44Cosignature => {}
                KeyKind::Ed25519 => return refuse("it is a plain signature, not a cosignature"),
            }
            key.verify(head.note().text(), line.signature()).map_err(|error| bad_cosignature(&error))?;
            head.add(line).map_err(|error| bad_cosignature(&error))?;
        }
        self.store_cosigned(head).map_err(|error| self.shared.poison(error))
    }

    fn store_cosigned(&mut self, head: SignedCheckpoint) -> Result<(), LogError> {
        self.shared.check_fence()?;
        let storage = &*self.shared.storage;
        replace_file(storage, COSIGNED, &head.to_bytes())?;
        replace_file(storage, CHECKPOINT, &head.to_bytes())?;
        self.head = head;
        Ok(())
    }
}

/// The nodes or entries that a tile holds, by their index in its level.
pub(crate) fn tile_range(path: &TilePath) -> Range<u64> {
    let first = path.index() * TILE_WIDTH;
    first..first + u64::from(path.width())
}

/// Signs the head of the first `size` entries, which must be acknowledged.
pub(crate) fn sign_head(config: &Config, shared: &Shared, size: u64) -> Result<SignedCheckpoint, LogError> {
    sign_checkpoint(config, size, shared.root(size)?)
}

/// Signs a head.
pub(crate) fn sign_checkpoint(config: &Config, size: u64, root: Hash) -> Result<SignedCheckpoint, LogError> {
    let not_signed = |error: MerkleError| LogError::NotSigned { what: error.to_string() };
    let signers: Vec<&dyn NoteSigner> =
        config.signers.iter().map(|signer| &**signer as &dyn NoteSigner).collect();
    Checkpoint::new(&config.origin, size, root)
        .and_then(|checkpoint| checkpoint.sign(&signers))
        .map_err(not_signed)
}

fn bad_cosignature(error: &MerkleError) -> LogError {
    LogError::BadCosignature { what: error.to_string() }
}
