//! Which start of the machine this is.

use std::path::Path;

use statement::Digest;

/// Where Linux says it: a random number of each start.
const PLACE: &str = "/proc/sys/kernel/random/boot_id";

/// SHA-256 of the identity of the machine's present start, as an `engine-binding` statement has it: of the text of
/// `/proc/sys/kernel/random/boot_id` without the line's end.
///
/// # Errors
/// Where the system does not say it.
pub fn boot() -> std::io::Result<Digest> {
    let text = std::fs::read_to_string(Path::new(PLACE))?;
    Ok(Digest::of(text.trim_end().as_bytes()))
}
