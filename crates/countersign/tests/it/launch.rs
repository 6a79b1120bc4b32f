//! `launch`, as a person uses it: an ordered change's engine on files from the vault, behind a gateway that asks for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use engine::sample;
use serde_json::{Value, json};

use crate::gateway::{Running, engine};
use crate::house::House;

const KEY: &str = "a-key-for-these-tests";

/// A realm with a slot whose states are whole models, and an approved change of its prompt.
fn house() -> (House, String) {
    let house = House::staffed();
    for file in sample::model(7).unwrap().all() {
        house.write(&format!("model/{}", file.name), &file.bytes);
    }
    house.ok(
        "slot define talker --component weights:base=model --component prompt:system=old.md --scope tuning=scope.json \
         --modification prompt --context chat --by root-ada --by root-ben",
    );
    house.ok("key new engines --service");
    house.ok("key enrol engines --person engines --role engine --clearance high --by root-ada --by root-ben");
    let granted = house.json("grant --to trainer --slot talker --modification prompt --tier high --by tina");
    let grant = granted["statement"].as_str().unwrap_or_else(|| panic!("{granted}")).to_owned();
    let proposed = house.json(&format!("propose talker --prompt new.md --by trainer --grant {grant}"));
    let change = proposed["change"].as_str().unwrap().to_owned();
    house.ok(&format!("examine {change} --by erik"));
    for (evidence, by) in
        [("formal-verification", "erik"), ("security-review", "sven"), ("compliance-review", "clara")]
    {
        house.ok(&format!("review {change} --evidence {evidence} --report report.md --by {by}"));
    }
    for (by, capacity) in [("tina", "technical"), ("emil", "ethics"), ("sora", "security")] {
        house.ok(&format!("approve {change} --capacity {capacity} --by {by} --yes"));
    }
    std::fs::create_dir(house.path("places")).unwrap();
    (house, change)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn line(change: &str, port: u16) -> String {
    format!(
        "launch {change} --by engines --listen 127.0.0.1:{port} --name made --threads 1 --within places --look-seconds 1"
    )
}

/// Asks the gateway: the answer's head in lower case, and its body.
fn ask(gateway: SocketAddr, user: &str) -> (String, String) {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    let body =
        json!({ "model": "talker", "user": user, "messages": messages, "max_tokens": 3, "temperature": 0 })
            .to_string();
    let mut stream = TcpStream::connect(gateway).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn until(house: &House, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = house.json("rollout status --gateway gate");
        if is(&status) {
            return status;
        }
    }
}

/// The files that the engine was started on.
fn served(house: &House) -> PathBuf {
    let mut launched = std::fs::read_dir(house.path("places")).unwrap();
    let folder = launched.next().unwrap().unwrap().path();
    assert!(launched.next().is_none());
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    folder
}

/// The process of the engine.
fn engine_of(house: &House) -> std::ffi::OsString {
    let socket = served(house).join("engine.sock");
    let of_engine = format!("--listen-socket\0{}", socket.display());
    let engine = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&of_engine)
    });
    engine.unwrap().file_name()
}

#[test]
fn a_launched_engine_is_served_at_its_level_and_ends_with_its_files() {
    let (house, change) = house();
    let port = free_port();
    house.refused(&line(&change, port), "CS-FLD-027");
    house.ok(&format!("order {change} --by olga"));
    // A key of another role says nothing about engines; the engine that was started for it has ended.
    house.refused(&line(&change, port).replace("--by engines", "--by olga"), "CS-FLD-006");
    assert_eq!(std::fs::read_dir(house.path("places")).unwrap().count(), 0);

    let shown = house.json(&format!("show {change}"));
    let target = shown["proposal"]["body"]["target_state"].as_str().unwrap().to_owned();
    let base = shown["proposal"]["body"]["base_state"].as_str().unwrap().to_owned();
    let realm: Value =
        serde_json::from_slice(&std::fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let channel = format!("channel://127.0.0.1:{port}");
    let state = |state: &str, engine: &str| json!({ "state": state, "model": "made", "engines": [engine] });
    let config = json!({
        "keys": [{ "name": "app", "sha256": statement::Digest::of(KEY.as_bytes()), "context": "critical", "concurrent": 8, "per_minute": 6000 }],
        "limits": { "poll_ms": 50 },
        "listen": "127.0.0.1:0",
        "log": { "folder": "realm/log/tiles" },
        "realm": { "name": realm["realm"], "origin": realm["origin"], "log_key": realm["log_key"], "root": realm["root"] },
        "slots": [{ "slot": "talker", "model": "talker", "system_prompts": "refused", "unit": ["user"], "release": "at-once",
                    "states": [state(&base, &engine("old")), state(&target, &channel)] }],
        "state": "gate",
    });
    house.write("gateway.json", config.to_string().as_bytes());
    let (gate, address) = Running::start(&house, "gateway --config gateway.json --threads 1");
    let has = |status: &Value, code: &str| {
        status["slots"][0]["reasons"].as_array().unwrap().iter().any(|reason| reason["code"] == code)
    };
    // Ordered, and nobody stands at the address: the policy asks for more than nothing.
    until(&house, |status| has(status, "CS-GWY-024") && has(status, "CS-CHN-003"));
    let (head, body) = ask(address, "before");
    assert!(head.contains("x-countersign-binding: declared") && body.contains("old"), "{head}{body}");

    let (mut launched, url) = Running::start_at(&house, &line(&change, port));
    assert_eq!(url, channel);
    let status = until(&house, |status| status["slots"][0]["order"]["change"] == json!(change));
    assert_eq!(status["slots"][0]["engines"][1]["level"], "launched", "{status}");
    let (head, body) = ask(address, "launched");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("x-countersign-binding: launched"),
        "{head}{body}"
    );
    assert!(
        head.contains(&format!("x-countersign-change: {change}")) && body.contains("choices"),
        "{head}{body}"
    );

    // One bit of a served file: the look finds it, and the engine is gone.
    let weights = served(&house).join("model/model.safetensors");
    std::fs::set_permissions(&weights, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::OpenOptions::new().write(true).open(&weights).unwrap().write_all(&bytes).unwrap();
    let said = launched.ended();
    assert!(said.contains("CS-LCH-003"), "{said}");
    assert_eq!(ask(address, "changed").0.split(' ').nth(1), Some("503"));

    // It is launched again, with another key and another binding; then somebody ends its engine.
    let (mut launched, _) = Running::start_at(&house, &line(&change, port));
    until(&house, |status| status["slots"][0]["engines"][1]["trouble"] == json!(null));
    // The status may say so before the route stands.
    let head = loop {
        let (head, _) = ask(address, "again");
        if !head.starts_with("http/1.1 503") {
            break head;
        }
        std::thread::yield_now();
    };
    assert!(head.contains("x-countersign-binding: launched"), "{head}");
    let engine = engine_of(&house);
    assert!(std::process::Command::new("kill").arg("-9").arg(engine).status().unwrap().success());
    let said = launched.ended();
    assert!(said.contains("CS-LCH-010"), "{said}");
    assert_eq!(std::fs::read_dir(house.path("places")).unwrap().count(), 0);

    // A launcher that is killed takes its engine along; what it cannot do any more is to remove the files.
    let (mut launched, _) = Running::start_at(&house, &line(&change, port));
    let engine = engine_of(&house);
    launched.child.kill().unwrap();
    launched.child.wait().unwrap();
    // One that has ended has no command line, whether or not somebody has asked how.
    let line_of_it = std::path::Path::new("/proc").join(&engine).join("cmdline");
    while std::fs::read(&line_of_it).is_ok_and(|line| !line.is_empty()) {
        std::thread::yield_now();
    }
    let left = served(&house);
    std::fs::set_permissions(left.join("model"), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(left.join("prompts"), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::remove_dir_all(left).unwrap();

    // Told to end, it ends well, and takes its files along.
    let (launched, _) = Running::start_at(&house, &line(&change, port));
    launched.terminate();
    assert_eq!(std::fs::read_dir(house.path("places")).unwrap().count(), 0);
    gate.terminate();
    house.audited();
}

#[test]
fn what_our_own_engine_would_leave_out_is_not_launched_with_it() {
    let house = House::staffed();
    let change = house.approved("--prompt new.md");
    house.ok(&format!("order {change} --by olga"));
    // The slot's states have sampling settings.
    house.refused(&format!("launch {change} --by olga --listen 127.0.0.1:0"), "CS-CLI-079");
    house.refused(&format!("launch {change} --by olga --listen 0.0.0.0:0"), "CS-LCH-012");
    house.refused(&format!("launch {change} --by olga --listen 127.0.0.1:0 -- /bin/true"), "CS-LCH-007");
    house.refused(
        &format!("launch {change} --by olga --listen 127.0.0.1:0 -- no-such-engine {{socket}}"),
        "CS-LCH-005",
    );
    house.refused(
        &format!("launch {change} --by olga --listen 127.0.0.1:0 -- /bin/true {{socket}} {{adapter}}"),
        "CS-LCH-006",
    );
    house.refused(
        &format!("launch {change} --by olga --listen 127.0.0.1:0 -- /bin/true {{socket}}"),
        "CS-LCH-010",
    );
}
