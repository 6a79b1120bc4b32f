//! Whether this process runs inside gVisor, told from inside.
//!
//! Nothing that a process sees proves what kernel it runs on. Two things must agree: the version of the kernel, which in
//! gVisor names nobody who built it, and the first line of the kernel's log, which no process can write before it runs. It
//! is the word of the host that says it, as every boundary is.

use std::fs;

use crate::raw;

/// Whether this is gVisor; why not, where it is not.
///
/// # Errors
/// Where the kernel's version or log is another kernel's, or cannot be read.
pub fn inside() -> Result<(), String> {
    let version = fs::read_to_string("/proc/version").map_err(|error| format!("/proc/version: {error}"))?;
    let log = raw::kernel_log().map_err(|error| format!("the kernel's log: {error}"))?;
    told(&version, &String::from_utf8_lossy(&log))
}

/// What the two texts say together.
fn told(version: &str, log: &str) -> Result<(), String> {
    // Linux names who built it, where and with what: `Linux version 6.1.0 (builder@host) (gcc ...) #1 SMP ...`.
    if !version.starts_with("Linux version ") || version.contains('(') {
        return Err("the kernel's version is not that of gVisor".to_owned());
    }
    let first = log.lines().next().unwrap_or_default();
    // `<6>[    0.000000] Starting gVisor...`; tools that show the log leave the number out.
    let text = first.split_once("] ").map_or(first, |(_, text)| text);
    if text != "Starting gVisor..." {
        return Err("the kernel's log does not begin as that of gVisor".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // As runsc 20221219 shows them.
    const VERSION: &str = "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n";
    const LOG: &str =
        "<6>[    0.000000] Starting gVisor...\n<6>[    0.538285] Creating bureaucratic processes...\n";
    const LINUX: &str = "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP x\n";

    #[test]
    fn gvisor_is_told_by_its_version_and_its_log() {
        told(VERSION, LOG).unwrap();
        told(VERSION, "[    0.000000] Starting gVisor...\n").unwrap();
    }

    #[test]
    fn neither_alone_is_enough() {
        told(LINUX, LOG).unwrap_err();
        told(VERSION, "<6>[    0.000000] Linux version 6.1.0\n<6>[    1.0] Starting gVisor...\n")
            .unwrap_err();
        // What a program of the host wrote into its log is not its first line, and says more.
        told(VERSION, "<6>[    9.0] note: Starting gVisor...\n").unwrap_err();
        told(VERSION, "").unwrap_err();
        told("", LOG).unwrap_err();
    }
}
