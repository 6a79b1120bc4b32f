//! Makes a log of about 100,000 statements by real keys and audits its export: `cargo run --release -p audit
//! --features fixture --example large [STATEMENTS]`. With a second argument the export is written to that file.
#![allow(clippy::expect_used, reason = "a benchmark stops where something is wrong")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::time::Instant;

use audit::audit;
use audit::fixture::{Plan, Realm, Who};
use statement::kind::Level;

/// Processor time of this process so far, in seconds, over all threads; none where the system does not tell.
fn processor_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in parentheses, fields 14 and 15 of proc(5): user and system time in hundredths of a second.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u32 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    Some(f64::from(ticks) / 100.0)
}

/// Runs a part and says how long it took: by the clock, and in processor time.
fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let (begin, before) = (Instant::now(), processor_s());
    let answer = part();
    let spent = processor_s().zip(before).map_or(f64::NAN, |(after, before)| after - before);
    println!("{what}: {:.2} s, {spent:.2} s of processor time", begin.elapsed().as_secs_f64());
    answer
}

/// Slots, so that changes do not all wait for one.
const SLOTS: usize = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let statements = arguments.next().map_or(100_000, |text| text.parse().expect("a number of statements"));
    let file = arguments.next();

    let realm = timed("making the log", || make(statements));
    let expectations = realm.expectations();
    let bytes = timed("writing the export", || realm.export());
    println!("{} statements, {} MB", realm.entries().len(), bytes.len() / 1_000_000);
    drop(realm);
    if let Some(file) = file {
        std::fs::write(&file, &bytes).expect("a file that can be written");
    }
    let report = timed("AUDIT", || audit(&bytes, &expectations)).expect("an audit to the end");
    let json = timed("report as JSON", || report.to_json()).expect("a report in JSON");
    println!("{:?}, {} changes, {} MB of JSON", report.outcome, report.changes.len(), json.len() / 1_000_000);
}

/// A realm in which changes follow each other, with everything their tiers ask for, until there are enough statements.
fn make(statements: usize) -> Realm {
    let mut realm = Realm::new();
    let names: Vec<String> = (0..SLOTS).map(|number| format!("region-{number}/claims")).collect();
    for name in &names {
        realm.open_slot(name);
    }
    let slots: Vec<&str> = names.iter().map(String::as_str).collect();
    realm.grant_automation(&slots);
    for (number, slot) in (0_u64..).zip(slots.iter().cycle()) {
        if realm.entries().len() >= statements {
            break;
        }
        // A third each of medium, low and minimal, once the history bears it.
        let level = match number / SLOTS as u64 % 3 {
            0 => Level::Architecture,
            1 => Level::Knowledge,
            _ => Level::Tuning,
        };
        let label = number.to_string();
        let change = realm.release(Plan { label: &label, slot, level, proposer: Who::Ada, drift_ppm: 500 });
        realm.serve(&change);
        realm.advance_ms(10_000);
    }
    realm
}
