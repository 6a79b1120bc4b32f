//! Which parts of which files are to be hashed, and whether what is there is what was signed.
//!
//! The program walks the folder and hashes; what it does with either is decided here.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{
    HashType, Manifest, Method, Resource, SINGLE_FILE, Serialization, Span, Symlinks, hex,
};
use super::name;
use crate::Error;
use crate::error::shown;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path relative to the model, with `/`; [`SINGLE_FILE`] where the model is this file.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether it, or a folder on the way to it, is a symbolic link.
    pub is_link: bool,
}

/// A run of bytes to be hashed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// The file.
    pub path: String,
    /// First byte, and one past the last; none for the whole file.
    pub span: Span,
    /// How many bytes that are.
    pub bytes: u64,
}

impl Serialization {
    /// What is to be hashed of the files that are there, the largest first.
    ///
    /// # Errors
    /// [`Error::Link`]; [`Error::ResourceName`] where a name cannot be signed; [`Error::Unsignable`].
    pub fn plan(&self, found: &[Found]) -> Result<Vec<Job>, Error> {
        let mut jobs = Vec::new();
        for file in found.iter().filter(|file| !is_ignored(&file.path, &self.ignored)) {
            if file.path != SINGLE_FILE {
                name::check(&file.path)?;
            }
            if file.is_link && self.symlinks == Symlinks::Refused {
                return Err(Error::Link { name: shown(&file.path) });
            }
            match self.method {
                Method::Files => jobs.push(Job { path: file.path.clone(), span: None, bytes: file.bytes }),
                Method::Shards { .. } if file.path.contains(':') => {
                    let reason = "it has a colon, which parts names of shards";
                    return Err(Error::ResourceName { name: shown(&file.path), reason });
                }
                Method::Shards { .. } if file.bytes == 0 => {
                    return Err(Error::Unsignable {
                        reason: "it has an empty file, which the method `shards` cannot name; use `files`",
                    });
                }
                Method::Shards { bytes } => {
                    let mut begin = 0;
                    while begin < file.bytes {
                        let end = begin.saturating_add(bytes).min(file.bytes);
                        jobs.push(Job {
                            path: file.path.clone(),
                            span: Some((begin, end)),
                            bytes: end - begin,
                        });
                        begin = end;
                    }
                }
            }
        }
        if jobs.is_empty() {
            return Err(Error::Unsignable { reason: "there is no file in it" });
        }
        jobs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.cmp(b)));
        Ok(jobs)
    }
}

impl Manifest {
    /// What is to be hashed, the largest first, or the first thing that already differs: a file that is missing, was
    /// not signed, has another length or is a link. `ignored` are paths that whoever checks wants left out; those
    /// that were signed are never left out.
    ///
    /// # Errors
    /// [`Error::FileMissing`], [`Error::FileUnsigned`], [`Error::FileChanged`], [`Error::Link`].
    pub fn plan(&self, found: &[Found], ignored: &[String]) -> Result<Vec<Job>, Error> {
        let signed: BTreeSet<&str> = self.resources().iter().map(|resource| resource.path.as_str()).collect();
        let there: BTreeMap<&str, &Found> = found.iter().map(|file| (file.path.as_str(), file)).collect();
        for file in found {
            let left_out =
                || is_ignored(&file.path, &self.serialization().ignored) || is_ignored(&file.path, ignored);
            if !signed.contains(file.path.as_str()) && !left_out() {
                return Err(Error::FileUnsigned { name: shown(&file.path) });
            }
        }
        let mut lengths: BTreeMap<&str, u64> = BTreeMap::new();
        let mut jobs = Vec::with_capacity(self.resources().len());
        for resource in self.resources() {
            let Some(file) = there.get(resource.path.as_str()) else {
                return Err(Error::FileMissing { name: shown(&resource.path) });
            };
            if file.is_link && self.serialization().symlinks == Symlinks::Refused {
                return Err(Error::Link { name: shown(&file.path) });
            }
            let bytes = match resource.span {
                None => file.bytes,
                Some((begin, end)) => {
                    lengths
                        .entry(resource.path.as_str())
                        .and_modify(|last| *last = end.max(*last))
                        .or_insert(end);
                    end - begin
                }
            };
            jobs.push(Job { path: resource.path.clone(), span: resource.span, bytes });
        }
        for (path, length) in lengths {
            let is = there.get(path).map_or(0, |file| file.bytes);
            if is != length {
                let (said, is) = (format!("{length} bytes"), format!("{is} bytes"));
                return Err(Error::FileChanged { name: shown(path), said, is });
            }
        }
        jobs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.cmp(b)));
        Ok(jobs)
    }

    /// Compares what was hashed with what was signed.
    ///
    /// # Errors
    /// [`Error::FileChanged`] names the first that differs; [`Error::FileMissing`] where a digest is not there.
    pub fn compare(&self, hashed: &[(Job, Vec<u8>)]) -> Result<(), Error> {
        let digests: BTreeMap<(&str, Span), &[u8]> =
            hashed.iter().map(|(job, digest)| ((job.path.as_str(), job.span), digest.as_slice())).collect();
        for resource in self.resources() {
            match digests.get(&(resource.path.as_str(), resource.span)) {
                None => return Err(Error::FileMissing { name: shown(&resource.name()) }),
                Some(digest) if *digest == resource.digest => {}
                Some(digest) => {
                    let (said, is) = (hex(&resource.digest), hex(digest));
                    return Err(Error::FileChanged { name: shown(&resource.name()), said, is });
                }
            }
        }
        Ok(())
    }
}

/// What was hashed, as a manifest lists it.
pub fn resources(hashed: Vec<(Job, Vec<u8>)>) -> Vec<Resource> {
    hashed.into_iter().map(|(job, digest)| Resource { path: job.path, span: job.span, digest }).collect()
}

fn is_ignored(path: &str, ignored: &[String]) -> bool {
    ignored.iter().any(|folder| name::is_within(path, folder))
}

/// A digest that is computed from bytes as they come.
#[derive(Debug, Clone)]
pub struct Hasher(Inner);

#[derive(Clone)]
enum Inner {
    Sha256(aws_lc_rs::digest::Context),
    Blake2b(Box<blake2::Blake2b512>),
    Blake3(Box<blake3::Hasher>),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Sha256",
            Self::Blake2b(_) => "Blake2b",
            Self::Blake3(_) => "Blake3",
        })
    }
}

impl Hasher {
    /// One that has seen nothing.
    pub fn new(hash: HashType) -> Self {
        Self(match hash {
            HashType::Sha256 => Inner::Sha256(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256)),
            HashType::Blake2b => Inner::Blake2b(Box::default()),
            HashType::Blake3 => Inner::Blake3(Box::default()),
        })
    }

    /// Takes more bytes; BLAKE3 takes large runs on all of Rayon's threads.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha256(context) => context.update(bytes),
            Inner::Blake2b(hasher) => blake2::Digest::update(hasher.as_mut(), bytes),
            Inner::Blake3(hasher) if bytes.len() >= 1 << 20 => drop(hasher.update_rayon(bytes)),
            Inner::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    /// The digest.
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            Inner::Sha256(context) => context.finish().as_ref().to_vec(),
            Inner::Blake2b(hasher) => blake2::Digest::finalize(*hasher).to_vec(),
            Inner::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
