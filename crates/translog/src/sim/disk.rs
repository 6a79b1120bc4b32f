//! A disk in memory that forgets what POSIX lets it forget.
//!
//! Each file has what is durable, what the cache shows, and the writes between the two. A power cut keeps of
//! those writes whatever the seed says: none, all, some sectors, a prefix, in any order; and likewise of the
//! names. A failed sync leaves the cache as it is and drops the writes that it did not make, as Linux does.

mod handle;
mod state;
mod unsynced;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::rng::Rng;
use crate::state::lock;
use crate::storage::{Access, LockGuard, Storage, StoredFile, parent};
use handle::{SimFile, SimLock};
use state::{Fate, State};
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

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
