//! Where a realm lives on this machine: one folder with its log, vault, keys and local settings.
//!
//! ```text
//! realm.json      which realm, which log, which witnesses
//! log/            the transparency log
//! vault/          artefacts, encrypted
//! vault-keys/     the tenants' keys, sealed under vault.master
//! keys/           key files: NAME.key
//! witness/        the state of the witness on this machine; logs/ in it holds what it cosigned last
//! ```

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use statement::{RealmId, StatementId, json};

use crate::failure::{Done, Failure};

/// A folder for contents of the vault while they are looked at: nobody else may enter it.
pub(crate) fn private_folder() -> Done<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let made = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir();
    made.map_err(|error| Failure::file(&std::env::temp_dir(), &error))
}

/// The largest settings file.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

/// The folder of a realm.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

/// A witness that is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteWitness {
    /// Its verifier key.
    pub(crate) key: String,
    /// Its address, up to and without `/add-checkpoint`.
    pub(crate) url: String,
}

/// What this machine knows about the realm besides the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The log's verifier key.
    pub(crate) log_key: String,
    /// The verifier key of the witness on this machine.
    pub(crate) local_witness: String,
    /// The log's origin.
    pub(crate) origin: String,
    /// The realm.
    pub(crate) realm: RealmId,
    /// The first trust root: what outsiders pin.
    pub(crate) root: StatementId,
    /// Witnesses elsewhere.
    pub(crate) witnesses: Vec<RemoteWitness>,
}

impl Home {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.0.join("vault")
    }

    pub(crate) fn vault_keys(&self) -> PathBuf {
        self.0.join("vault-keys")
    }

    pub(crate) fn master_key(&self) -> PathBuf {
        self.0.join("vault.master")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.0.join("witness")
    }

    fn settings_path(&self) -> PathBuf {
        self.0.join("realm.json")
    }

    /// Whether a realm lives here.
    pub(crate) fn exists(&self) -> bool {
        self.settings_path().exists()
    }

    /// The folder of a realm or a station in which a place lies, whether something is there already or not.
    pub(crate) fn around(place: &Path) -> std::io::Result<Option<PathBuf>> {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = match fs::canonicalize(folder.unwrap_or(Path::new("."))) {
            Ok(folder) => folder,
            // What lies in no folder lies in no realm's; writing it will say so.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_home = |folder: &&Path| {
            let home = Self::new(folder);
            (home.exists() || crate::station::Station::is_in(&home)) && home.keys().is_dir()
        };
        Ok(folder.ancestors().find(is_home).map(Path::to_owned))
    }

    /// Refuses a folder that is neither empty nor absent: nothing of ours may be mixed with what is there.
    pub(crate) fn vacant(&self) -> Done {
        let occupied = match fs::read_dir(&self.0) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Failure::file(&self.0, &error)),
        };
        if occupied {
            let message = format!("`{}` is not empty", self.0.display());
            return Err(Failure::new("CS-CLI-005", message, "give a new folder with --home"));
        }
        Ok(())
    }

    /// Makes the folder, which must be empty or absent. What is made is removed again, unless it is kept.
    pub(crate) fn create(&self) -> Done<Unfinished> {
        self.vacant()?;
        let unfinished = Unfinished { home: self.clone(), was_there: self.0.is_dir(), state: Making::Begun };
        for folder in [self.keys(), self.log(), self.vault(), self.vault_keys(), self.witness()] {
            fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
            restrict(&folder)?;
        }
        restrict(&self.0)?;
        Ok(unfinished)
    }

    /// Reads the settings.
    pub(crate) fn settings(&self) -> Done<Settings> {
        let path = self.settings_path();
        // Not knowing whether something is there is not the same as nothing being there.
        if !path.try_exists().map_err(|error| Failure::file(&path, &error))? {
            if crate::station::Station::is_in(self) {
                let message = format!("`{}` is a station, and no realm", self.0.display());
                let hint =
                    "run this at the realm; at a station, `bundle in`, `examine` and `bundle out` work";
                return Err(Failure::new("CS-CLI-062", message, hint));
            }
            let message = format!("no realm lives in `{}`", self.0.display());
            return Err(Failure::new(
                "CS-CLI-006",
                message,
                "`countersign init` makes one; --home names its folder",
            ));
        }
        let bytes = read_bounded(&path, SETTINGS_BYTES_MAX)?;
        let value = json::parse(&bytes, json::Limits::signed(SETTINGS_BYTES_MAX))
            .map_err(|error| Failure::not_a("realm's settings", &path, error))?;
        json::from_value(&value).map_err(|error| Failure::not_a("realm's settings", &path, error))
    }

    /// Writes the settings, replacing them atomically.
    pub(crate) fn write_settings(&self, settings: &Settings) -> Done {
        let path = self.settings_path();
        let mut bytes = json::to_canonical(settings)?;
        bytes.push(b'\n');
        replace(&path, &bytes)
    }
}

/// A home that is being made. What does not get to its end leaves nothing behind, so that it can be tried again.
#[must_use]
pub(crate) struct Unfinished {
    home: Home,
    was_there: bool,
    state: Making,
}

#[derive(PartialEq, Eq)]
enum Making {
    Begun,
    Finished,
}

impl Unfinished {
    /// It is complete.
    pub(crate) fn keep(mut self) {
        self.state = Making::Finished;
    }

    fn clear(&self) -> std::io::Result<()> {
        if !self.was_there {
            return fs::remove_dir_all(self.home.path());
        }
        for entry in fs::read_dir(self.home.path())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.state == Making::Begun
            && let Err(error) = self.clear()
        {
            tracing::warn!(%error, home = %self.home.path().display(), "what was begun could not be removed");
        }
    }
}

/// Reads a file, or a pipe that the caller names, of at most `limit` bytes. A pipe that nobody has open for writing is
/// refused: nothing would ever come.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> Done<Vec<u8>> {
    use std::os::unix::fs::FileTypeExt as _;
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = open_at_once(path).map_err(failed)?;
    let is_pipe = file.metadata().map_err(failed)?.file_type().is_fifo();
    // Only opening must not wait.
    let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| failed(error.into()))?;
    rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)
        .map_err(|error| failed(error.into()))?;
    let bytes = read_open(file, path, limit)?;
    if is_pipe && bytes.is_empty() {
        return Err(failed(std::io::Error::other("it is a pipe, and nobody writes into it")));
    }
    Ok(bytes)
}

fn read_open(file: fs::File, path: &Path, limit: usize) -> Done<Vec<u8>> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let too_long = || {
        let message = format!("`{}` has more than {limit} bytes", path.display());
        Err(Failure::new("CS-CLI-007", message, "this is not the file that was meant"))
    };
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    // What says itself that it is too long is not read.
    if file.metadata().map_err(failed)?.len() > most {
        return too_long();
    }
    let mut bytes = Vec::new();
    // What a file says of its length is not what can be read from it, if it is a pipe or grows.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit { too_long() } else { Ok(bytes) }
}

/// Opens for reading without waiting: opening a pipe would otherwise block until somebody writes into it.
pub(crate) fn open_at_once(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let at_once = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = fs::OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    crate::inputs::remember(&file);
    Ok(file)
}

/// Opens what must be a file.
pub(crate) fn open_file(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::FileTypeExt as _;
    let file = open_at_once(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    };
    Err(std::io::Error::other(format!("it is {what}, not a file")))
}

/// Writes a file whole or not at all, and durably.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Done {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn restrict(folder: &Path) -> Done {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|error| Failure::file(folder, &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    /// Models and prompts of others are unpacked into it.
    #[test]
    fn a_private_folder_is_its_owners_alone() {
        let folder = super::private_folder().unwrap();
        let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
