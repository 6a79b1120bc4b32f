//! Sharing out work over threads, with an answer that does not depend on how it was shared out.

use std::num::NonZeroUsize;

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
        let done: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap_or(Err(AuditError::Worker))).collect();
        for answer in done {
            answers.extend(answer?);
        }
        Ok(answers)
    })
}
