//! The commands in README.md do what it says.

use std::path::PathBuf;
use std::process::Command;

use xtask::demo::PROGRAMS;
use xtask::readme::{Block, blocks};
use xtask::workspace::{read, root, target};

/// The folder of the programs, built with what the tests are built with, so that nothing is built twice.
fn programs() -> PathBuf {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root()).args(["build", "--quiet", "--workspace", "--all-features", "--bins"]);
    assert!(build.status().unwrap().success());
    let folder = target().join("debug");
    for program in PROGRAMS {
        assert!(folder.join(program).is_file(), "`{program}` was not built");
    }
    folder
}

#[test]
fn the_commands_of_the_readme_run_in_order() {
    let document = read(&root().join("README.md")).unwrap();
    let blocks = blocks(&document);
    assert!(!blocks.is_empty(), "README.md has no commands");
    let run = |block: &Block| format!("echo '== README.md, line {}'\n{}", block.line, block.text);
    let script = format!("set -eu\n{}", blocks.iter().map(run).collect::<String>());
    let scratch = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        std::iter::once(programs())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(scratch.path())
        .env("PATH", path.unwrap())
        .env("HOME", scratch.path())
        .env("COUNTERSIGN_ROOT", root())
        .output()
        .unwrap();
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", shown(&output.stdout), shown(&output.stderr));
    println!("{}", shown(&output.stdout));
}
