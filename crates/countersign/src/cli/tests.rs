use clap::{CommandFactory as _, Parser as _};

use super::Cli;

/// Every command and every group of commands, with its path.
fn walk(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
    found.push((path.to_owned(), command.clone()));
    for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
        walk(child, &format!("{path} {}", child.get_name()), found);
    }
}

#[test]
fn the_command_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_group_shows_an_example_that_parses() {
    let mut found = Vec::new();
    walk(&Cli::command(), "countersign", &mut found);
    let groups = found.iter().filter(|(_, command)| command.has_subcommands()).count();
    assert!(found.len() > 60 && groups > 12, "{groups} groups of {}", found.len());
    for (path, command) in found {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.is_empty(), "`{path}` shows no example");
        for line in help.lines() {
            let example =
                line.strip_prefix("Example: ").unwrap_or_else(|| panic!("`{path}`: `{line}` is no example"));
            assert!(example.starts_with(&path), "`{path}` shows another command: `{example}`");
            if let Err(error) = Cli::try_parse_from(example.split(' ')) {
                panic!("the example of `{path}` is wrong: {error}");
            }
        }
    }
}

#[test]
fn every_argument_is_described() {
    let mut found = Vec::new();
    walk(&Cli::command(), "countersign", &mut found);
    for (path, command) in found {
        assert!(command.get_about().is_some(), "`{path}` is not described");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "`{path}`: `{}` is not described", argument.get_id());
        }
    }
}
