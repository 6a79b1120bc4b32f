use super::*;

const GOOD: &str = r#"{
  "keys": [{ "concurrent": 8, "context": "non-critical", "name": "app", "per_minute": 600,
             "sha256": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b" }],
  "limits": { "poll_ms": 500 },
  "listen": "127.0.0.1:0",
  "log": { "url": "http://127.0.0.1:7381" },
  "realm": { "log_key": "LOGKEY", "name": "acme", "origin": "countersign/acme",
             "root": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b" },
  "rollout_key": "keys/rollout.key",
  "slots": [{ "model": "support", "release": { "stages": "plan.json" }, "slot": "support", "states": [],
              "system_prompts": "refused", "unit": [{ "header": "x-session-id" }, "user"] }],
  "state": "gateway"
}"#;

fn good() -> String {
    let realm = audit::fixture::Realm::new();
    GOOD.replace("LOGKEY", &realm.log_signer().verifier().to_string())
}

#[track_caller]
fn refused(from: &str, to: &str, code: &str) {
    let text = good();
    assert!(text.contains(from), "{from}");
    assert_eq!(Config::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().code(), code, "{to}");
}

#[test]
fn a_configuration_is_read() {
    let config = Config::parse(good().as_bytes()).unwrap();
    assert_eq!(config.limits, Limits { poll_ms: 500, ..Limits::ORDINARY });
    assert_eq!(config.slots[0].unit, [Unit::Header("x-session-id".to_owned()), Unit::User]);
}

#[test]
fn without_keys_nothing_starts() {
    let text = good();
    let (from, to) = (text.find("[{ \"concurrent\"").unwrap(), text.find("}],").unwrap() + 2);
    let without = format!("{}[]{}", &text[..from], &text[to..]);
    assert_eq!(Config::parse(without.as_bytes()).unwrap_err().code(), "CS-GWY-002");
}

#[test]
fn what_cannot_be_used_is_refused() {
    refused("\"state\": \"gateway\"", "\"state\": \"gateway\", \"debug\": 1", "CS-GWY-001");
    refused("\"concurrent\": 8", "\"concurrent\": 0", "CS-GWY-001");
    refused("\"poll_ms\": 500", "\"poll_ms\": 0", "CS-GWY-001");
    refused("\"poll_ms\": 500", "\"poll_ms\": 500, \"poll_ms\": 1", "CS-GWY-001");
    refused("\"rollout_key\": \"keys/rollout.key\",", "", "CS-GWY-001");
    refused("x-session-id", "x session", "CS-GWY-001");
    refused("\"system_prompts\": \"refused\",", "", "CS-GWY-001");
}

#[test]
fn a_plan_that_needs_more_than_there_is_is_refused() {
    let slot: SlotId = "support".parse().unwrap();
    let standard = Plan::standard().unwrap();
    check_plan(&slot, &standard, 400).unwrap();
    let mut live = standard;
    live.stages[2].hold_point = Some("monitor".parse().unwrap());
    assert_eq!(check_plan(&slot, &live, 400).unwrap_err().code(), "CS-GWY-007");
    live.stages[2].hold_point = None;
    // Each made-up request is one unit, and the stage needs 400.
    assert_eq!(check_plan(&slot, &live, 399).unwrap_err().code(), "CS-GWY-007");
    live.metrics[0].name = "tone".parse().unwrap();
    assert_eq!(check_plan(&slot, &live, 400).unwrap_err().code(), "CS-GWY-007");
}

#[test]
fn the_plan_that_is_shipped_can_be_carried_out() {
    let plan = Plan::parse(include_bytes!("../../../../policies/rollout-gateway.json")).unwrap();
    check_plan(&"support".parse().unwrap(), &plan, 0).unwrap();
}
