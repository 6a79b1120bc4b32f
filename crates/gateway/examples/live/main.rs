//! Load and faults: a gateway under traffic while releases go well, go wrong, and everything around it fails.
//!
//! ```text
//! cargo run --release -p gateway --example live -- [--rate N] [--seconds N] [--stage-ms N]
//! cargo run --release -p gateway --example live -- --short
//! ```
//!
//! Engines are processes that can be told to fail, and killed; the gateway is a process; the realm is made (the auditor's
//! fixture), its log published into a folder. Everything else is as in service: orders verified to the trust root,
//! assignment, gates with a significance of 0.01, rollbacks by the gateway itself. Users come in sessions of three requests,
//! a second apart. Prints what happens as it happens, and one line of JSON at the end; ends with an error where something
//! did not hold. What is made up is the realm, the engines and their faults.
//!
//! The short run has fewer and larger stages, so that the few users of a minute are enough to show something, and one fault
//! of each kind.

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
/// How much is done.
#[derive(Debug)]
struct Extent {
    /// Requests a second.
    rate: u64,
    /// Whole cycles are begun until then; there is always one.
    seconds: u64,
    /// How long a stage lasts at least.
    stage_ms: u64,
    /// The shares of the stages between the shadow and everybody.
    shares_ppm: &'static [u32],
    /// An answer that takes longer is slow, in microseconds. The short run has no slow answers among its faults, and a busy
    /// machine must not be taken for one.
    slow_us: u64,
    scenarios: &'static [Scenario],
}

/// What is done to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scenario {
    name: &'static str,
    fault: Fault,
    /// The share at which the fault begins; none from the beginning: a version that was poisoned.
    share_ppm: Option<u64>,
}

const fn scenario(name: &'static str, fault: Fault, share_ppm: u64) -> Scenario {
    Scenario { name, fault, share_ppm: Some(share_ppm) }
}

const POISONED: Scenario = Scenario { name: "poisoned version", fault: Fault::Refuses, share_ppm: None };

const WHOLE: &[Scenario] = &[
    scenario("errors at 5 %", Fault::Errors, 50_000),
    scenario("errors at 25 %", Fault::Errors, 250_000),
    scenario("errors at 50 %", Fault::Errors, 500_000),
    scenario("slow at 25 %", Fault::Slow, 250_000),
    scenario("drifted answers at 25 %", Fault::Drifted, 250_000),
    scenario("engine killed at 25 %", Fault::Crash, 250_000),
    POISONED,
];

const SHORT: &[Scenario] = &[
    scenario("errors at 50 %", Fault::Errors, 500_000),
    scenario("engine killed at 30 %", Fault::Crash, 300_000),
    POISONED,
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
        Some("--short") => run(&Extent {
            rate: 300,
            seconds: 0,
            stage_ms: 1_000,
            shares_ppm: &[300_000, 500_000],
            slow_us: 2_000_000,
            scenarios: SHORT,
        }),
        _ => run(&Extent {
            rate: number("--rate", 900)?,
            seconds: number("--seconds", 600)?,
            stage_ms: number("--stage-ms", 4_000)?,
            shares_ppm: &[50_000, 250_000, 500_000],
            slow_us: 150_000,
            scenarios: WHOLE,
        }),
    }
}

/// What a run found.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Value>,
    /// What did not hold.
    broken: Vec<String>,
    resident_kb: Vec<u64>,
    cycles: u64,
}

fn run(extent: &Extent) -> Outcome<()> {
    let began = Instant::now();
    let mut base = Engine::start()?;
    let mut good = Engine::start()?;
    let mut bad = Engine::start()?;
    // Releases are known before they are ordered, so that the gateway need not be started anew for each.
    let cycles = extent.seconds / 20 + 1;
    let mut gate = Gate::new(extent)?;
    let mut engines: BTreeMap<StateId, String> = BTreeMap::new();
    engines.insert(gate.first_state(), base.url());
    for cycle in 0..cycles {
        engines.insert(gate.target(&format!("good {cycle}"))?, good.url());
        for scenario in extent.scenarios {
            engines.insert(gate.target(&format!("{} {cycle}", scenario.name))?, bad.url());
        }
    }
    gate.start(&engines)?;
    let load = Load::begin(gate.address()?, extent.rate)?;
    load.more(extent.rate)?;
    let mut report = Report::default();
    let until = began + Duration::from_secs(extent.seconds);
    // What stops a run is one of the things that it found.
    if let Err(error) = report.all(extent, &mut gate, &load, &mut bad, (cycles, until), &engines) {
        report.broken.push(error.to_string());
    }
    let seen = load.end()?;
    if seen.failed > 0 {
        report.broken.push(format!("{} requests were dropped: {}", seen.failed, seen.trouble));
    }
    if seen.forward > 0 {
        report.broken.push(format!("{} sessions were moved forward", seen.forward));
    }
    let line = json!({
        "seconds": began.elapsed().as_secs(), "rate": extent.rate, "requests": seen.answered + seen.failed,
        "dropped": seen.failed, "sessions": seen.sessions, "moved_forward": seen.forward, "moved_back": seen.back,
        "resident_kb": report.resident_kb, "cycles": report.cycles, "events": report.rows, "broken": report.broken,
    });
    println!("{line}");
    for engine in [&mut base, &mut good, &mut bad] {
        engine.end();
    }
    gate.end()?;
    if report.broken.is_empty() { Ok(()) } else { Err(report.broken.join("; ").into()) }
}

impl Report {
    /// Cycles, and then what is not about releases.
    fn all(
        &mut self,
        extent: &Extent,
        gate: &mut Gate,
        load: &Load,
        bad: &mut Engine,
        (cycles, until): (u64, Instant),
        engines: &BTreeMap<StateId, String>,
    ) -> Outcome<()> {
        self.resident_kb.push(gate.resident_kb()?);
        while self.cycles == 0 || Instant::now() < until && self.cycles < cycles {
            self.one_cycle(extent, gate, load, bad)?;
            if self.cycles == 0 {
                self.resident_kb.push(gate.resident_kb()?);
            }
            self.cycles += 1;
        }
        self.resident_kb.push(gate.resident_kb()?);
        let before = load.seen();
        gate.hide_log()?;
        load.more(2 * extent.rate)?;
        gate.show_log()?;
        self.add("the log is out of reach for two seconds", None, &before, load);
        let before = load.seen();
        gate.restart(engines)?;
        load.more(2 * extent.rate)?;
        self.add("the gateway is started anew", None, &before, load);
        Ok(())
    }

    /// Every fault, and one good release.
    fn one_cycle(&mut self, extent: &Extent, gate: &mut Gate, load: &Load, bad: &mut Engine) -> Outcome<()> {
        let cycle = self.cycles;
        for scenario in extent.scenarios {
            self.fault(scenario, &format!("{} {cycle}", scenario.name), gate, load, bad)?;
        }
        let before = load.seen();
        let ordered = Instant::now();
        let change = gate.release(&format!("good {cycle}"))?;
        gate.until(&change, load, |state, _| ["done", "rolled back"].contains(&state))?;
        if gate.state_of(&change)? != "done" {
            return Err(format!("a good release was taken back: {}", gate.slot()?).into());
        }
        let told = json!({ "done_ms": millis(ordered.elapsed()) });
        self.add("a good release goes all the way", Some(told), &before, load);
        gate.submit_reports()
    }

    /// A release that goes wrong, and must be taken back.
    fn fault(
        &mut self,
        scenario: &Scenario,
        label: &str,
        gate: &mut Gate,
        load: &Load,
        bad: &mut Engine,
    ) -> Outcome<()> {
        let before = load.seen();
        if scenario.share_ppm.is_none() {
            bad.fault(scenario.fault)?;
        }
        let mut from = Instant::now();
        let change = gate.release(label)?;
        if let Some(share) = scenario.share_ppm {
            gate.until(&change, load, |state, at| state != "running" || at >= Some(share))?;
            if gate.state_of(&change)? != "running" {
                return Err(
                    format!("`{label}` ended before anything was wrong with it: {}", gate.slot()?).into()
                );
            }
            bad.fault(scenario.fault)?;
            from = Instant::now();
        }
        gate.until(&change, load, |state, _| ["done", "rolled back"].contains(&state))?;
        let back = Instant::now();
        if gate.state_of(&change)? != "rolled back" {
            return Err(format!("`{label}` was not taken back: {}", gate.slot()?).into());
        }
        // What had begun ends where it began.
        load.more(load.second())?;
        bad.fault(Fault::None)?;
        let (seen, target) = (load.seen(), gate.target(label)?.to_string());
        if seen.asked.get(&target).is_some_and(|asked| *asked > back) {
            self.broken.push(format!("`{label}` answered what was asked after it was taken back"));
        }
        let last = seen.last.get(&target).map(|last| last.saturating_duration_since(from));
        let told = json!({
            "decided_ms": millis(back.saturating_duration_since(from)), "last_answer_ms": last.map_or(0, millis),
        });
        self.add(scenario.name, Some(told), &before, load);
        gate.roll_back(&change)
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
