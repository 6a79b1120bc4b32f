//! Load and faults: a gateway under traffic while releases go well, go wrong, and everything around it fails.
//!
//! ```text
//! cargo run --release -p gateway --example live -- [--rate N] [--seconds N] [--stage-ms N]
//! ```
//!
//! Engines are processes that can be told to fail; the gateway is a process; the realm is made (the auditor's fixture), its
//! log published into a folder. Everything else is as in service: orders verified to the trust root, assignment, gates with
//! a significance of 0.01, rollbacks by the gateway itself. Users come in sessions of three requests, a second apart. Prints
//! what happens as it happens, and one line of JSON at the end. What is made up is the realm, the engines and their faults.

mod engine;
mod gate;
mod load;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use statement::StateId;

use self::engine::{Engine, Fault};
use self::gate::Gate;
use self::load::Load;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The key of the load.
const KEY: &str = "a-key-for-this-harness";
/// How often is looked at how everything stands.
const GLANCE: Duration = Duration::from_millis(20);

/// What is done to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scenario {
    name: &'static str,
    fault: Fault,
    /// The stage in which the fault begins; none from the beginning: a version that was poisoned.
    stage: Option<u64>,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "errors at 5 %", fault: Fault::Errors, stage: Some(1) },
    Scenario { name: "errors at 25 %", fault: Fault::Errors, stage: Some(2) },
    Scenario { name: "errors at 50 %", fault: Fault::Errors, stage: Some(3) },
    Scenario { name: "slow at 25 %", fault: Fault::Slow, stage: Some(2) },
    Scenario { name: "drifted answers at 25 %", fault: Fault::Drifted, stage: Some(2) },
    Scenario { name: "crash at 25 %", fault: Fault::Crash, stage: Some(2) },
    Scenario { name: "poisoned version", fault: Fault::Refuses, stage: None },
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: u64| option(name).map_or(Ok(usual), |text| text.parse());
    let argument = |at: usize| arguments.get(at).map(String::as_str).ok_or("too few arguments");
    match arguments.first().map(String::as_str) {
        Some("engine") => engine::serve(argument(1)?.parse()?),
        Some("serve") => gate::serve(argument(1)?, argument(2)?.parse()?),
        _ => run(number("--rate", 900)?, number("--seconds", 600)?, number("--stage-ms", 4_000)?),
    }
}

/// What a run found.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Value>,
}

fn run(rate: u64, seconds: u64, stage_ms: u64) -> Outcome<()> {
    let began = Instant::now();
    let mut base = Engine::start()?;
    let mut good = Engine::start()?;
    let mut bad = Engine::start()?;
    // Releases are known before they are ordered, so that the gateway need not be started anew for each.
    let cycles = seconds / 20 + 1;
    let mut gate = Gate::new(stage_ms)?;
    let mut engines: BTreeMap<StateId, String> = BTreeMap::new();
    engines.insert(gate.first_state(), base.url());
    for cycle in 0..cycles {
        engines.insert(gate.target(&format!("good {cycle}"))?, good.url());
        for scenario in SCENARIOS {
            engines.insert(gate.target(&format!("{} {cycle}", scenario.name))?, bad.url());
        }
    }
    gate.start(&engines)?;
    let load = Load::begin(gate.address()?, rate)?;
    load.until_answered(rate)?;
    let resident_before = gate.resident_kb()?;
    let mut report = Report::default();
    let mut cycle = 0;
    let mut resident_after_first = resident_before;
    while cycle == 0 || began.elapsed() < Duration::from_secs(seconds) && cycle < cycles {
        report.one_cycle(&mut gate, &load, &mut bad, cycle)?;
        if cycle == 0 {
            resident_after_first = gate.resident_kb()?;
        }
        cycle += 1;
    }
    let resident = gate.resident_kb()?;
    let before = load.seen();
    gate.hide_log()?;
    load.until_answered(before.answered + 2 * rate)?;
    gate.show_log()?;
    report.add("the log is out of reach for two seconds", None, &before, &load);
    let before = load.seen();
    gate.restart(&engines)?;
    load.until_answered(before.answered + 2 * rate)?;
    report.add("the gateway is started anew", None, &before, &load);
    let seen = load.end()?;
    let line = json!({
        "seconds": began.elapsed().as_secs(), "rate": rate, "requests": seen.answered + seen.failed, "dropped": seen.failed,
        "trouble": seen.trouble, "sessions": seen.sessions, "moved_forward": seen.forward, "moved_back": seen.back,
        "resident_kb": [resident_before, resident_after_first, resident], "cycles": cycle, "events": report.rows,
    });
    println!("{line}");
    for engine in [&mut base, &mut good, &mut bad] {
        engine.end();
    }
    gate.end()
}

impl Report {
    /// One good release, and every fault.
    fn one_cycle(&mut self, gate: &mut Gate, load: &Load, bad: &mut Engine, cycle: u64) -> Outcome<()> {
        for scenario in SCENARIOS {
            let before = load.seen();
            let label = format!("{} {cycle}", scenario.name);
            if scenario.stage.is_none() {
                bad.fault(scenario.fault)?;
            }
            let ordered = Instant::now();
            let change = gate.release(&label)?;
            let mut from = ordered;
            if let Some(stage) = scenario.stage {
                gate.until(&change, |state, at| state != "running" || at >= Some(stage))?;
                bad.fault(scenario.fault)?;
                from = Instant::now();
            }
            gate.until(&change, |state, _| ["done", "rolled back"].contains(&state))?;
            let decided = from.elapsed();
            if gate.state_of(&change)? != "rolled back" {
                return Err(format!("`{label}` was not taken back: {}", gate.slot()?).into());
            }
            // What had begun ends where it began.
            load.until_answered(load.seen().answered + 20)?;
            bad.fault(Fault::None)?;
            let target = gate.target(&label)?.to_string();
            let last = load
                .seen()
                .last
                .get(&target)
                .map_or(Duration::ZERO, |last| last.saturating_duration_since(from));
            let told = json!({ "decided_ms": millis(decided), "last_answer_ms": millis(last) });
            self.add(scenario.name, Some(told), &before, load);
            gate.roll_back(&change)?;
        }
        let before = load.seen();
        let ordered = Instant::now();
        let change = gate.release(&format!("good {cycle}"))?;
        gate.until(&change, |state, _| ["done", "rolled back"].contains(&state))?;
        if gate.state_of(&change)? != "done" {
            return Err(format!("a good release was taken back: {}", gate.slot()?).into());
        }
        let told = json!({ "done_ms": millis(ordered.elapsed()) });
        self.add("a good release goes all the way", Some(told), &before, load);
        gate.submit_reports()
    }

    fn add(&mut self, what: &str, told: Option<Value>, before: &load::Seen, load: &Load) {
        let seen = load.seen();
        let mut row = json!({
            "event": what, "requests": seen.answered.saturating_sub(before.answered),
            "dropped": seen.failed.saturating_sub(before.failed), "moved_forward": seen.forward.saturating_sub(before.forward),
        });
        if let (Some(row), Some(Value::Object(told))) = (row.as_object_mut(), told) {
            row.extend(told);
        }
        eprintln!("{row}");
        self.rows.push(row);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
