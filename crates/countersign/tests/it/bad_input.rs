//! Files that are not what they are said to be, and a realm that somebody has been at.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::house::{House, SCOPE, SLOT, check_refusal, copy, files, run};

#[test]
fn artefacts_that_are_none_are_refused_or_fail() {
    let house = House::staffed();
    let grant = house.grant();
    let propose = |artefact: &str| format!("propose support {artefact} --by trainer --grant {grant}");
    house.refused(&propose("--prompt nowhere.md"), "CS-CLI-003");
    house.refused(&propose("--prompt within"), "CS-CLI-015");
    house.refused(&propose("--adapter old.md"), "CS-CLI-015");
    house.refused(&propose("--adapter within --prompt new.md"), "CS-CLI-001");
    house.refused(&propose(""), "CS-CLI-001");
    house.refused(&propose("--weights within"), "CS-CLI-015");
    let divine = house.refused(&propose("--prompt new.md --level divine"), "CS-CLI-001");
    assert!(
        divine.contains("it is one of `tuning`, `knowledge`,") && !divine.contains("variant"),
        "{divine}"
    );
    for made_up in ["/proc/version", "/proc/self/environ", "/dev/zero", "/dev/null"] {
        house.refused(&propose(&format!("--prompt {made_up}")), "CS-CLI-015");
        house.refused(&propose(&format!("--weights {made_up}")), "CS-CLI-015");
    }
    symlink("/proc/version", house.path("leads-out.md")).unwrap();
    house.refused(&propose("--prompt leads-out.md"), "CS-CLI-015");
    house.refused(&propose("--prompt new.md --level knowledge"), "CS-GATE-004");
    house.refused("propose support --prompt new.md --by trainer --grant zz", "CS-CLI-002");
    house.write("binary.md", b"\xff\xfe not text");
    house.refused(&propose("--prompt binary.md"), "CS-CLI-015");
    let sparse = fs::File::create(house.path("huge.md")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    house.refused(&propose("--prompt huge.md"), "CS-CLI-007");
    copy(&house.path("within"), &house.path("linked"));
    symlink("/etc/hostname", house.path("linked/passwords")).unwrap();
    house.refused(&propose("--adapter linked"), "CS-VLT-014");
    copy(&house.path("within"), &house.path("partial"));
    fs::remove_file(house.path("partial/adapter_config.json")).unwrap();
    house.refused(&propose("--adapter partial"), "CS-CLI-015");
    assert_eq!(house.json("list")["changes"], serde_json::json!([]), "nothing of it was proposed");

    // What can be stored and is not what it says fails its examination, with the reader's reason.
    let tensors = fs::read(house.path("within/adapter_model.safetensors")).unwrap();
    let longer = [tensors.as_slice(), b"more"].concat();
    let cases: [(&str, &[u8], &str); 4] = [
        ("truncated", &tensors[..tensors.len() / 2], "CS-TSR-"),
        ("longer", &longer, "CS-TSR-015"),
        ("empty", b"", "CS-TSR-001"),
        ("outside", &fs::read(house.path("outside/adapter_model.safetensors")).unwrap(), "CS-TSR-106"),
    ];
    for (name, bytes, code) in cases {
        copy(&house.path("within"), &house.path(name));
        house.write(&format!("{name}/adapter_model.safetensors"), bytes);
        let change = house.examined(&format!("--adapter {name}"));
        let text = house.ok(&format!("show {change}"));
        assert!(text.contains("scope: fail by erik (standard)") && text.contains(code), "{name}: {text}");
        assert!(text.contains("state         examined: fail"), "{name}: {text}");
        assert!(!text.contains(": 0 over 0"), "{name}: {text}");
    }
    house.write("empty.md", b"");
    let change = house.examined("--prompt empty.md");
    assert!(house.ok(&format!("show {change}")).contains("scope: fail"));
    house.write("list.json", b"[1, 2]");
    let change = house.examined("--settings list.json");
    assert!(house.ok(&format!("show {change}")).contains("scope: fail"));

    house.refused(&format!("review {change} --evidence magic --report report.md --by sven"), "CS-CLI-001");
    house.refused(
        &format!("review {change} --evidence security-review --report nowhere --by sven"),
        "CS-CLI-003",
    );
    house.refused(
        &format!("review {change} --evidence security-review --report binary.md --by sven"),
        "CS-CLI-001",
    );
    house.refused(&format!("examine {change} --by tina"), "CS-FLD-006");
    house.refused(&format!("examine {change} --by erik --worker /bin/true"), "CS-BOX-004");
    house.refused(&format!("examine {change} --by erik --worker nowhere"), "CS-CLI-010");
    assert_eq!(house.audited().changes.len(), 6);
}

#[test]
fn slots_need_scopes_that_can_be_read() {
    let house = House::founded();
    let without = SLOT.replace("--scope tuning=scope.json", "");
    house.refused(&without, "CS-CLI-001");
    house.refused(&SLOT.replace("scope.json", "nowhere.json"), "CS-CLI-003");
    house.refused(&SLOT.replace("tuning=scope.json", "scope.json"), "CS-CLI-001");
    house.refused(&SLOT.replace("tuning=", "divine="), "CS-CLI-001");
    house.refused(&SLOT.replace("weights:base=", "weights="), "CS-CLI-001");
    house.write("scope.json", SCOPE.replace("rank_max", "rank_maximum").as_bytes());
    let told = house.refused(SLOT, "CS-TSR-030");
    assert!(told.contains("rank_maximum"), "{told}");
    house.write("scope.json", b"{");
    house.refused(SLOT, "CS-TSR-004");
    house.write("scope.json", b"");
    house.refused(SLOT, "CS-TSR-004");
    assert_eq!(house.json("list")["slots"], serde_json::json!([]));
}

#[test]
fn keys_and_passphrases_are_looked_after() {
    let house = House::founded();
    house.ok("key new erik --service");
    let line = "key enrol erik --person erik --role examiner --by root-ada --by root-ben";
    let wrong = run(house.command(line).env("COUNTERSIGN_PASSPHRASE", "not the passphrase"));
    check_refusal(line, &wrong, "CS-SGN-023");
    let none = run(house.command(line).env_remove("COUNTERSIGN_PASSPHRASE"));
    check_refusal(line, &none, "CS-CLI-008");
    let short = run(house.command("key new dora").env("COUNTERSIGN_PASSPHRASE", "x"));
    check_refusal("key new dora", &short, "CS-SGN-020");
    house.refused(&format!("--passphrase-file nowhere {line}"), "CS-CLI-003");

    let key = house.path("realm/keys/root-ada.key");
    let mode =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&key, 0o644);
    house.refused(line, "CS-SGN-005");
    mode(&key, 0o600);
    let text = fs::read_to_string(&key).unwrap();
    fs::write(&key, &text[..text.len() / 2]).unwrap();
    house.refused(line, "CS-SGN-010");
    fs::write(&key, &text).unwrap();

    let master = house.path("realm/vault.master");
    mode(&master, 0o644);
    house.refused("list", "CS-CLI-016");
    mode(&master, 0o600);
    let bytes = fs::read(&master).unwrap();
    fs::write(&master, &bytes[1..]).unwrap();
    house.refused("list", "CS-CLI-009");
    fs::write(&master, [0; 32]).unwrap();
    house.refused(SLOT, "CS-VLT-022");
    fs::remove_file(&master).unwrap();
    house.refused("list", "CS-CLI-009");
    fs::write(&master, bytes).unwrap();
    mode(&master, 0o600);
    house.ok(line);

    fs::write(house.path("realm/realm.json"), b"{}").unwrap();
    assert_eq!(house.run("list").code, 1);
}

#[test]
fn a_log_that_was_tampered_with_is_named_and_not_opened() {
    let house = House::founded();
    house.ok("key new erik --service");
    house.ok("key enrol erik --person erik --role examiner --by root-ada --by root-ben");

    // A bit of an entry in the write-ahead log.
    let segments = files(&house.path("realm/log/wal"));
    let segment = segments.iter().find(|path| fs::metadata(path).unwrap().len() > 4096).unwrap();
    let whole = fs::read(segment).unwrap();
    let needle = b"predicateType";
    let at = whole.windows(8).position(|window| window == b"payload\"");
    let at = at.or_else(|| whole.windows(needle.len()).position(|window| window == needle)).unwrap();
    let mut damaged = whole.clone();
    damaged[at + 40] ^= 1;
    fs::write(segment, &damaged).unwrap();
    let told = house.refused("log fsck", "CS-CLI-013");
    assert!(told.contains("[CS-LOG-101]") || told.contains("[CS-LOG-102]"), "{told}");
    assert!(told.contains("`wal/"), "the file is named: {told}");
    house.refused("list", "CS-LOG-006");
    fs::write(segment, &whole).unwrap();
    house.ok("list");

    // A tile that is missing is named, and made again from the write-ahead log.
    let bundle = house.path("realm/log/tiles/tile/entries/000.p/4");
    let bytes = fs::read(&bundle).unwrap();
    fs::remove_file(&bundle).unwrap();
    let told = house.refused("log fsck", "CS-CLI-013");
    assert!(told.contains("[CS-LOG-107]") && told.contains("tile/entries/000.p/4"), "{told}");
    house.ok("log rebuild");
    assert_eq!(fs::read(&bundle).unwrap(), bytes);

    // A tile with another byte is named too.
    let tile = house.path("realm/log/tiles/tile/0/000.p/4");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[0] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let told = house.refused("log fsck", "CS-CLI-013");
    assert!(told.contains("[CS-LOG-106]"), "{told}");
}

#[test]
fn an_object_of_the_vault_that_was_tampered_with_is_refused() {
    let house = House::staffed();
    let change = house.proposed("--adapter within");
    let mut refused = 0;
    for path in files(&house.path("realm/vault")) {
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&path, damaged).unwrap();
        let line = format!("examine {change} --by erik");
        let run = house.run(&line);
        if run.code != 0 {
            assert!(run.err.contains("[CS-VLT-007]") || run.err.contains("[CS-VLT-008]"), "{}", run.err);
            check_refusal(
                &line,
                &run,
                if run.err.contains("[CS-VLT-007]") { "CS-VLT-007" } else { "CS-VLT-008" },
            );
            refused += 1;
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(refused >= 4, "the folder, its two files and the scope, and their records: {refused}");
}
