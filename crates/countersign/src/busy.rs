//! Progress on a terminal, for what may take longer than a person waits. Nothing is shown where nobody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

/// How long a person waits before a bar over bytes is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// A bar over bytes, which shows itself when the work takes longer than a person waits in silence.
pub(crate) fn bytes(what: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden())
        .with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar
}

/// Moves the bar, and shows it once the work has taken that long.
pub(crate) fn advance(bar: &ProgressBar, bytes: u64) {
    bar.inc(bytes);
    if bar.is_hidden() && bar.elapsed() > PATIENCE {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}
