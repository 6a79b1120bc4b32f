//! Every member of the tables, changed mechanically: no change is told as none, and none is told as tighter that is not.

use policy::compare::{Shift, tables};
use policy::impact::{ImpactInput, Measured, score};
use serde_json::{Value, json};
use statement::kind::{Level, ModificationKind, Policy, PolicyRules, Tier};

/// The default tables, and what a policy may have beside them.
fn full() -> Value {
    let mut rules: Value = serde_json::from_str(policy::rules::DEFAULT_TEXT).unwrap();
    let digest = |text: &[u8]| statement::Digest::of(text).to_string();
    rules["calibrations"] = json!([digest(b"one"), digest(b"two")]);
    rules["workers"] = json!({ digest(b"a worker"): ["scope", "probe"] });
    rules["tiers"]["high"]["worker"] =
        json!({ "attested_by": ["tdx"], "boundaries": ["network"], "isolation": "standard" });
    rules
}

/// Every value that differs from this one in a single place: numbers up and down, words, entries and members taken out,
/// entries and members put in.
fn changed(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            for by in [-1_000_000, -1_000, -1, 1, 1_000, 1_000_000] {
                all.push(json!(number + by));
            }
        }
        Value::Bool(is) => all.push(json!(!is)),
        Value::String(word) => {
            all.extend(WORDS.iter().filter(|other| *other != word).map(|other| json!(other)));
        }
        Value::Array(entries) => {
            for at in 0..entries.len() {
                let mut fewer = entries.clone();
                fewer.remove(at);
                all.push(Value::Array(fewer));
                for entry in changed(&entries[at]) {
                    let mut other = entries.clone();
                    other[at] = entry.clone();
                    all.push(Value::Array(other));
                    all.push(Value::Array([entries.as_slice(), &[entry]].concat()));
                }
            }
            all.extend(WORDS.iter().map(|word| Value::Array([entries.as_slice(), &[json!(word)]].concat())));
            all.push(json!([]));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let mut fewer = members.clone();
                fewer.remove(name);
                all.push(Value::Object(fewer));
                for member in changed(member) {
                    let mut other = members.clone();
                    other.insert(name.clone(), member);
                    all.push(Value::Object(other));
                }
                for word in WORDS {
                    let mut more = members.clone();
                    more.insert((*word).to_owned(), member.clone());
                    all.push(Value::Object(more));
                }
            }
        }
        Value::Null => {}
    }
    all
}

/// Words of every member that takes one; what a member does not take is refused when it is read.
const WORDS: &[&str] = &[
    "minimal",
    "low",
    "medium",
    "high",
    "declared",
    "file-checked",
    "launched",
    "attested",
    "manual",
    "process",
    "standard",
    "deep",
    "gvisor",
    "technical",
    "ethics",
    "security",
    "business",
    "oversight",
    "automation",
    "scope",
    "screen",
    "probe",
    "alignment",
    "regression",
    "red-team",
    "formal-verification",
    "tuning",
    "knowledge",
    "architecture",
    "mechanism",
    "adapter",
    "prompt",
    "tdx",
    "sev-snp",
    "network",
    "worker",
    "families",
    "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
];

fn policy_of(rules: PolicyRules) -> Policy {
    Policy { cedar: String::new(), rules, schema: policy::duties::schema_digest(), supersedes: None }
}

/// The first way of all that differ; none where nothing does.
fn moved(then: &PolicyRules, now: &PolicyRules) -> Option<Shift> {
    tables(&policy_of(then.clone()), &policy_of(now.clone())).first().map(|found| found.shift)
}

/// Whether any change of a grid gets a lower score or tier.
fn scores_lower(then: &PolicyRules, now: &PolicyRules) -> bool {
    let kinds = [ModificationKind::Adapter, ModificationKind::Merge, ModificationKind::Mechanism];
    let levels = [Level::Tuning, Level::Knowledge, Level::Architecture, Level::Mechanism];
    let mut lower = false;
    for (kind, level) in kinds.into_iter().flat_map(|kind| levels.map(|level| (kind, level))) {
        for scope in [0, 400, 1000] {
            for reliability in [0, 49, 50, 199, 200, 1000] {
                for impact_milli in [0, 4_000, 6_999, 7_000, 8_000, 9_000, 30_000] {
                    let measured = Measured { scope, reliability, impact_milli };
                    let of = |rules: &PolicyRules| {
                        let input = ImpactInput::of_kind(&rules.impact, kind, level, measured).unwrap();
                        score(&rules.impact, &input).unwrap()
                    };
                    let (then, now) = (of(then), of(now));
                    lower |= now.tier < then.tier || now.risk < then.risk;
                }
            }
        }
    }
    lower
}

#[test]
fn no_change_of_a_member_is_told_as_none_or_as_tighter_both_ways() {
    let rules = full();
    let before: PolicyRules = serde_json::from_value(rules.clone()).unwrap();
    assert_eq!(moved(&before, &before), None);
    let (mut read, mut tighter, mut scored) = (0, 0, 0);
    for value in changed(&rules) {
        // What cannot be read cannot be put in force; what reads as the same is the same.
        let Ok(after) = serde_json::from_value::<PolicyRules>(value) else { continue };
        if after == before {
            continue;
        }
        read += 1;
        let (there, back) = (moved(&before, &after), moved(&after, &before));
        let (Some(there), Some(back)) = (there, back) else { panic!("told as nothing: {after:#?}") };
        assert!(there != Shift::Same && back != Shift::Same);
        let is_safe = |shift| matches!(shift, Shift::Tighter | Shift::Otherwise);
        let is_equal = there == Shift::Otherwise && back == Shift::Otherwise;
        assert!(is_equal || !is_safe(there) || !is_safe(back), "{there:?} and back {back:?}: {after:#?}");
        tighter += usize::from(there == Shift::Tighter);
        if is_safe(there) && policy::impact::validate(&after.impact).is_ok() {
            assert!(!scores_lower(&before, &after), "{:#?}", after.impact);
            scored += 1;
        }
    }
    println!("{read} changes read, {tighter} tighter, {scored} of them scored");
    assert!(read > 600 && tighter > 150 && scored > 100, "{read} {tighter} {scored}");
}

/// Of each member one change that is known to be tighter; its opposite is looser.
#[test]
fn the_direction_of_members_is_known() {
    let rules = full();
    let before: PolicyRules = serde_json::from_value(rules.clone()).unwrap();
    let check = |pointer: &str, value: Value, there: Shift, back: Shift| {
        let mut altered = rules.clone();
        *altered.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let after: PolicyRules = serde_json::from_value(altered).unwrap();
        assert_eq!((moved(&before, &after), moved(&after, &before)), (Some(there), Some(back)), "{pointer}");
    };
    let tighter = |pointer: &str, value: Value| check(pointer, value, Shift::Tighter, Shift::Looser);
    tighter("/automatic_drift_ppm_max", json!(1));
    tighter("/calibrations", json!([rules["calibrations"][0]]));
    for limit in ["approval", "finding", "grant", "order_admit", "order_serve"] {
        tighter(&format!("/limits/{limit}_max_ms"), json!(1_000));
    }
    for limit in ["clock_ahead", "clock_behind"] {
        check(&format!("/limits/{limit}_max_ms"), json!(1_000), Shift::Unclear, Shift::Looser);
    }
    for member in ["offset", "weight_depth", "weight_reliability", "weight_scope", "weight_undetectability"] {
        tighter(&format!("/impact/{member}"), json!(999));
    }
    tighter("/impact/depth/prompt", json!(151));
    tighter("/impact/undetectability/prompt", json!(301));
    tighter("/impact/cuts/0/from", json!(3_499));
    tighter("/impact/cuts/0/tier", json!("medium"));
    tighter("/impact/impact_floors/2/from", json!(8_999));
    tighter("/impact/level_floors/0/tier", json!("medium"));
    tighter("/impact/reliability_floors/1/from", json!(199));
    tighter("/impact/calibration/0/log10_milli", json!(-2_000));
    tighter("/modification_evidence/merge", json!(["probe", "regression", "red-team"]));
    let worker = rules["workers"].as_object().unwrap().keys().next().unwrap().clone();
    tighter(&format!("/workers/{worker}"), json!(["scope"]));
    for (member, value) in [
        ("approvals", json!(6)),
        ("binding", json!("attested")),
        ("capacities", json!(["automation", "business", "ethics", "security", "technical"])),
        ("examiners", json!(4)),
        ("families", json!(3)),
        ("worker/attested_by", json!(["tdx"])),
        ("worker/boundaries", json!(["files", "network"])),
        ("worker/isolation", json!("deep")),
    ] {
        if rules.pointer(&format!("/tiers/high/{member}")) != Some(&value) {
            tighter(&format!("/tiers/high/{member}"), value);
        }
    }
    check("/tiers/high/worker/attested_by", json!([]), Shift::Looser, Shift::Tighter);
    check("/tiers/high/worker/attested_by", json!(["sev-snp"]), Shift::Looser, Shift::Looser);
    tighter("/tiers/minimal/automated", json!(false));
    check("/tiers/medium/evidence", json!(["scope"]), Shift::Looser, Shift::Tighter);
    assert_eq!(before.tiers.len(), Tier::ALL.len());
}
