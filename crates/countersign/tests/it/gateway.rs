//! The gateway as a process: on a realm's log over HTTP, in front of engines, until a rollback that acts at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::house::House;

const KEY: &str = "a-key-for-these-tests";

/// A process that serves, ended with the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is this test's own child; that it has ended already is no matter.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// Starts it, and answers the address that it says it listens on.
    #[track_caller]
    pub(crate) fn start(house: &House, line: &str) -> (Self, SocketAddr) {
        let (running, url) = Self::start_at(house, line);
        let address = url.strip_prefix("http://").unwrap().trim_end_matches("/v1").parse().unwrap();
        (running, address)
    }

    /// Starts it, and answers where it says that it listens.
    #[track_caller]
    pub(crate) fn start_at(house: &House, line: &str) -> (Self, String) {
        let mut child = house.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, out };
        loop {
            let mut said = String::new();
            let read = running.out.read_line(&mut said).unwrap();
            assert_ne!(read, 0, "`{line}` ended: {}", running.ended());
            if let Some(url) = said.trim_end().strip_prefix("listening on ") {
                return (running, url.to_owned());
            }
        }
    }

    /// Waits until it has ended by itself, badly; what it said about it.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!self.child.wait().unwrap().success(), "{said}");
        said
    }

    /// Ends it as a system does, and waits.
    pub(crate) fn terminate(mut self) {
        let told = std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success());
    }
}

/// An engine that answers every request with the same word.
pub(crate) fn engine(word: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        match reader.read_line(&mut line) {
                            Ok(0) | Err(_) => return,
                            Ok(_) if line == "\r\n" => break,
                            Ok(_) => {}
                        }
                        if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
                            length = text.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let text = json!({ "says": word }).to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                        text.len()
                    );
                    if reader.get_mut().write_all(format!("{head}\r\n{text}").as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

/// Asks the gateway, as the user.
fn ask(gateway: SocketAddr, user: &str) -> (String, Value) {
    let body = json!({ "model": "support", "messages": [], "user": user }).to_string();
    let mut stream = TcpStream::connect(gateway).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let change = head.lines().find_map(|line| line.strip_prefix("x-countersign-change: "));
    (change.unwrap_or_default().to_owned(), serde_json::from_str(body).unwrap())
}

/// Asks how the gateway stands until it stands so.
fn until(house: &House, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = house.json("rollout status --gateway gate");
        if is(&status) {
            return status;
        }
    }
}

/// Everybody at once, and a report about it.
const PLAN: &str = r#"{"alpha_ppm":10000,"metrics":[{"expected_ppm":[10000],"measure":"rate","name":"errors","tolerated_ppm":10000}],
    "stages":[{"contexts":"all","duration_ms":0,"extension_ms":0,"margins_ppm":[100000],"reports":[],"share_ppm":1000000,"stage":"full","units_min":0}],"version":1}"#;

#[test]
fn a_release_is_served_by_the_gateway_s_own_check_and_taken_back_at_once() {
    let house = House::staffed();
    // The engines are played here, so the policy takes the operator's word for what they serve.
    let mut rules = house.json("policy show")["policy"]["rules"].clone();
    for tier in ["minimal", "low", "medium", "high"] {
        rules["tiers"][tier]["binding"] = json!("declared");
    }
    house.write("rules.json", rules.to_string().as_bytes());
    house.ok("policy replace --rules rules.json --by root-ada --by root-ben");
    house.ok("key new rollout --service");
    house
        .ok("key enrol rollout --person rollout --role rollout --clearance high --by root-ada --by root-ben");
    let change = house.approved("--prompt new.md");
    let before = house.json("show support")["state"].as_str().unwrap().to_owned();
    let target = house.json(&format!("show {change}"))["proposal"]["body"]["target_state"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_log, log) = Running::start(&house, "log serve --listen 127.0.0.1:0");
    let realm: Value =
        serde_json::from_slice(&std::fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let state = |state: &str, engine: String| json!({ "state": state, "model": "m", "engines": [engine] });
    let config = json!({
        "keys": [{ "name": "app", "sha256": statement::Digest::of(KEY.as_bytes()), "context": "critical", "concurrent": 8, "per_minute": 6000 }],
        "limits": { "poll_ms": 50 },
        "listen": "127.0.0.1:0",
        "log": { "url": format!("http://{log}") },
        "realm": { "name": realm["realm"], "origin": realm["origin"], "log_key": realm["log_key"], "root": realm["root"] },
        "rollout_key": "realm/keys/rollout.key",
        "slots": [{ "slot": "support", "model": "support", "system_prompts": "refused", "unit": ["user"],
                    "release": { "stages-by-hand": "plan.json" },
                    "states": [state(&before, engine("old")), state(&target, engine("new"))] }],
        "state": "gate",
    });
    house.write("plan.json", PLAN.as_bytes());
    house.write("gateway.json", config.to_string().as_bytes());
    let (gate, address) = Running::start(&house, "gateway --config gateway.json --threads 1");
    until(&house, |status| status["slots"][0]["base"] == json!(before));
    assert_eq!(ask(address, "a"), ("baseline".to_owned(), json!({ "says": "old" })));

    house.ok(&format!("order {change} --by olga"));
    until(&house, |status| status["slots"][0]["order"]["change"] == json!(change));
    // Admitted, and nobody has begun.
    assert_eq!(ask(address, "b").1, json!({ "says": "old" }));
    house.refused("rollout start chg-ffff --gateway gate", "CS-GWY-018");
    house.refused("rollout status --gateway nowhere", "CS-GWY-004");
    house.ok(&format!("rollout start {change} --gateway gate"));
    until(&house, |status| status["slots"][0]["rollout"]["state"] == "done");
    assert_eq!(ask(address, "c"), (change.clone(), json!({ "says": "new" })));
    let submitted = house.json("rollout submit --gateway gate");
    assert_eq!(submitted["submitted"].as_array().unwrap().len(), 1);
    assert_eq!(house.json(&format!("show {change}"))["state"], "serving");

    // A restart serves what was admitted.
    gate.terminate();
    let (gate, address) = Running::start(&house, "gateway --config gateway.json");
    until(&house, |status| status["slots"][0]["order"]["serving"] == true);
    assert_eq!(ask(address, "c").1, json!({ "says": "new" }));
    house.refused(&format!("rollback {change} --reason tone --by tina --gateway gate"), "CS-FLD-006");
    assert_eq!(ask(address, "c").1, json!({ "says": "new" }));
    house.ok(&format!("rollback {change} --reason tone --by olga --gateway gate"));
    assert_eq!(ask(address, "c").1, json!({ "says": "old" }));
    until(&house, |status| status["log"]["pending"] == 0);
    assert_eq!(ask(address, "d").1, json!({ "says": "old" }));
    house.audited();
    gate.terminate();
}

#[test]
fn a_gateway_that_asks_nobody_for_a_key_does_not_start() {
    let house = House::founded();
    let realm: Value =
        serde_json::from_slice(&std::fs::read(house.path("realm/realm.json")).unwrap()).unwrap();
    let config = json!({
        "keys": [], "listen": "127.0.0.1:0", "log": { "folder": "realm/log/tiles" }, "state": "gate",
        "realm": { "name": realm["realm"], "origin": realm["origin"], "log_key": realm["log_key"], "root": realm["root"] },
        "slots": [{ "slot": "support", "model": "support", "system_prompts": "refused", "unit": [], "release": "at-once", "states": [] }],
    });
    house.write("gateway.json", config.to_string().as_bytes());
    house.refused("gateway --config gateway.json", "CS-GWY-002");
    house.write("gateway.json", b"{}");
    house.refused("gateway --config gateway.json", "CS-GWY-001");
    house.refused("gateway --config absent.json", "CS-CLI-003");
}
