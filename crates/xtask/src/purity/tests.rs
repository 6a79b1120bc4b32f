use super::in_file;

#[track_caller]
fn check(source: &str, expected: &[&str]) {
    assert_eq!(in_file(&syn::parse_file(source).unwrap()), expected);
}

#[test]
fn the_world_is_found_however_it_is_named() {
    check("use std::fs;", &["std::fs"]);
    check("use std::{fmt, fs::File};", &["std::fs::File"]);
    check("use std::time::*; fn f() { let _ = SystemTime::now(); }", &["SystemTime::now"]);
    check("fn f() { std::env::var(\"A\"); }", &["std::env::var"]);
    check("use std::time::{Duration, Instant as Now};", &["std::time::Instant"]);
    check("fn f() { println!(\"a\"); }", &["println!"]);
    check("extern \"C\" { fn g(); }", &["extern"]);
}

#[test]
fn tests_may_look_at_the_world() {
    check("#[cfg(test)] mod tests { use std::fs; }", &[]);
    check("#[cfg(all(test, feature = \"f\"))] mod tests { use std::fs; }", &[]);
    for lived_in in
        ["any(test, feature = \"f\")", "not(test)", "all(unix, any(test, unix))", "feature = \"test\""]
    {
        check(&format!("#[cfg({lived_in})] mod tests {{ use std::fs; }}"), &["std::fs"]);
    }
    check("use std::fmt; fn f() -> std::time::Duration { todo() }", &[]);
}
