//! Reading a realm beside whoever writes it, and files that commands write where they are told to.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::house::{House, check_refusal, files, run};

/// Commands that read, with a change that is ordered.
fn reading(change: &str) -> Vec<String> {
    vec![
        "list".to_owned(),
        format!("show {change}"),
        format!("admit {change}"),
        "policy show".to_owned(),
        format!("trace show {change}"),
        "export --out record.export".to_owned(),
        "log head".to_owned(),
        "log fsck".to_owned(),
    ]
}

/// A house with a released change.
fn released() -> (House, String) {
    let house = House::staffed();
    let change = house.approved("--adapter within");
    house.ok(&format!("order {change} --by olga"));
    (house, change)
}

/// Every file of the realm with its bytes.
fn contents(house: &House) -> Vec<(PathBuf, Vec<u8>)> {
    files(&house.path("realm")).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A server that has the log for as long as it lives.
struct Authority(Child);

impl Authority {
    fn of(house: &House) -> Self {
        let mut command = house.command("serve authority --listen a.sock --intake-key ");
        let intake = house.json("key show automation")["key"].as_str().unwrap().to_owned();
        command.arg(intake);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "the authority has ended");
        Self(child)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn commands_that_read_change_nothing_at_all() {
    let (house, change) = released();
    let before = contents(&house);
    for line in reading(&change) {
        house.ok(&line);
    }
    assert!(contents(&house) == before, "a command that reads has written into the realm");
}

#[test]
fn commands_that_read_work_beside_an_authority_and_others_are_told_who_it_is() {
    let (house, change) = released();
    let authority = Authority::of(&house);
    for line in reading(&change) {
        house.ok(&line);
    }
    let told = house.refused("freeze begin --reason drill --by olga --wait 0", "CS-LOG-004");
    assert!(
        told.contains(&format!("process `{}`", authority.0.id())) && told.contains("realm/log"),
        "{told}"
    );
    // What was exported beside it is whole.
    let bytes = fs::read(house.path("record.export")).unwrap();
    let report = audit::audit(&bytes, &audit::Expectations::none()).unwrap();
    assert!(report.reasons.is_empty(), "{:?}", report.reasons);
}

#[test]
fn examining_measures_before_it_takes_the_log() {
    let house = House::staffed();
    let change = house.proposed("--adapter within");
    let kept = |house: &House| files(&house.path("realm/vault")).len();
    let before = kept(&house);
    let authority = Authority::of(&house);
    house.refused(&format!("examine {change} --by erik --wait 0"), "CS-LOG-004");
    // The steps of the measurement are in the vault: it was made, and only then was the log asked for.
    assert!(kept(&house) > before);
    drop(authority);
    house.ok(&format!("examine {change} --by erik"));
}

#[test]
fn runs_that_log_nothing_leave_no_segments() {
    let house = House::founded();
    let segments = || files(&house.path("realm/log/wal")).len();
    // The first run copies the last group, which nothing had proven to be durable; the second finds nothing to do.
    house.ok("log rebuild");
    house.ok("log rebuild");
    let before = segments();
    for _ in 0..10 {
        house.ok("log rebuild");
        house.ok("list");
    }
    assert_eq!(segments(), before);
}

#[test]
fn a_log_whose_served_files_are_gone_is_rebuilt() {
    let (house, change) = released();
    let head = house.ok("log head");
    fs::remove_dir_all(house.path("realm/log/tiles")).unwrap();
    let told = house.refused("list", "CS-LOG-015");
    assert!(told.contains("countersign log rebuild"), "{told}");
    house.refused("freeze begin --reason drill --by olga", "CS-LOG-015");
    let rebuilt = house.json("log rebuild");
    assert!(rebuilt["rebuilt"].as_array().unwrap().len() >= 2, "{rebuilt}");
    assert_eq!(house.json("log fsck")["findings"], serde_json::json!([]));
    // The same tree, cosigned again.
    assert_eq!(house.ok("log head").lines().nth(2), head.lines().nth(2));
    house.ok(&format!("admit {change}"));
    house.audited();
    // One tile with other bytes.
    let tile = files(&house.path("realm/log/tiles/tile")).remove(0);
    fs::write(&tile, b"other bytes").unwrap();
    assert!(house.run("log fsck").err.contains("countersign log rebuild"));
    house.ok("log rebuild");
    assert_eq!(house.json("log fsck")["findings"], serde_json::json!([]));
}

#[test]
fn what_is_no_regular_file_is_written_through_and_links_stay_links() {
    let house = House::founded();
    symlink("/dev/full", house.path("full")).unwrap();
    symlink("/proc/self/fd/1", house.path("out")).unwrap();
    symlink("target.export", house.path("link")).unwrap();
    house.refused("export --out full", "CS-CLI-003");
    let run = house.run("export --out out");
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.starts_with("countersign-export/v1\n"),
        "{}",
        run.out.chars().take(80).collect::<String>()
    );
    // Twice: to a file that is not there yet, and to one that is.
    for _ in 0..2 {
        house.ok("export --out link");
        assert!(fs::read(house.path("target.export")).unwrap().starts_with(b"countersign-export/v1\n"));
    }
    for link in ["full", "out", "link"] {
        assert!(fs::symlink_metadata(house.path(link)).unwrap().is_symlink(), "{link}");
    }
    symlink("b", house.path("a")).unwrap();
    symlink("a", house.path("b")).unwrap();
    house.refused("export --out a", "CS-CLI-003");
    house.refused("export --out realm", "CS-CLI-003");
    for line in ["fingerprint model.safetensors --out full", "scan model.safetensors --sarif full"] {
        let run = house.run(line);
        assert!(run.err.contains("[CS-CLI-003]"), "`{line}`: {}{}", run.out, run.err);
        assert!(fs::symlink_metadata(house.path("full")).unwrap().is_symlink(), "{line}");
    }
}

#[test]
fn a_realm_that_is_not_founded_leaves_nothing_behind() {
    let house = House::empty();
    let init = "init --name acme --officer ada --officer ben";
    let short = run(house.command(init).env("COUNTERSIGN_PASSPHRASE", "short"));
    check_refusal(init, &short, "CS-SGN-020");
    assert!(!house.path("realm").exists());
    house.refused(&format!("{init} --days 0"), "CS-CLI-001");
    assert!(!house.path("realm").exists());
    // So long that it cannot be written down: found out when half of it is there.
    assert_ne!(house.run(&format!("{init} --days 99999999999")).code, 0);
    assert!(!house.path("realm").exists());
    // An empty folder that was there stays, and what is in another is left alone.
    fs::create_dir(house.path("realm")).unwrap();
    assert_ne!(house.run(&format!("{init} --days 99999999999")).code, 0);
    assert!(house.path("realm").exists() && files(&house.path("realm")).is_empty());
    house.ok(init);
    house.refused(init, "CS-CLI-005");
    house.ok("list");
    let station = format!("--home st bundle station --realm acme --root {} --key x", "0".repeat(64));
    let short = run(house.command(&station).env("COUNTERSIGN_PASSPHRASE", "short"));
    check_refusal(&station, &short, "CS-SGN-020");
    assert!(!house.path("st").exists());
}

#[test]
fn what_is_lost_is_named_with_what_helps() {
    let house = House::founded();
    let settings = fs::read(house.path("realm/realm.json")).unwrap();
    fs::write(house.path("realm/realm.json"), b"").unwrap();
    for line in ["list", "log head", "key list"] {
        assert!(house.refused(line, "CS-CLI-015").contains("realm/realm.json"), "{line}");
    }
    fs::write(house.path("realm/realm.json"), settings).unwrap();
    fs::remove_file(house.path("realm/keys/log.key")).unwrap();
    let told = house.refused("log rebuild", "CS-CLI-061");
    assert!(
        told.contains("keys/log.key") && told.contains("backup") && !told.contains("`key new`"),
        "{told}"
    );
    // Reading needs no key.
    house.ok("list");
}

#[test]
fn a_station_is_no_realm_and_a_realm_no_station() {
    let house = House::staffed();
    let root = house.json("export --out a.export")["root"].as_str().unwrap().to_owned();
    let told =
        house.ok(&format!("--home st bundle station --realm acme --root {root} --key vault-room --service"));
    assert!(told.contains("intake"), "{told}");
    house.refused("--home st list", "CS-SRV-013");
    house.refused("--home st freeze begin --reason drill --by olga", "CS-CLI-001");
    let refused =
        format!("serve intake --listen i.sock --authority a.sock --authority-key {}", "0".repeat(64));
    house.refused(&refused, "CS-CLI-063");
    // By the name under which it was enrolled here, as the help has it.
    house.ok("key enrol vault-room --public st/vault-room.public.json --person vera --role examiner --by root-ada --by root-ben");
    let change = house.proposed("--prompt new.md");
    house.ok(&format!("bundle out {change} --to vault-room --out x.bundle"));
    house.ok("--home st bundle in x.bundle");
    house.refused(&format!("bundle out {change} --to nobody --out y.bundle"), "CS-CLI-002");
}
