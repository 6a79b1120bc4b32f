//! Many things that are hashed, some at a time.

use crate::{BLOCK, DIGEST, LANES, Part, Sha256, lanes, update_together};

/// Where the bytes of something come from.
pub trait Source {
    /// Why they do not come.
    type Error;

    /// The bytes that come next, none at the end. Asked again before [`Source::consume`], it answers the same.
    ///
    /// # Errors
    /// Whatever keeps the bytes from coming.
    fn fill(&mut self) -> Result<&[u8], Self::Error>;

    /// The first `count` of the bytes that [`Source::fill`] answered are done with.
    fn consume(&mut self, count: usize);
}

/// How many of `jobs` each of `threads` is to take on at once, so that none stands idle while others have several.
pub fn share(jobs: usize, threads: usize) -> usize {
    jobs.div_ceil(threads.max(1)).clamp(1, lanes())
}

struct Lane<S> {
    source: S,
    hasher: Sha256,
}

/// Hashes what `next` answers until it answers none, `at_once` of them side by side (at most [`LANES`]), and hands each to
/// `done` with its digest as it ends. On several cores, call it once for each with the same queue behind `next`.
///
/// # Errors
/// The first from `next`, a source or `done`; what was begun is left.
pub fn hash_all<S: Source>(
    at_once: usize,
    mut next: impl FnMut() -> Result<Option<S>, S::Error>,
    mut done: impl FnMut(S, [u8; DIGEST]) -> Result<(), S::Error>,
) -> Result<(), S::Error> {
    let mut active: Vec<Lane<S>> = Vec::with_capacity(LANES);
    loop {
        while active.len() < at_once.clamp(1, LANES)
            && let Some(source) = next()?
        {
            active.push(Lane { source, hasher: Sha256::new() });
        }
        if active.is_empty() {
            return Ok(());
        }
        let mut ended = false;
        let mut at = 0;
        while let Some(lane) = active.get_mut(at) {
            if lane.has_more()? {
                at += 1;
            } else {
                let lane = active.swap_remove(at);
                done(lane.source, lane.hasher.finish())?;
                ended = true;
            }
        }
        if !ended {
            together(&mut active)?;
        }
    }
}

impl<S: Source> Lane<S> {
    /// Whether a block at least is there to be taken; what is less is taken here, up to the end.
    fn has_more(&mut self) -> Result<bool, S::Error> {
        loop {
            let bytes = self.source.fill()?;
            let count = bytes.len();
            if count >= BLOCK {
                return Ok(true);
            }
            if count == 0 {
                return Ok(false);
            }
            self.hasher.update(bytes);
            self.source.consume(count);
        }
    }
}

/// Takes as many bytes from each as all have.
fn together<S: Source>(active: &mut [Lane<S>]) -> Result<(), S::Error> {
    let mut count = usize::MAX;
    for lane in &mut *active {
        count = count.min(lane.source.fill()?.len());
    }
    // Blocks stay whole where they are.
    let count = count / BLOCK * BLOCK;
    let mut parts = Vec::with_capacity(LANES);
    for lane in &mut *active {
        let bytes = lane.source.fill()?.get(..count).unwrap_or_default();
        parts.push(Part { stream: &mut lane.hasher, bytes });
    }
    update_together(&mut parts);
    for lane in active {
        lane.source.consume(count);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
