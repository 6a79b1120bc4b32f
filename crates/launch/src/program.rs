//! The engine's program, hashed on the descriptor that is executed, and its arguments.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use statement::{Digest, json};

use crate::Error;

/// Bytes that are hashed at a time.
const PIECE: usize = 1 << 20;

/// A program of this machine.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    file: File,
    digest: Digest,
}

impl Program {
    /// Opens a program by path, or by a name that is looked for in the folders of `search` (the form of `PATH`).
    ///
    /// # Errors
    /// [`Error::NoProgram`], [`Error::File`].
    pub fn open(name: &Path, search: Option<&std::ffi::OsStr>) -> Result<Self, Error> {
        let path = if name.components().count() > 1 {
            name.to_owned()
        } else {
            let folders = search.map(std::env::split_paths).into_iter().flatten();
            let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
            found.ok_or_else(|| Error::NoProgram { name: name.display().to_string() })?
        };
        let failed = || Error::file(&path, "read");
        let mut file = File::open(&path).map_err(failed())?;
        let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
        loop {
            let read = file.read(&mut piece).map_err(failed())?;
            let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
            hash.update(read);
        }
        let digest = Digest::from_bytes(hash.finalize().into());
        Ok(Self { path, file, digest })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its SHA-256.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The path of the open descriptor: what is executed is what was hashed, whatever is at the path by then.
    pub(crate) fn descriptor(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }
}

/// What an `engine-binding` statement has of the arguments: SHA-256 of the canonical JSON of their list, placeholders as
/// they were given, so that the same command has the same digest on every machine and in every folder.
///
/// # Errors
/// [`Error::System`] where they have no canonical form, which strings always have.
pub fn arguments_digest(arguments: &[String]) -> Result<Digest, Error> {
    let bytes =
        json::to_canonical(&arguments).map_err(|error| Error::system("canonical arguments", error))?;
    Ok(Digest::of(&bytes))
}

/// The arguments with every placeholder `{name}` filled. Braces around anything but a name stay as they are, so that JSON
/// can be an argument.
///
/// # Errors
/// [`Error::Placeholder`] for a name that nothing fills.
pub fn filled(arguments: &[String], places: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    arguments.iter().map(|argument| fill(argument, places)).collect()
}

fn fill(argument: &str, places: &BTreeMap<String, String>) -> Result<String, Error> {
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        name.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && name.bytes().all(plain)
    };
    let (mut filled, mut rest) = (String::new(), argument);
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        if let Some((name, further)) = after.split_once('}').filter(|(name, _)| is_name(name)) {
            let place = places.get(name);
            filled.push_str(place.ok_or_else(|| Error::Placeholder { place: format!("{{{name}}}") })?);
            rest = further;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn placeholders_are_filled_and_json_is_left_alone() {
        let places = BTreeMap::from([
            ("model".to_owned(), "/m".to_owned()),
            ("component:a.b".to_owned(), "/c".to_owned()),
        ]);
        let given =
            words(&["--model={model}/x", "{component:a.b}", r#"{"a": {"b": 1}}"#, "{", "{}", "}{model}"]);
        let expected = words(&["--model=/m/x", "/c", r#"{"a": {"b": 1}}"#, "{", "{}", "}/m"]);
        assert_eq!(filled(&given, &places).unwrap(), expected);
        assert_eq!(filled(&words(&["{prompt}"]), &places).unwrap_err().code(), "CS-LCH-006");
    }

    #[test]
    fn a_program_is_found_by_name_and_hashed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("engine"), b"program").unwrap();
        let found = Program::open(Path::new("engine"), Some(folder.path().as_os_str())).unwrap();
        assert_eq!(found.digest(), Digest::of(b"program"));
        let none = Program::open(Path::new("none"), Some(folder.path().as_os_str())).unwrap_err();
        assert_eq!(none.code(), "CS-LCH-005");
    }

    #[test]
    fn the_same_arguments_have_the_same_digest() {
        let digest = arguments_digest(&words(&["-m", "{model}"])).unwrap();
        assert_eq!(digest, Digest::of(br#"["-m","{model}"]"#));
    }
}
