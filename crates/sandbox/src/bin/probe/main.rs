//! Tries to get out of the box, one way at a time, and says what the kernel answered. For tests and the escape table.
//!
//! `sandbox-probe NAME` tries it without a box: the positive control, without which a refusal proves nothing.
#![allow(unsafe_code, reason = "it makes the system calls that the box must refuse, with whatever arguments")]

mod attempts;
mod lies;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--boxed"] => boxed(),
        ["--alone", layer, name] => alone(layer, name),
        ["--supervise", names] => supervise(names),
        ["--list"] => {
            println!("{}", attempts::NAMES.join("\n"));
            ExitCode::SUCCESS
        }
        ["--time", level, count] => time(level, count),
        ["--supervise-without-namespaces", names] => match sandbox::inside::forbid_namespaces() {
            Ok(()) => supervise(names),
            Err(error) => {
                println!("namespaces cannot be forbidden: {error}");
                ExitCode::FAILURE
            }
        },
        [name] => {
            if let Err(error) = attempts::prepare() {
                println!("not prepared: {error}");
                return ExitCode::FAILURE;
            }
            println!("{}", attempts::attempt(name, &mut |_| {}));
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(2),
    }
}

fn boxed() -> ExitCode {
    let Ok(mut inside) = sandbox::inside::enter() else { return ExitCode::from(3) };
    let names = String::from_utf8_lossy(&inside.job).into_owned();
    if names.starts_with('{') {
        // A job of the real worker's: here its place is taken by one that lies.
        return if lies::lie(inside).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(5) };
    }
    for name in names.split_whitespace() {
        let mut flood = Vec::new();
        let answer = attempts::attempt(name, &mut |bytes| flood.extend_from_slice(bytes));
        if !flood.is_empty() {
            while inside.answer(&flood).is_ok() {}
        }
        if inside.answer(format!("{name} {answer}").as_bytes()).is_err() {
            return ExitCode::from(4);
        }
    }
    ExitCode::SUCCESS
}

/// One layer of the box without the others.
fn alone(layer: &str, name: &str) -> ExitCode {
    let Some(layer) = sandbox::inside::Layer::ALL.into_iter().find(|known| known.name() == layer) else {
        return ExitCode::from(2);
    };
    if let Err(error) = attempts::prepare() {
        println!("not prepared: {error}");
        return ExitCode::FAILURE;
    }
    if let Err(error) = sandbox::inside::enforce_alone(layer) {
        println!("not enforced: {error}");
        return ExitCode::SUCCESS;
    }
    println!("{}", attempts::attempt(name, &mut |_| {}));
    ExitCode::SUCCESS
}

/// How long a worker takes that has nothing to do, from the call to its result: the median, as JSON.
fn time(level: &str, count: &str) -> ExitCode {
    let level = if level == "deep" { sandbox::Level::Deep } else { sandbox::Level::Standard };
    let count: usize = count.parse().unwrap_or(1);
    let program = std::env::current_exe().ok().and_then(|path| sandbox::Program::seal(&path).ok());
    let Some(program) = program else { return ExitCode::FAILURE };
    let run = sandbox::Run { level, ..OWN };
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = std::time::Instant::now();
        if let Err(error) = run.run(&program, &[], b"nothing", |_| {}) {
            println!("{error}");
            return ExitCode::FAILURE;
        }
        times.push(begin.elapsed().as_micros());
    }
    times.sort_unstable();
    println!("{{\"median_us\":{}}}", times.get(times.len() / 2).copied().unwrap_or_default());
    ExitCode::SUCCESS
}

/// How this program boxes itself.
const OWN: sandbox::Run = sandbox::Run {
    level: sandbox::Level::Standard,
    profile: sandbox::Profile::Parse,
    limits: sandbox::Limits {
        memory_bytes: 256 << 20,
        processor_s: 20,
        wall: std::time::Duration::from_mins(1),
        threads: 4,
        answer_bytes: 1 << 20,
    },
};

/// Runs itself in a box, as whoever started it.
fn supervise(names: &str) -> ExitCode {
    let result = std::env::current_exe()
        .map_err(|error| error.to_string())
        .and_then(|path| sandbox::Program::seal(&path).map_err(|error| error.to_string()))
        .and_then(|program| {
            let print = |frame: &[u8]| println!("{}", String::from_utf8_lossy(frame));
            OWN.run(&program, &[], names.as_bytes(), print)
                .map_err(|error| format!("{error}: {}", error.code()))
        });
    match result {
        Ok(outcome) => {
            for (boundary, held) in outcome.boundaries.each() {
                println!("{}: {held:?}", boundary.name());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
