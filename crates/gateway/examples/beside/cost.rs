//! What processes have used, as Linux counts it, and what callgrind counts.

use std::path::Path;

use super::Outcome;

/// Clock ticks in a second, as Linux counts processor time for programs.
const TICKS: u64 = 100;

/// Processor time of a process and its children so far.
pub(crate) fn processor_us(process: u32) -> Outcome<u64> {
    let mut total = own_us(process)?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(other) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if parent(other) == Some(process) {
            total += own_us(other)?;
        }
    }
    Ok(total)
}

fn fields(process: u32) -> Outcome<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in parentheses and may hold anything.
    let rest = text.rsplit_once(')').ok_or("no name")?.1;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent(process: u32) -> Option<u32> {
    fields(process).ok()?.get(1)?.parse().ok()
}

fn own_us(process: u32) -> Outcome<u64> {
    let fields = fields(process)?;
    let ticks = |at: usize| -> Outcome<u64> { Ok(fields.get(at).ok_or("too short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) * 1_000_000 / TICKS)
}

/// Memory of a process that is in use.
pub(crate) fn resident_kb(process: u32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no size")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The bound below which a part of the observations lie, from the gateway's own histogram; none beyond its last bound.
pub(crate) fn quantile_us(metrics: &str, part: f64) -> Option<f64> {
    let mut buckets = Vec::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix("countersign_gateway_overhead_seconds_bucket{le=\"") else {
            continue;
        };
        let (bound, count) = rest.split_once("\"} ")?;
        let count: f64 = count.split(' ').next()?.parse().ok()?;
        buckets.push((bound.parse::<f64>().ok(), count));
    }
    let all = buckets.last()?.1;
    let (bound, _) = buckets.iter().find(|(_, count)| *count >= part * all)?;
    bound.filter(|bound| bound.is_finite()).map(|seconds| seconds * 1e6)
}

/// The program, and its arguments, that counts what another program does.
pub(crate) fn callgrind(file: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}", file.display());
    ["valgrind", "--quiet", "--tool=callgrind", &out].map(str::to_owned).to_vec()
}

/// The instructions that were counted.
pub(crate) fn counted(file: &Path) -> Outcome<u64> {
    let text = std::fs::read_to_string(file)?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    Ok(total.ok_or("callgrind says no total")?.trim().parse()?)
}
