//! Tries to get out of the box, one way at a time, and says what the kernel answered. For tests and the escape table.
//!
//! `sandbox-probe NAME` tries it without a box: the positive control, without which a refusal proves nothing.
#![allow(unsafe_code, reason = "it makes the system calls that the box must refuse, with whatever arguments")]

mod attempts;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(name) = std::env::args().nth(1).filter(|name| !name.starts_with("--")) {
        println!("{}", attempts::attempt(&name, &mut |_| {}));
        return ExitCode::SUCCESS;
    }
    let Ok(mut inside) = sandbox::inside::enter() else { return ExitCode::from(3) };
    let names = String::from_utf8_lossy(&inside.job).into_owned();
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
