//! Names of files within a model: relative, with `/`, and never leading out of the folder.

use crate::Error;
use crate::error::shown;

/// Most bytes in a name.
const NAME_BYTES_MAX: usize = 4096;

/// Checks the name of a file, relative to the model's folder.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let refused = |reason| Err(Error::ResourceName { name: shown(name), reason });
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refused("it is empty or longer than 4096 bytes");
    }
    if name.starts_with('/') {
        return refused("it is an absolute path");
    }
    if name.contains('\\') {
        return refused("it has a backslash, which some systems take as a separator");
    }
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.contains(hidden) {
        return refused("it has control characters");
    }
    let mut drive = name.bytes();
    if drive.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && drive.next() == Some(b':') {
        return refused("it begins like a drive");
    }
    if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refused("a part of it is empty, `.` or `..`");
    }
    Ok(())
}

/// Whether `name` is `folder` or stands in it.
pub(crate) fn is_within(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The order of names: by their parts, as paths are sorted.
pub(crate) fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.split('/').cmp(b.split('/'))
}
