//! The files of a model that is signed or verified: which there are, and their digests on all cores.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use lanes::Source;
use rayon::prelude::*;
use seal::oms::plan::Hasher;
use seal::oms::{Found, HashType, Job, Symlinks};

use super::tree::{self, Held};
use crate::busy;
use crate::failure::{Done, Failure};

/// Most files of one model.
const FILES_MAX: usize = 200_000;
/// How deep folders may nest.
const DEPTH_MAX: usize = 64;
/// Bytes that are handed to the hash at a time, so that the bar moves.
const STRIDE: usize = 64 << 20;
/// Bytes of one file that are hashed before the next file's turn on the same core.
const WINDOW: usize = 1 << 20;

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
        let done = match hash {
            HashType::Sha256 => self.hash_in_lanes(jobs, &bar),
            // Each file on a core; BLAKE3 is parallel inside a file as well.
            HashType::Blake2b | HashType::Blake3 => jobs
                .into_par_iter()
                .with_max_len(1)
                .map(|job| {
                    let running = Running::open(self, job, &bar)?;
                    let mut hasher = Hasher::new(hash);
                    for piece in running.part().chunks(STRIDE) {
                        hasher.update(piece);
                        busy::advance(&bar, piece.len() as u64);
                    }
                    Ok((running.job, hasher.finish()))
                })
                .collect(),
        };
        bar.finish_and_clear();
        done
    }

    /// SHA-256 on all cores, several jobs at once on each.
    fn hash_in_lanes(&self, jobs: Vec<Job>, bar: &ProgressBar) -> Done<Vec<(Job, Vec<u8>)>> {
        let at_once = lanes::share(jobs.len(), rayon::current_num_threads());
        let queue = Mutex::new(jobs.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let hashed = rayon::broadcast(|_| {
            let mut hashed = Vec::new();
            lanes::hash_all(
                at_once,
                || next().map(|job| Running::open(self, job, bar)).transpose(),
                |running: Running<'_>, digest| {
                    hashed.push((running.job, digest.to_vec()));
                    Ok(())
                },
            )?;
            Ok(hashed)
        });
        Ok(hashed.into_iter().collect::<Done<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// A job that is being hashed.
struct Running<'r> {
    job: Job,
    held: Held,
    /// What of the file is left to hash.
    rest: Range<usize>,
    bar: &'r ProgressBar,
}

impl<'r> Running<'r> {
    fn open(model: &Model, job: Job, bar: &'r ProgressBar) -> Done<Self> {
        let place = model.place(&job.path);
        let held = tree::content(&place)?;
        let length = held.bytes().len();
        let (begin, end) = job.span.unwrap_or((0, length as u64));
        let rest = usize::try_from(begin).ok().zip(usize::try_from(end).ok()).map(|(begin, end)| begin..end);
        let rest = rest.filter(|rest| rest.start <= rest.end && rest.end <= length);
        let rest = rest.ok_or_else(|| Failure::not_a("file of that length", &place, "it changed"))?;
        Ok(Self { job, held, rest, bar })
    }

    /// What is left.
    fn part(&self) -> &[u8] {
        self.held.bytes().get(self.rest.clone()).unwrap_or_default()
    }
}

impl Source for Running<'_> {
    type Error = Failure;

    fn fill(&mut self) -> Done<&[u8]> {
        let part = self.part();
        Ok(part.get(..part.len().min(WINDOW)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.rest.start += count;
        busy::advance(self.bar, count as u64);
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
