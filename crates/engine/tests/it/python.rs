//! OpenAI's own Python client, unchanged.

use std::path::PathBuf;
use std::process::Command;

use engine::Limits;

use crate::house::House;

#[test]
fn openai_s_client_reads_what_is_answered() {
    let venv = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-venv/bin/python3"));
    let known = Command::new(&venv).args(["-c", "import openai"]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED openai_s_client_reads_what_is_answered: `target/test-venv` has no `openai`");
        return;
    }
    let house = House::with(Limits::ORDINARY, Some("a-key-for-these-tests\n"));
    let output = Command::new(venv)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/client.py"))
        .env("OPENAI_BASE_URL", format!("http://{}/v1", house.address))
        .env("OPENAI_API_KEY", "a-key-for-these-tests")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out.trim(), "all read");
}
