//! What the disk hands out: open files, which a restart makes useless, and the lock.

use std::io;
use std::sync::{Arc, MutexGuard};

use super::state::{Fate, State};
use super::unsynced::Change;
use super::{SimDisk, usize_of};
use crate::storage::{LockGuard, StoredFile};

#[derive(Debug)]
pub(super) struct SimLock {
    pub(super) disk: Arc<SimDisk>,
    pub(super) id: u64,
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
pub(super) struct SimFile {
    pub(super) disk: Arc<SimDisk>,
    pub(super) inode: usize,
    pub(super) boot: u64,
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
