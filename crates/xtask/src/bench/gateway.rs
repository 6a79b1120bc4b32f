//! What a request costs the gateway, beside nginx.

use std::process::Command;

use anyhow::Result;

use super::report::{Table, figure, whole};
use super::{Runs, Scratch, example};

/// Requests a second, and for how long.
const RATE: &str = "900";
const SECONDS: &str = "20";

pub(super) fn measure(_scratch: &Scratch) -> Result<Table> {
    let beside = example("gateway", "beside", &[])?;
    let nginx =
        ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists());
    let mut absent = Vec::new();
    let mut rows = Vec::new();
    let mut cost_of_nginx = None;
    for (what, proxy) in [
        ("nginx, unbuffered, nothing else on", "nginx"),
        ("the gateway, everything on", "gateway"),
        ("no proxy", "none"),
    ] {
        let program = match (proxy, nginx) {
            ("nginx", None) => {
                absent.push((what.to_owned(), "the Debian package `nginx` is not installed".to_owned()));
                continue;
            }
            (_, program) => program.unwrap_or_default(),
        };
        let runs = Runs::of(what, || {
            let mut command = Command::new(&beside);
            command.args([proxy, "--rate", RATE, "--seconds", SECONDS, "--nginx", program]);
            Ok(command)
        })?;
        let cost = runs.median("cpu_us_per_request").filter(|_| proxy != "none");
        if proxy == "nginx" {
            cost_of_nginx = cost;
        }
        let ratio = cost.zip(cost_of_nginx).map(|(cost, nginx)| cost / nginx);
        let ms = |member: &str| figure(runs.median(member).map(|us| us / 1000.0), 2);
        rows.push(vec![
            what.to_owned(),
            cost.map_or_else(|| "–".to_owned(), whole),
            figure(ratio, 2),
            ms("p50_us"),
            ms("p99_us"),
            whole(runs.median("failed").unwrap_or_default()),
        ]);
    }
    Ok(Table {
        text: format!(
            "{RATE} JSON requests a second, a kilobyte each way, for {SECONDS} s, from and to processes on the same machine. \
             Processor time is that of the proxy's processes. Latency is from when a request was due to its answer's end, with \
             the engine and the load on the same cores: it says little about the proxy by itself. The gateway checks keys, \
             assigns users, counts a stage with half of them on the candidate, measures, and follows its log; nginx passes on. \
             Median of {} runs.",
            super::RUNS
        ),
        head: vec!["", "processor µs/request", "× nginx", "p50 ms", "p99 ms", "failed"],
        rows,
        absent,
    })
}
