//! Sharing out work over threads, with an answer that does not depend on how it was shared out.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError, mpsc};

use crate::error::AuditError;

/// Applies `work` to runs of neighbouring items, each run on a thread of its own, and joins the answers in order. The
/// error is that of the first run that has one.
pub(crate) fn in_runs<T: Send, U: Send>(
    items: Vec<T>,
    threads: NonZeroUsize,
    work: impl Fn(Vec<T>) -> Result<Vec<U>, AuditError> + Sync,
) -> Result<Vec<U>, AuditError> {
    let total = items.len();
    let run = total.div_ceil(threads.get()).max(1);
    let mut runs = Vec::new();
    let mut items = items.into_iter();
    loop {
        let next: Vec<T> = items.by_ref().take(run).collect();
        if next.is_empty() {
            break;
        }
        runs.push(next);
    }
    let mut answers = Vec::with_capacity(total);
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = runs.into_iter().map(|run| scope.spawn(move || work(run))).collect();
        let done: Vec<_> =
            handles.into_iter().map(|handle| handle.join().unwrap_or(Err(AuditError::Worker))).collect();
        for answer in done {
            answers.extend(answer?);
        }
        Ok(answers)
    })
}

/// How many neighbouring items are worked on at a time.
const BATCH: usize = 256;

/// Applies `work` to batches of neighbouring items on several threads, and hands the answers to `take` on this one, in
/// order, as soon as all before them were taken. Ends with the first error of `take`.
pub(crate) fn in_order<T: Send, U: Send>(
    items: Vec<T>,
    threads: NonZeroUsize,
    work: impl Fn(Vec<T>) -> Vec<U> + Sync,
    mut take: impl FnMut(Vec<U>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let batches = items.len().div_ceil(BATCH);
    let queue = Mutex::new((0..batches, items.into_iter()));
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (numbers, items) = &mut *queue;
        let number = numbers.next()?;
        Some((number, items.by_ref().take(BATCH).collect::<Vec<T>>()))
    };
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel();
        let mut handles = Vec::new();
        // This thread takes the answers, which is work as well.
        let helpers = threads.get().saturating_sub(1).max(1);
        for _ in 0..helpers.min(batches) {
            let (done, next, work) = (done.clone(), &next, &work);
            handles.push(scope.spawn(move || {
                while let Some((number, batch)) = next() {
                    // Nobody waits any more once `take` has failed.
                    if done.send((number, work(batch))).is_err() {
                        break;
                    }
                }
            }));
        }
        drop(done);
        let outcome = take_in_order(batches, &wait, &mut take);
        drop(wait);
        // Every thread is waited for, or one that ended early would end this one too.
        let mut lost = false;
        for handle in handles {
            lost |= handle.join().is_err();
        }
        outcome.and(if lost { Err(AuditError::Worker) } else { Ok(()) })
    })
}

fn take_in_order<U>(
    batches: usize,
    wait: &mpsc::Receiver<(usize, Vec<U>)>,
    take: &mut impl FnMut(Vec<U>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut early = BTreeMap::new();
    for number in 0..batches {
        while !early.contains_key(&number) {
            let (ready, answer) = wait.recv().map_err(|_| AuditError::Worker)?;
            early.insert(ready, answer);
        }
        take(early.remove(&number).unwrap_or_default())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
