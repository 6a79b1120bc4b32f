//! Keys of this machine: files in the realm's folder, opened with a passphrase where they are sealed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signer::{FileKey, FileScheme, KeyFile, Passphrase, Protection, Signer as _, Stretching};
use statement::kind::Assurance;
use statement::{KeyId, Name, PublicKey};
use zeroize::Zeroizing;

use crate::failure::{Done, Failure};
use crate::home::{Home, read_bounded, replace};
use crate::realm::{AUTOMATION_KEY, LOG_KEY, WITNESS_KEY};

/// Where passphrases come from.
#[derive(Clone)]
pub(crate) enum PassphraseSource {
    /// A file, its last line end cut off.
    File(PathBuf),
    /// A text known to the program: the demo's, or the environment's.
    Known(Arc<Zeroizing<String>>),
    /// Asked for on the terminal.
    Terminal,
}

/// The keys of a realm on this machine, opened once each.
pub(crate) struct Keys {
    home: Home,
    source: PassphraseSource,
    open: RefCell<BTreeMap<String, Arc<FileKey>>>,
}

/// A key that was made and not written yet.
pub(crate) struct Generated {
    name: String,
    path: PathBuf,
    file: KeyFile,
    key: Arc<FileKey>,
}

impl Keys {
    pub(crate) fn new(home: &Home, source: PassphraseSource) -> Self {
        Self { home: home.clone(), source, open: RefCell::new(BTreeMap::new()) }
    }

    fn path(&self, name: &str) -> Done<PathBuf> {
        let name: Name = name.parse()?;
        if name.as_str().contains(['/', ':']) {
            return Err(Failure::usage(format!("a key's name is a file name, not `{name}`")));
        }
        Ok(self.home.keys().join(format!("{name}.key")))
    }

    /// Makes a key; sealed with a passphrase for persons, unsealed for services.
    pub(crate) fn create(&self, name: &str, scheme: FileScheme, assurance: Assurance) -> Done<Arc<FileKey>> {
        self.keep(self.generate(name, scheme, assurance)?)
    }

    /// Makes a key that is not written yet: whoever has to be asked is asked before anything is there.
    pub(crate) fn generate(&self, name: &str, scheme: FileScheme, assurance: Assurance) -> Done<Generated> {
        let path = self.path(name)?;
        let (file, key) = match assurance {
            Assurance::Unsealed => KeyFile::generate(scheme, Protection::Unsealed)?,
            Assurance::Sealed => {
                let passphrase = self.new_passphrase(name)?;
                let stretching = Stretching::RFC_9106_SECOND;
                KeyFile::generate(scheme, Protection::Sealed { passphrase: &passphrase, stretching })?
            }
            Assurance::Hardware => return Err(Failure::usage("a key file is no hardware")),
        };
        Ok(Generated { name: name.to_owned(), path, file, key: Arc::new(key) })
    }

    /// Writes a key that was made.
    pub(crate) fn keep(&self, generated: Generated) -> Done<Arc<FileKey>> {
        let Generated { name, path, file, key } = generated;
        file.write_new(&path)?;
        self.open.borrow_mut().insert(name, Arc::clone(&key));
        Ok(key)
    }

    /// Opens a key.
    pub(crate) fn open(&self, name: &str) -> Done<Arc<FileKey>> {
        if let Some(key) = self.open.borrow().get(name) {
            return Ok(Arc::clone(key));
        }
        let path = self.path(name)?;
        if !path.exists() {
            return Err(missing(name, &path));
        }
        let file = KeyFile::read(&path)?;
        let key = match file.assurance() {
            Assurance::Unsealed => file.open_unsealed()?,
            _ => file.open_sealed(&self.passphrase(&format!("Passphrase for key `{name}`: "))?)?,
        };
        let key = Arc::new(key);
        self.open.borrow_mut().insert(name.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// Holds a key that lies elsewhere: a gateway's own.
    pub(crate) fn hold(&self, path: &Path) -> Done<KeyId> {
        let key = Arc::new(KeyFile::read(path)?.open_unsealed()?);
        let id = key.public_key().id();
        self.open.borrow_mut().insert(path.display().to_string(), key);
        Ok(id)
    }

    /// A key that was opened before, by its id.
    pub(crate) fn held(&self, key: &KeyId) -> Option<Arc<FileKey>> {
        self.open.borrow().values().find(|held| held.public_key().id() == *key).cloned()
    }

    /// The public half of a key and how it is kept, without a passphrase.
    pub(crate) fn public(&self, name: &str) -> Done<(PublicKey, Assurance)> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(missing(name, &path));
        }
        let file = KeyFile::read(&path)?;
        Ok((file.public_key().clone(), file.assurance()))
    }

    /// The public half of a key that lies elsewhere and was enrolled from here under the name.
    pub(crate) fn elsewhere(&self, name: &str) -> Done<Option<PublicKey>> {
        let path = self.card(name)?;
        if !path.exists() {
            return Ok(None);
        }
        let public: PublicKey = serde_json::from_slice(&read_bounded(&path, 16 << 10)?)
            .map_err(|error| Failure::not_a("public half of a key", &path, error))?;
        public.check().map_err(|error| Failure::not_a("public half of a key", &path, error))?;
        Ok(Some(public))
    }

    /// Remembers under which name a key that lies elsewhere was enrolled. The log knows keys by their ids alone.
    pub(crate) fn remember(&self, name: &str, public: &PublicKey) -> Done {
        let bytes = serde_json::to_vec(public).map_err(|error| Failure::outside(error, "report a defect"))?;
        replace(&self.card(name)?, &bytes)
    }

    fn card(&self, name: &str) -> Done<PathBuf> {
        Ok(self.path(name)?.with_extension("public"))
    }

    /// The names of all key files, sorted.
    pub(crate) fn names(&self) -> Done<Vec<String>> {
        let folder = self.home.keys();
        let entries = std::fs::read_dir(&folder).map_err(|error| Failure::file(&folder, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Failure::file(&folder, &error))?;
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".key")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A passphrase for a new key; at a terminal, where nobody sees what is typed, asked for twice.
    fn new_passphrase(&self, name: &str) -> Done<Passphrase> {
        if !matches!(self.source, PassphraseSource::Terminal) {
            return self.passphrase("");
        }
        let first = Zeroizing::new(ask(&format!("New passphrase for key `{name}`: "))?);
        let second = Zeroizing::new(ask("Once more: ")?);
        if secret::equal(first.as_bytes(), second.as_bytes()) {
            Ok(Passphrase::new(first.as_str().to_owned()))
        } else {
            Err(Failure::new(
                "CS-CLI-018",
                "the two passphrases differ",
                "nothing was made; type the same one twice",
            ))
        }
    }

    pub(crate) fn passphrase(&self, prompt: &str) -> Done<Passphrase> {
        match &self.source {
            PassphraseSource::Known(text) => Ok(Passphrase::new(text.as_str().to_owned())),
            PassphraseSource::File(path) => {
                let bytes = Zeroizing::new(read_bounded(path, 4_096)?);
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))?;
                Ok(Passphrase::new(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            PassphraseSource::Terminal => ask(prompt).map(Passphrase::new),
        }
    }
}

fn ask(prompt: &str) -> Done<String> {
    rpassword::prompt_password(prompt).map_err(|error| {
        let hint = "run it in a terminal, or give --passphrase-file or COUNTERSIGN_PASSPHRASE";
        Failure::new("CS-CLI-008", format!("no passphrase: {error}"), hint)
    })
}

fn missing(name: &str, path: &Path) -> Failure {
    // These are made with the realm and named in its trust root: another key of the name would be no remedy.
    if [LOG_KEY, WITNESS_KEY, AUTOMATION_KEY].contains(&name) {
        let message = format!("the realm's own key `{name}` is missing: there is no `{}`", path.display());
        let hint = "restore it from its backup; a new key of this name would be another key, which the realm does not know";
        return Failure::new("CS-CLI-061", message, hint);
    }
    let hint = "`countersign key list` shows the keys of this machine; `countersign key new` makes one";
    Failure::new("CS-CLI-002", format!("there is no key `{name}`"), hint)
}

/// A scheme by its name.
pub(crate) fn scheme(name: &str) -> Done<FileScheme> {
    match name {
        "ed25519" => Ok(FileScheme::Ed25519),
        "ecdsa-p256-sha256" => Ok(FileScheme::EcdsaP256Sha256),
        other => Err(Failure::usage(format!("`{other}` is no scheme: ed25519, ecdsa-p256-sha256"))),
    }
}

/// The id of an opened key.
pub(crate) fn id(key: &FileKey) -> KeyId {
    key.public_key().id()
}
