//! Change control for models that change themselves: the client commands, the log and its witness.

mod act;
mod cli;
mod command;
mod failure;
mod home;
mod http;
mod keys;
mod realm;
mod show;
mod witness;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let cli = cli::Cli::parse();
    let json = cli.json;
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if json {
                println!("{}", serde_json::json!({ "error": failure }));
            } else {
                eprintln!("{failure}");
            }
            ExitCode::from(if failure.code == "CS-CLI-001" { 2 } else { 1 })
        }
    }
}
