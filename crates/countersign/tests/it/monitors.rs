//! Monitors as processes, on a gateway in front of real engines: a version whose engine dies is taken back by their votes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::sample;
use serde_json::{Value, json};
use signer::KeyFile;
use statement::Digest;

use crate::gateway::Running;
use crate::house::House;

const KEY: &str = "a-key-for-these-tests";

/// A realm with a slot whose states are whole models, an approved change of its prompt, and five monitors of whom three are
/// needed.
fn house() -> (House, String) {
    let house = House::staffed();
    house.ok("root rotate --monitor-quorum 3 --by root-ada --by root-ben");
    for file in sample::model(7).unwrap().all() {
        house.write(&format!("model/{}", file.name), &file.bytes);
    }
    house.ok(
        "slot define talker --component weights:base=model --component prompt:system=old.md --scope tuning=scope.json \
         --modification prompt --context chat --by root-ada --by root-ben",
    );
    for (name, role) in [("engines", "engine"), ("rollout", "rollout")]
        .into_iter()
        .map(|(name, role)| (name.to_owned(), role))
        .chain((1..=5).map(|n| (format!("m{n}"), "monitor")))
    {
        house.ok(&format!("key new {name} --service"));
        house.ok(&format!(
            "key enrol {name} --person {name} --role {role} --clearance high --by root-ada --by root-ben"
        ));
    }
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

/// Asks the gateway; the status, and the change that answered.
fn ask(gateway: SocketAddr, user: &str) -> Option<(u16, String)> {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    let body =
        json!({ "model": "talker", "user": user, "messages": messages, "max_tokens": 3, "temperature": 0 })
            .to_string();
    let mut stream = TcpStream::connect(gateway).ok()?;
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let change = head.lines().find_map(|line| line.strip_prefix("x-countersign-change: "));
    Some((status, change.unwrap_or_default().to_owned()))
}

/// A monitor's process, ended with the test.
struct Monitor(std::process::Child);

impl Drop for Monitor {
    fn drop(&mut self) {
        // It is this test's own child; that it has ended already is no matter.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn until(house: &House, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = house.json("rollout status --gateway gate");
        if is(&status["slots"][0]) {
            return status["slots"][0].clone();
        }
    }
}

#[test]
fn a_version_whose_engine_dies_is_taken_back_by_monitors_of_whom_two_are_dead() {
    let (house, change) = house();
    let shown = house.json(&format!("show {change}"));
    let target = shown["proposal"]["body"]["target_state"].as_str().unwrap().to_owned();
    let base = shown["proposal"]["body"]["base_state"].as_str().unwrap().to_owned();
    let realm: Value =
        serde_json::from_slice(&std::fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let realm = json!({ "name": realm["realm"], "origin": realm["origin"], "log_key": realm["log_key"], "root": realm["root"] });
    let mut old = house
        .command("engine --model model --name made --listen 127.0.0.1:0 --threads 1 --system old.md --json")
        .stdout(Stdio::piped())
        .spawn()
        .map(|child| (Monitor(child), String::new()))
        .unwrap();
    let mut out = std::io::BufReader::new(old.0.0.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut old.1).unwrap();
    let told: Value = serde_json::from_str(&old.1).unwrap();
    let old_url = told["listening"].as_str().unwrap().trim_end_matches("/v1").to_owned();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let state = |state: &str, engine: &str| json!({ "state": state, "model": "made", "engines": [engine] });
    let tokens: Vec<Value> = (1..=5)
        .map(|n| json!({ "name": format!("m{n}"), "sha256": Digest::of(format!("token-{n}").as_bytes()) }))
        .collect();
    let config = json!({
        "keys": [{ "name": "app", "sha256": Digest::of(KEY.as_bytes()), "context": "non-critical", "concurrent": 64, "per_minute": 60_000 }],
        "limits": { "poll_ms": 200 },
        "listen": "127.0.0.1:0",
        "log": { "folder": "realm/log/tiles" },
        "monitors": tokens,
        "realm": realm,
        "rollout_key": "realm/keys/rollout.key",
        "slots": [{ "slot": "talker", "model": "talker", "system_prompts": "refused", "unit": ["user"], "release": "at-once",
                    "states": [state(&base, &old_url), state(&target, &format!("channel://127.0.0.1:{port}"))] }],
        "state": "gate",
    });
    house.write("gateway.json", config.to_string().as_bytes());
    let (gate, address) = Running::start(&house, "serve gateway --config gateway.json --submit");
    until(&house, |slot| slot["base"] == json!(base));

    // Five are in the panel. Two of them never say a word.
    let key_of = |n: u32| {
        let key = KeyFile::read(&house.path(&format!("realm/keys/m{n}.key"))).unwrap();
        key.public_key().id()
    };
    let panel: Vec<_> = (1..=5).map(key_of).collect();
    let monitors: Vec<Monitor> = (1..=3)
        .map(|n| {
            house.write(&format!("token-{n}"), format!("token-{n}\n").as_bytes());
            let config = json!({
                "faults": 2, "gateway": { "token_file": format!("token-{n}"), "url": format!("http://{address}") },
                "cycle_ms": 500, "learn_seconds": 15, "window_seconds": 5,
                "key": format!("realm/keys/m{n}.key"), "log": { "folder": "realm/log/tiles" }, "panel": panel, "realm": realm,
                "slots": { "talker": "may-change" }, "state": format!("monitor-{n}"),
            });
            house.write(&format!("m{n}.json"), config.to_string().as_bytes());
            let out = std::fs::File::create(house.path(&format!("m{n}.out"))).unwrap();
            let err = out.try_clone().unwrap();
            let mut command = house.command(&format!("serve monitor --config m{n}.json"));
            Monitor(command.stdout(out).stderr(err).spawn().unwrap())
        })
        .collect();

    // Users ask, all the time.
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let users: Vec<_> = (0..3)
        .map(|user| {
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            std::thread::spawn(move || {
                // Sessions stay on the version that they began on, so new users come all the time.
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let answered =
                        ask(address, &format!("user-{user}-{n}")).is_some_and(|(status, _)| status == 200);
                    counts[usize::from(answered)].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let all_say = |what: &str| {
        while !(1..=3)
            .all(|n| std::fs::read_to_string(house.path(&format!("m{n}.out"))).unwrap().contains(what))
        {
            std::thread::yield_now();
        }
    };
    all_say("own level");
    house.ok(&format!("order {change} --by olga"));
    let line = format!(
        "launch {change} --by engines --listen 127.0.0.1:{port} --name made --threads 1 --within places"
    );
    let (mut launched, _) = Running::start_at(&house, &line);
    until(&house, |slot| slot["order"]["change"] == json!(change));
    while ask(address, "somebody").is_none_or(|(_, by)| by != change) {
        std::thread::yield_now();
    }
    assert!(counts[1].load(Ordering::Relaxed) > 0);

    // Its engine dies, and with it every answer: nobody else has it in this slot.
    launched.child.kill().unwrap();
    launched.child.wait().unwrap();
    until(&house, |slot| slot["order"].is_null() && slot["base"] == json!(base));
    while ask(address, "somebody").is_none_or(|(status, by)| status != 200 || by != "baseline") {
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.join().unwrap();
    }

    // The gateway has brought what they signed to the log by itself; nobody else signed anything.
    while house.json(&format!("show {change}"))["state"] != "rolled back" {
        std::thread::yield_now();
    }
    drop(monitors);
    gate.terminate();
    let report = house.audited();
    let found = report.changes.iter().find(|found| found.change.as_str() == change).unwrap();
    assert!(found.incidents >= 3, "{}", found.incidents);
    let told = house.json(&format!("incident show {change}"));
    let told = told["incidents"].as_array().unwrap();
    assert_eq!(told.len() as u64, found.incidents, "{told:#?}");
    assert!(told.iter().all(|incident| incident["change"] == json!(change)));
    assert!(told.iter().any(|incident| incident["response"] == "quarantine"), "{told:#?}");
    assert!(house.ok("incident show").contains("asks to quarantine"));
}

#[test]
fn a_record_without_incidents_says_so() {
    let house = House::founded();
    assert!(house.ok("incident show").contains("no incident is in the record"));
    assert_eq!(house.json("incident show")["incidents"], json!([]));
    house.refused("incident show 3f0c", "CS-CLI-002");
}

#[test]
fn a_monitor_without_what_it_needs_does_not_start() {
    let house = House::founded();
    house.write("empty.json", b"{}");
    house.refused("monitor --config empty.json", "CS-MON-001");
    house.refused("monitor --config absent.json", "CS-CLI-003");
}
