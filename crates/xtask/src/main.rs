//! The project's chores: test, demo, bench, live, sim, fuzz, gen, golden.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::bench::Subject;
use xtask::generate::Product;
use xtask::sim::Seeds;
use xtask::test::{Extent, Verdict};

/// The chores of Countersign.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check everything: format, lints, licences, tests, examples in the documentation.
    Test {
        /// Format, lints and tests only, with what is there already.
        #[arg(long)]
        quick: bool,
    },
    /// What the project's own automation runs on each change: `test`.
    Ci,
    /// Build Countersign and show it at work on a real adapter.
    Demo {
        /// Further arguments for `countersign demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure beside peers and write the tables of docs/benchmarks.md.
    Bench {
        /// What is measured.
        #[arg(value_enum, default_value_t = Subject::All)]
        subject: Subject,
    },
    /// Run the log on a simulated disk with faults, a seed at a time.
    Sim(Seeds),
    /// Put load on a gateway while releases go well and go wrong, and see what users notice.
    Live(xtask::live::Extent),
    /// Feed random inputs to a parser (needs `cargo-fuzz` and a nightly Rust).
    Fuzz {
        /// The target; all in turn if not given.
        target: Option<String>,
        /// How long, for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Make what is made from the sources: the documents, or our own small model.
    Gen {
        /// What is made.
        #[arg(value_enum, default_value_t = Product::Documents)]
        product: Product,
    },
    /// Ask peers in Python again for the answers that tests compare with.
    Golden,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    match chore {
        Chore::Test { quick: true } => return test(Extent::Quick),
        Chore::Test { quick: false } | Chore::Ci => return test(Extent::Full),
        Chore::Demo { arguments } => xtask::demo::demo(&arguments)?,
        Chore::Bench { subject } => xtask::bench::run(subject)?,
        Chore::Live(extent) => xtask::live::live(extent)?,
        Chore::Sim(seeds) => xtask::sim::run(seeds)?,
        Chore::Fuzz { target, seconds } => xtask::fuzz::fuzz(target.as_deref(), seconds)?,
        Chore::Gen { product } => xtask::generate::generate(product)?,
        Chore::Golden => xtask::golden::golden()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says nothing after the test runner's summary, which is to be the last line.
fn test(extent: Extent) -> Result<ExitCode> {
    Ok(match xtask::test::run(extent)? {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
    })
}
