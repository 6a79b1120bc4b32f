//! What the disk is: its inodes, its names durable and cached, and the fault that waits; what a power cut leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::unsynced::{Inode, Naming};
use super::{Fault, Locks, usize_of};
use crate::sim::rng::Rng;

#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: Rng,
    pub(super) inodes: Vec<Inode>,
    pub(super) durable: BTreeMap<String, usize>,
    pub(super) cached: BTreeMap<String, usize>,
    pub(super) namings: Vec<Naming>,
    pub(super) operations: u64,
    pub(super) fault: Option<(Fault, u64)>,
    pub(super) met: Option<Fault>,
    pub(super) is_off: bool,
    /// Handles of earlier lives are of no use.
    pub(super) boot: u64,
    pub(super) locks: Locks,
    pub(super) holder: Option<u64>,
    pub(super) next_holder: u64,
}

/// What is to become of an operation.
pub(super) enum Fate {
    Done,
    Failed(io::Error),
    /// Made as far as it goes; then the power goes.
    Cut,
}

impl State {
    pub(super) fn off(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    pub(super) fn fate(&mut self) -> io::Result<Fate> {
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

    pub(super) fn cut(&mut self) -> io::Error {
        self.is_off = true;
        io::Error::other("the power was cut")
    }

    pub(super) fn rename_names(&mut self, naming: Naming) {
        naming.apply(&mut self.cached);
        self.namings.push(naming);
    }

    /// Makes durable the changes of names in `dir`, and those before them of the same names.
    pub(super) fn sync_names(&mut self, is_wanted: impl Fn(&Naming) -> bool) {
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

    pub(super) fn lose_power(&mut self) {
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

    pub(super) fn inode(&mut self, path: &str) -> io::Result<usize> {
        self.cached.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
