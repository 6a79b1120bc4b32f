//! Keys, slots, policy, levels and halts.

use std::fs;

use serde_json::{Value, json};

use crate::house::{House, SLOT};

#[test]
fn a_realm_is_founded_once() {
    let house = House::empty();
    house.refused("list", "CS-CLI-006");
    house.refused("key list", "CS-CLI-006");
    house.refused("log head", "CS-CLI-006");
    house.refused("init --name acme --officer ada", "CS-CLI-001");
    house.refused("init --name acme --officer ada --officer ada", "CS-CLI-001");
    house.refused("init --name UPPER --officer ada --officer ben", "CS-CLI-001");
    house.refused("init --name acme --officer ada --officer ben --worker nowhere", "CS-CLI-010");
    assert!(!house.path("realm").exists(), "what was refused has made nothing");
    let founded = house.json("init --name acme --officer ada --officer ben");
    assert_eq!(founded["realm"], "acme");
    house.refused("init --name acme --officer ada --officer ben", "CS-CLI-005");
    house.write("full/file", b"x");
    house.refused("--home full init --name acme --officer ada --officer ben", "CS-CLI-005");
}

#[test]
fn keys_are_made_enrolled_and_revoked() {
    let house = House::founded();
    house.ok("key new carol --scheme ecdsa-p256-sha256");
    house.refused("key new carol", "CS-SGN-002");
    house.refused("key new dora --scheme rsa", "CS-CLI-001");
    house.refused("key new a/b", "CS-CLI-001");
    house.refused("key show nobody", "CS-CLI-002");
    let rows = house.json("key list");
    let carol = rows.as_array().unwrap().iter().find(|row| row["name"] == "carol").unwrap();
    assert_eq!(carol["assurance"], "sealed");
    assert!(house.ok("key show carol").contains("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(house.json("key show carol")["key"], carol["key"]);
    assert!(!house.ok("key list").contains("Sealed"), "words are those of statements");

    let enrol = "key enrol carol --person carol --role approver --capacity technical --clearance medium";
    house.refused(&format!("{enrol} --by root-ada"), "CS-FLD-007");
    house.refused("key enrol carol --person carol --role king --by root-ada --by root-ben", "CS-CLI-001");
    house.refused("key enrol carol --person carol --role root --by root-ada --by root-ben", "CS-FLD-014");
    house.ok(&format!("{enrol} --by root-ada --by root-ben"));
    let persons = house.json("list")["persons"].clone();
    assert!(persons.as_array().unwrap().iter().any(|person| person["person"] == "carol"), "{persons}");
    house.ok("key revoke carol --reason lost --by root-ada --by root-ben");
    house.refused(
        "level carol --slot support --level tuning --reason x --by root-ada --by root-ben",
        "CS-FLD-017",
    );
}

#[test]
fn slots_levels_policy_and_halts() {
    let house = House::founded();
    house.ok(SLOT);
    let slot = house.json("show support");
    assert_eq!(slot["slot"]["slot"], "support");
    assert!(house.ok("show support").contains("the first state"));
    house.ok("key new trainer --service");
    house.ok("key enrol trainer --person trainer --role proposer --by root-ada --by root-ben");
    house.ok("key new olga --service");
    house.ok("key enrol olga --person olga --role operator --by root-ada --by root-ben");
    house.ok("level trainer --slot support --level tuning --reason probation --by root-ada --by root-ben");
    house.refused(
        "level trainer --slot support --level divine --reason x --by root-ada --by root-ben",
        "CS-CLI-001",
    );

    house.ok("freeze begin --slot support --reason incident-7 --by olga");
    assert!(house.ok("list").contains("FROZEN: slot support since leaf"));
    house.refused("freeze end --slot support --reason over --by olga", "CS-FLD-006");
    house.ok("freeze end --slot support --reason over --by root-ada --by root-ben");
    assert!(!house.ok("list").contains("FROZEN"));
    house.refused("freeze melt --reason x --by olga", "CS-CLI-001");
    house.refused("freeze begin --slot a --change b --reason x --by olga", "CS-CLI-001");

    let policy = house.json("policy show");
    house.write("mine.cedar", policy["policy"]["cedar"].as_str().unwrap().as_bytes());
    house.write("rules.json", policy["policy"]["rules"].to_string().as_bytes());
    house.ok("policy check mine.cedar --rules rules.json");
    house.ok("policy replace --file mine.cedar --rules rules.json --by root-ada --by root-ben");
    assert_eq!(house.json("policy show")["policy"]["supersedes"], policy["statement"]);
    let same = house.json("policy compare --file mine.cedar --rules rules.json");
    assert_eq!((same["looser"].clone(), same["permissions"]["asked"].clone()), (json!(false), json!(0)));
    let text = policy["policy"]["cedar"].as_str().unwrap();
    let all = format!("{text}\n@id(\"anybody\")\npermit (principal, action == Action::\"purge\", resource);");
    house.write("wide.cedar", all.as_bytes());
    let wide = house.run("policy compare --file wide.cedar");
    assert_eq!(wide.code, 1, "{}", wide.out);
    assert!(wide.out.contains("looser    purge by approver, everything is there"), "{}", wide.out);
    assert!(wide.out.contains("LOOSER: it allows what is refused now"), "{}", wide.out);
    looser_policies_are_not_told_as_nothing(&house, &policy["policy"]);
    house.write(
        "open.cedar",
        b"@id(\"saints\")\npermit (principal, action, resource) when { principal.saint };",
    );
    let told = house.refused("policy check open.cedar", "CS-POL-009");
    assert!(told.contains("saint"), "{told}");
    house.write("broken.cedar", b"permit (");
    house.refused("policy replace --file broken.cedar --by root-ada --by root-ben", "CS-POL-003");
    let mut rules = policy["policy"]["rules"].clone();
    rules["tiers"] = json!([]);
    house.write("few.json", rules.to_string().as_bytes());
    assert_eq!(house.run("policy check mine.cedar --rules few.json").code, 1);

    let shown = house.json(&format!("show {}", policy["statement"].as_str().unwrap()));
    assert_eq!(
        shown["payload"]["predicateType"].as_str().map(|kind| kind.contains("policy")),
        Some(true),
        "{shown}"
    );
    assert_eq!(house.audited().changes.len(), 0);
    assert!(fs::metadata(house.path("record.export")).unwrap().len() > 1000);
}

/// Looser ones that name no act that is asked about plainly: by the tables, and by words.
fn looser_policies_are_not_told_as_nothing(house: &House, policy: &Value) {
    let compared = |option: &str, code: i32, expected: &[&str]| {
        let told = house.run(&format!("policy compare {option}"));
        assert_eq!(told.code, code, "{}", told.out);
        for words in expected {
            assert!(told.out.contains(words), "{words}: {}", told.out);
        }
    };
    let mut rules = policy["rules"].clone();
    for tier in ["minimal", "low", "medium", "high"] {
        rules["tiers"][tier]["binding"] = json!("declared");
    }
    house.write("declared.json", rules.to_string().as_bytes());
    let declared = "looser    tiers.medium.binding: \"file-checked\" -> \"declared\"";
    compared("--rules declared.json", 1, &[declared, "LOOSER: "]);

    let mut rules = policy["rules"].clone();
    for (at, from) in [9_000, 9_500, 9_900].into_iter().enumerate() {
        rules["impact"]["cuts"][at]["from"] = json!(from);
    }
    for floors in ["impact_floors", "level_floors", "reliability_floors"] {
        rules["impact"][floors] = json!([]);
    }
    rules["modification_evidence"] = json!({});
    house.write("flat.json", rules.to_string().as_bytes());
    compared(
        "--rules flat.json",
        1,
        &["looser    impact.cuts", "looser    modification_evidence.merge", "LOOSER: "],
    );

    let mut rules = policy["rules"].clone();
    rules["limits"]["finding_max_ms"] = json!(1000);
    house.write("tight.json", rules.to_string().as_bytes());
    compared("--rules tight.json", 0, &["tighter   limits.finding_max_ms", "not looser: "]);

    let text = policy["cedar"].as_str().unwrap();
    let reworded = |name: &str, more: &str| {
        let plain = "when { resource.proposers.contains(principal.person) };";
        let now = format!("when {{ resource.proposers.contains(principal.person) {more} }};");
        assert!(text.contains(plain));
        house.write(name, text.replacen(plain, &now, 1).as_bytes());
    };
    reworded("mallory.cedar", "&& principal.person != \"mallory\"");
    let mallory = "approve by approver, `mallory` acts, the same person proposed it";
    compared("--file mallory.cedar", 1, &["looser    reworded forbid-self-approval", mallory, "LOOSER: "]);
    reworded("odd.cedar", "&& context.now * 3 != 4500000000003");
    let read = "unclear   reworded forbid-self-approval: changed, and no question tells how: read it";
    compared("--file odd.cedar", 1, &["tables: the same", read, "CANNOT TELL: "]);
    reworded("same.cedar", "// and that is all\n");
    compared("--file same.cedar", 0, &["the same: nothing differs"]);
    let told = house.run("--json policy compare --file odd.cedar");
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&told["shift"], &told["looser"]), (&json!("unclear"), &json!(false)), "{told}");
    assert_eq!(told["permissions"]["reworded"], json!(["forbid-self-approval"]));
    assert_eq!(told["permissions"]["texts"][0]["explained"], json!(false));
}

#[test]
fn a_change_nobody_knows_is_told_apart_from_one_that_is_ambiguous() {
    let house = House::founded();
    for line in
        ["show 3f0c", "decide 3f0c", "admit 3f0c", "order 3f0c --by root-ada", "examine 3f0c --by root-ada"]
    {
        let told = house.refused(line, "CS-CLI-002");
        assert!(told.contains("`3f0c`") && told.contains("countersign list"), "{told}");
    }
    house.refused("propose nowhere --prompt new.md --by root-ada", "CS-CLI-002");
    let empty: Value = json!([]);
    assert_eq!(house.json("list")["changes"], empty);
}
