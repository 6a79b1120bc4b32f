//! The files of a model that is signed or verified: which there are, and their digests on all cores.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use seal::oms::plan::Hasher;
use seal::oms::{Found, HashType, Job, Symlinks};

use super::tree;
use crate::busy;
use crate::failure::{Done, Failure};

/// Most files of one model.
const FILES_MAX: usize = 200_000;
/// How deep folders may nest.
const DEPTH_MAX: usize = 64;
/// Bytes that are handed to the hash at a time, so that the bar moves.
const STRIDE: usize = 64 << 20;

/// A model on disk.
pub(crate) struct Model {
    root: PathBuf,
    pub(crate) name: String,
    pub(crate) found: Vec<Found>,
}

impl Model {
    /// Everything at and below `path`, but for the file `signature`. Links are entered only where they are followed;
    /// elsewhere each is one find, which plans then refuse.
    pub(crate) fn walk(path: &Path, signature: &Path, symlinks: Symlinks) -> Done<Self> {
        let failed = |error| Failure::file(path, &error);
        let root = path.canonicalize().map_err(failed)?;
        let name = root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned();
        let signature = signature.canonicalize().ok();
        let mut found = Vec::new();
        let metadata = std::fs::metadata(&root).map_err(failed)?;
        if metadata.is_file() {
            found.push(Found { path: ".".to_owned(), bytes: metadata.len(), is_link: false });
        } else {
            let signature = signature.as_deref();
            let mut walk = Walk { found: &mut found, signature, root: &root, symlinks, folders: 0 };
            walk.folder(&root, "", 0, Way::Straight)?;
        }
        Ok(Self { root, name, found })
    }

    /// Where a file of the model is.
    fn place(&self, path: &str) -> PathBuf {
        if path == "." { self.root.clone() } else { self.root.join(path) }
    }

    /// The digests of the jobs, the largest begun first.
    pub(crate) fn hash(&self, hash: HashType, jobs: Vec<Job>) -> Done<Vec<(Job, Vec<u8>)>> {
        let bar = busy::bytes("hashing", jobs.iter().map(|job| job.bytes).sum());
        let digest = |job: Job| -> Done<(Job, Vec<u8>)> {
            let held = tree::content(&self.place(&job.path))?;
            let bytes = held.bytes();
            let part = match job.span {
                None => Some(bytes),
                Some((begin, end)) => usize::try_from(begin)
                    .ok()
                    .zip(usize::try_from(end).ok())
                    .and_then(|(a, b)| bytes.get(a..b)),
            };
            let part = part
                .ok_or_else(|| Failure::not_a("file of that length", &self.place(&job.path), "it changed"))?;
            let mut hasher = Hasher::new(hash);
            for piece in part.chunks(STRIDE) {
                hasher.update(piece);
                busy::advance(&bar, piece.len() as u64);
            }
            Ok((job, hasher.finish()))
        };
        // Each file on a core; BLAKE3 is parallel inside a file as well.
        let done = jobs.into_par_iter().with_max_len(1).map(digest).collect();
        bar.finish_and_clear();
        done
    }
}

/// Whether the way from the model's folder leads over a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Straight,
    OverLink,
}

struct Walk<'w> {
    found: &'w mut Vec<Found>,
    signature: Option<&'w Path>,
    root: &'w Path,
    symlinks: Symlinks,
    /// Folders entered; links may lead into one many times.
    folders: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize, way: Way) -> Done {
        self.folders += 1;
        if depth > DEPTH_MAX || self.folders > FILES_MAX {
            return Err(too_many(self.root));
        }
        let listing = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut children = listing.map_err(|error| Failure::file(folder, &error))?;
        children.sort_by_key(std::fs::DirEntry::file_name);
        for child in children {
            self.child(&child, prefix, depth, way)?;
            if self.found.len() > FILES_MAX {
                return Err(too_many(self.root));
            }
        }
        Ok(())
    }

    fn child(&mut self, child: &std::fs::DirEntry, prefix: &str, depth: usize, way: Way) -> Done {
        let place = child.path();
        let failed = |error| Failure::file(&place, &error);
        let unfit = |why| Failure::not_a("file that can be signed", &place, why);
        if self.signature == Some(place.as_path()) {
            return Ok(());
        }
        let name = child.file_name();
        let name = name.to_str().ok_or_else(|| unfit("its name is not Unicode"))?;
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let is_link = child.file_type().map_err(failed)?.is_symlink();
        if is_link && self.symlinks == Symlinks::Refused {
            self.found.push(Found { path, bytes: 0, is_link });
            return Ok(());
        }
        let way = if is_link { Way::OverLink } else { way };
        let metadata = std::fs::metadata(&place).map_err(failed)?;
        if metadata.is_dir() {
            return self.folder(&place, &path, depth + 1, way);
        }
        if !metadata.is_file() {
            return Err(unfit("it is neither file nor folder"));
        }
        self.found.push(Found { path, bytes: metadata.len(), is_link: way == Way::OverLink });
        Ok(())
    }
}

fn too_many(root: &Path) -> Failure {
    let message =
        format!("`{}`: more than {FILES_MAX} files, or folders deeper than {DEPTH_MAX}", root.display());
    Failure::new("CS-CLI-023", message, "sign the folder in parts")
}
