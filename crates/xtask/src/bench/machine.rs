//! What a figure was measured on.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

/// How many syncs are timed.
const SYNCS: usize = 100;

/// The machine, as far as it matters to the figures.
#[derive(Debug)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    file_system: String,
    sync_ms: Option<f64>,
    load: String,
    date: String,
}

impl Machine {
    /// This machine, and the disk under `folder`.
    pub(crate) fn here(folder: &Path) -> Result<Self> {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            cpu: model.map_or("unknown CPU", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(folder),
            sync_ms: super::median(sync_times_ms(folder)?),
            load: text("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        })
    }

    pub(super) fn line(&self) -> String {
        let Self { cpu, cores, kernel, file_system, sync_ms, load, date } = self;
        let sync = super::report::figure(*sync_ms, 2);
        format!(
            "{date}. {cpu}, {cores} cores, Linux {kernel}, {file_system}, one `fdatasync` {sync} ms (median), load {load} before the run."
        )
    }
}

/// Whether the folder lives in memory, where a sync costs nothing.
pub(super) fn is_memory(folder: &Path) -> bool {
    matches!(kind(folder).as_str(), "tmpfs" | "ramfs")
}

fn kind(folder: &Path) -> String {
    column("fstype", folder)
}

fn column(name: &str, folder: &Path) -> String {
    let table = said(Command::new("df").arg(format!("--output={name}")).arg(folder));
    table.lines().last().unwrap_or_default().trim().to_owned()
}

fn file_system(folder: &Path) -> String {
    let device = column("source", folder);
    let name = device.trim_start_matches("/dev/").trim_end_matches(|c: char| c.is_ascii_digit());
    let rotational = fs::read_to_string(format!("/sys/block/{name}/queue/rotational"));
    let disk = match rotational.as_deref().map(str::trim) {
        Ok("0") => "a disk that does not rotate",
        Ok("1") => "a disk said to rotate",
        _ => "a disk of unknown kind",
    };
    format!("{} on {disk} (`{name}`)", kind(folder))
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_else(|_| "unknown".to_owned())
}

/// How long a sync of 4 KiB takes here, in milliseconds each.
fn sync_times_ms(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("sync-probe");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let since = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(since.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(path)?;
    Ok(times)
}
