//! A disk in memory that forgets what POSIX lets it forget.
//!
//! Each file has what is durable, what the cache shows, and the writes between the two. A power cut keeps of
//! those writes whatever the seed says: none, all, some sectors, a prefix, in any order; and likewise of the
//! names. A failed sync leaves the cache as it is and drops the writes that it did not make, as Linux does.

mod unsynced;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::rng::Rng;
use crate::state::lock;
use crate::storage::{Access, LockGuard, Storage, StoredFile, parent};
use unsynced::{Change, Inode, Naming};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power is cut in the middle of the operation.
    PowerCut,
    /// The operation fails with EIO.
    Error,
}

/// How the log comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The machine was off: what was not durable is lost, in whole or in part.
    PowerLoss,
    /// Only the process ended: the cache is as it was.
    Process,
}

/// Whether locks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// One holder at a time.
    Kept,
    /// Everybody gets the lock, as on a file system whose locks do not work.
    Broken,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    inodes: Vec<Inode>,
    durable: BTreeMap<String, usize>,
    cached: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    operations: u64,
    fault: Option<(Fault, u64)>,
    met: Option<Fault>,
    is_off: bool,
    /// Handles of earlier lives are of no use.
    boot: u64,
    locks: Locks,
    holder: Option<u64>,
    next_holder: u64,
}

/// What is to become of an operation.
enum Fate {
    Done,
    Failed(io::Error),
    /// Made as far as it goes; then the power goes.
    Cut,
}

impl State {
    fn off(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn fate(&mut self) -> io::Result<Fate> {
        self.off()?;
        self.operations += 1;
        match self.fault {
            Some((fault, at)) if at == self.operations => {
                self.met = Some(fault);
                self.fault = None;
                Ok(match fault {
                    Fault::Error => Fate::Failed(io::Error::other("input/output error")),
                    Fault::PowerCut => Fate::Cut,
                })
            }
            _ => Ok(Fate::Done),
        }
    }

    fn cut(&mut self) -> io::Error {
        self.is_off = true;
        io::Error::other("the power was cut")
    }

    fn rename_names(&mut self, naming: Naming) {
        naming.apply(&mut self.cached);
        self.namings.push(naming);
    }

    /// Makes durable the changes of names in `dir`, and those before them of the same names.
    fn sync_names(&mut self, is_wanted: impl Fn(&Naming) -> bool) {
        let mut wanted: Vec<bool> = self.namings.iter().map(is_wanted).collect();
        let mut needed: Vec<&str> = Vec::new();
        for (naming, wanted) in self.namings.iter().zip(&mut wanted).rev() {
            *wanted |= naming.paths().any(|path| needed.contains(&path));
            if *wanted {
                needed.extend(naming.paths());
            }
        }
        let mut wanted = wanted.into_iter();
        let durable = &mut self.durable;
        self.namings.retain(|naming| {
            let is_wanted = wanted.next().unwrap_or(false);
            if is_wanted {
                naming.apply(durable);
            }
            !is_wanted
        });
    }

    fn lose_power(&mut self) {
        let mut namings = std::mem::take(&mut self.namings);
        match self.rng.below(3) {
            0 => namings.clear(),
            1 => namings.truncate(usize_of(self.rng.below(namings.len() as u64 + 1))),
            _ => namings.retain(|_| self.rng.below(2) == 0),
        }
        for naming in &namings {
            naming.apply(&mut self.durable);
        }
        for inode in &mut self.inodes {
            inode.tear(&mut self.rng);
            if std::mem::take(&mut inode.is_dirty) {
                inode.cached.clone_from(&inode.durable);
            }
        }
        self.cached.clone_from(&self.durable);
        let named: BTreeSet<usize> = self.durable.values().copied().collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if !named.contains(&number) {
                *inode = Inode::default();
            }
        }
    }

    fn inode(&mut self, path: &str) -> io::Result<usize> {
        self.cached.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The disk. Shared by all that have it open.
#[derive(Debug)]
pub struct SimDisk {
    state: Mutex<State>,
    this: Weak<Self>,
}

impl SimDisk {
    /// An empty disk whose faults `seed` decides.
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            rng: Rng::new(seed),
            inodes: Vec::new(),
            durable: BTreeMap::new(),
            cached: BTreeMap::new(),
            namings: Vec::new(),
            operations: 0,
            fault: None,
            met: None,
            is_off: false,
            boot: 0,
            locks: Locks::Kept,
            holder: None,
            next_holder: 0,
        };
        Arc::new_cyclic(|this| Self { state: Mutex::new(state), this: this.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// How many operations that change something were asked for so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the operation with this number, counted from 1, meet the fault.
    pub fn inject(&self, fault: Fault, operation: u64) {
        self.state().fault = Some((fault, operation));
    }

    /// The fault that was met since this was asked last; one that was not met yet is taken back.
    pub fn take_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        state.fault = None;
        state.met.take()
    }

    /// Whether a fault was met that was not yet taken.
    pub fn has_met_fault(&self) -> bool {
        self.state().met.is_some()
    }

    /// Ends every handle and lock, and with [`Restart::PowerLoss`] whatever was not durable.
    pub fn restart(&self, restart: Restart) {
        let mut state = self.state();
        if restart == Restart::PowerLoss || state.is_off {
            state.lose_power();
        }
        state.is_off = false;
        state.boot += 1;
        state.holder = None;
    }

    /// Keeps or breaks locks.
    pub fn set_locks(&self, locks: Locks) {
        self.state().locks = locks;
    }

    /// What the cache shows of a file. No operation.
    pub fn peek(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.cached.get(path)?;
        Some(state.inodes.get(*inode)?.cached.clone())
    }

    /// Changes a file behind everybody's back, on the disk and in the cache; false where it is absent.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state();
        let Some(inode) = state.cached.get(path).copied() else { return false };
        let Some(inode) = state.inodes.get_mut(inode) else { return false };
        inode.sync();
        change(&mut inode.durable);
        inode.cached.clone_from(&inode.durable);
        true
    }

    /// The paths of all files that the cache shows.
    pub fn paths(&self) -> Vec<String> {
        self.state().cached.keys().cloned().collect()
    }

    fn handle(&self, inode: usize, boot: u64) -> io::Result<Arc<dyn StoredFile>> {
        let disk = self.this.upgrade().ok_or_else(|| io::Error::other("the disk is gone"))?;
        Ok(Arc::new(SimFile { disk, inode, boot }))
    }

    /// A change of names that may meet a fault.
    fn name(&self, make: impl FnOnce(&mut State) -> io::Result<Naming>) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.fate()?;
        if let Fate::Failed(error) = fate {
            return Err(error);
        }
        let naming = make(&mut state)?;
        state.rename_names(naming);
        if matches!(fate, Fate::Cut) { Err(state.cut()) } else { Ok(()) }
    }
}

impl Storage for SimDisk {
    fn open(&self, path: &str, _: Access) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = self.state();
        state.off()?;
        let (inode, boot) = (state.inode(path)?, state.boot);
        drop(state);
        self.handle(inode, boot)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = self.state();
        let fate = state.fate()?;
        if let Fate::Failed(error) = fate {
            return Err(error);
        }
        let existing = state.cached.get(path).copied();
        let inode = if let Some(inode) = existing {
            if let Some(file) = state.inodes.get_mut(inode) {
                file.change(Change::Length(0));
            }
            inode
        } else {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.rename_names(Naming { unlink: None, link: Some((path.to_owned(), inode)) });
            inode
        };
        if matches!(fate, Fate::Cut) {
            return Err(state.cut());
        }
        let boot = state.boot;
        drop(state);
        self.handle(inode, boot)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.name(|state| {
            let inode = state.inode(from)?;
            Ok(Naming { unlink: Some(from.to_owned()), link: Some((to.to_owned(), inode)) })
        })
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.name(|state| {
            if state.cached.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = state.inode(from)?;
            Ok(Naming { unlink: Some(from.to_owned()), link: Some((to.to_owned(), inode)) })
        })
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let state = self.state();
        state.off()?;
        Ok(state.cached.contains_key(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.off()?;
        let names = state.cached.keys().filter(|path| parent(path) == dir);
        Ok(names.filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.name(|state| {
            state.inode(path)?;
            Ok(Naming { unlink: Some(path.to_owned()), link: None })
        })
    }

    fn remove_dir(&self, _: &str) -> io::Result<()> {
        // Directories are as durable as the names in them.
        self.name(|_| Ok(Naming { unlink: None, link: None }))
    }

    fn create_dir(&self, _: &str) -> io::Result<()> {
        self.name(|_| Ok(Naming { unlink: None, link: None }))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        match state.fate()? {
            Fate::Failed(error) => Err(error),
            Fate::Cut => Err(state.cut()),
            Fate::Done => {
                state.sync_names(|naming| naming.paths().any(|path| parent(path) == dir));
                Ok(())
            }
        }
    }

    fn sync_everything(&self) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.fate()?;
        let State { inodes, rng, .. } = &mut *state;
        match fate {
            Fate::Failed(error) => {
                for inode in inodes {
                    inode.tear(rng);
                }
                Err(error)
            }
            Fate::Cut => Err(state.cut()),
            Fate::Done => {
                inodes.iter_mut().for_each(Inode::sync);
                state.sync_names(|_| true);
                Ok(())
            }
        }
    }

    fn lock(&self, _: &str) -> io::Result<Box<dyn LockGuard>> {
        let mut state = self.state();
        state.off()?;
        if state.holder.is_some() && state.locks == Locks::Kept {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.next_holder += 1;
        let id = state.next_holder;
        state.holder = Some(id);
        let disk = self.this.upgrade().ok_or_else(|| io::Error::other("the disk is gone"))?;
        Ok(Box::new(SimLock { disk, id }))
    }

    fn nonce(&self) -> io::Result<[u8; 16]> {
        let mut state = self.state();
        let (a, b) = (state.rng.next(), state.rng.next());
        let mut bytes = [0; 16];
        for (byte, random) in bytes.iter_mut().zip(a.to_le_bytes().into_iter().chain(b.to_le_bytes())) {
            *byte = random;
        }
        Ok(bytes)
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<SimDisk>,
    id: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.holder == Some(self.id) {
            state.holder = None;
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<SimDisk>,
    inode: usize,
    boot: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.off()?;
        if state.boot == self.boot { Ok(state) } else { Err(io::Error::other("a handle of an earlier life")) }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state()?;
        let fate = state.fate()?;
        let State { inodes, rng, .. } = &mut *state;
        let inode = inodes.get_mut(self.inode).ok_or(io::ErrorKind::NotFound)?;
        match fate {
            Fate::Failed(error) => {
                // A failed write may have written a part.
                if let Change::Bytes { offset, bytes } = change {
                    let kept = usize_of(rng.below(bytes.len() as u64 + 1));
                    let bytes = bytes.get(..kept).unwrap_or_default().to_vec();
                    inode.change(Change::Bytes { offset, bytes });
                }
                Err(error)
            }
            Fate::Cut => {
                inode.change(change);
                Err(state.cut())
            }
            Fate::Done => {
                inode.change(change);
                Ok(())
            }
        }
    }
}

impl StoredFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes { offset: usize_of(offset), bytes: bytes.to_vec() })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.state()?;
        let contents = state.inodes.get(self.inode).map(|inode| inode.cached.as_slice()).unwrap_or_default();
        let rest = contents.get(usize_of(offset)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let fate = state.fate()?;
        let State { inodes, rng, .. } = &mut *state;
        let inode = inodes.get_mut(self.inode).ok_or(io::ErrorKind::NotFound)?;
        match fate {
            Fate::Failed(error) => {
                inode.tear(rng);
                Err(error)
            }
            Fate::Cut => Err(state.cut()),
            Fate::Done => {
                inode.sync();
                Ok(())
            }
        }
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let size = self.size()?;
        self.change(Change::Length(usize_of(len.max(size))))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(usize_of(len)))
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.state()?;
        Ok(state.inodes.get(self.inode).map_or(0, |inode| inode.cached.len() as u64))
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
