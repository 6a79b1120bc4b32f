//! Change control for models that change themselves: the client commands, the log and its witness.

mod act;
mod busy;
mod cli;
mod command;
mod failure;
mod home;
mod http;
mod inputs;
mod intact;
mod keys;
mod outfile;
mod realm;
mod rest;
mod serve;
mod served;
mod shelf;
mod show;
mod station;
mod stored;
mod text;
mod wait;
mod witness;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

use failure::Failure;

fn main() -> ExitCode {
    // First of all: in a worker's box nothing is read that anybody else wrote until the box is closed.
    if let Some(done) = command::as_worker() {
        return done;
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        // A file or a journal has no use for colours.
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let (cli, json) = match cli::Cli::try_parse() {
        Ok(cli) => {
            let json = cli.json;
            (cli, json)
        }
        // Help and version are answers; what is wrong with the line is told in the form that was asked for.
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            return answer(&Failure::usage(first_line(&error.to_string())), Form::Json);
        }
        Err(error) if error.use_stderr() => {
            eprintln!("{}", refused(&error.to_string()));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let form = if json { Form::Json } else { Form::Text };
    let scans = match &cli.command {
        cli::Command::Scan(_) | cli::Command::Diff(_) => true,
        cli::Command::Examine(args) => args.base.is_some(),
        _ => false,
    };
    match command::run(cli) {
        Ok(code) => code,
        // A scan that could not be made is told apart from one that found something.
        Err(failure) => {
            let code = answer(&failure, form);
            if scans { ExitCode::from(2) } else { code }
        }
    }
}

/// How failures are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

fn answer(failure: &Failure, form: Form) -> ExitCode {
    match form {
        Form::Json => text::print(&format!("{}\n", serde_json::json!({ "error": failure }))),
        Form::Text => eprintln!("{failure}"),
    }
    ExitCode::from(if failure.is_usage() { 2 } else { 1 })
}

/// The parser's words, tips and usage and all, with the code that every refusal has.
fn refused(text: &str) -> String {
    let words = text.trim_start_matches("error: ").trim_end();
    let words = words.trim_end_matches("For more information, try '--help'.").trim_end();
    let failure = Failure::usage(words);
    failure.to_string()
}

/// What stands before the explanation of how a command is used.
fn first_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
