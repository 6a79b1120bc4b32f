//! Progress on a terminal, for what may take longer than a person waits. Nothing is shown where nobody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Done;

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(120);

/// Shows what is being done until it is done.
pub(crate) fn while_busy<T>(what: &str, work: impl FnOnce() -> Done<T>) -> Done<T> {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(TICK);
    let done = work();
    bar.finish_and_clear();
    done
}

/// A bar over a known number of things.
pub(crate) fn bar(what: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    // A template that cannot be read leaves the library's own.
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}
