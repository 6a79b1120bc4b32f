//! Go's own transparency-log modules read our log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use signer::{FileScheme, KeyFile, LogKey, Protection};
use translog::{Config, Disk, Log};

use crate::house::{House, Run, run};

/// Where Debian keeps the sources of Go libraries.
const GO_SOURCES: &str = "/usr/share/gocode";

/// The Go program, built; none where Go or its modules are not here.
fn reader(folder: &Path) -> Option<PathBuf> {
    let modules = Path::new(GO_SOURCES).join("src/golang.org/x/mod/sumdb/tlog");
    if !modules.is_dir() || Command::new("go").arg("version").output().is_err() {
        println!("SKIPPED go reader: Go and Debian's golang-golang-x-mod-dev are not installed");
        return None;
    }
    let program = folder.join("go-reader");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/reader.go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &source])
        .envs([("GO111MODULE", "off"), ("GOPATH", GO_SOURCES), ("GOFLAGS", "")])
        .env("GOCACHE", folder.join("go-cache"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

fn read(program: &Path, tiles: &Path, key: &str) -> Run {
    run(Command::new(program).arg(tiles).arg(key))
}

/// A byte more or less anywhere in the tiles must not pass.
fn check_every_file_matters(program: &Path, tiles: &Path, key: &str) {
    for path in crate::house::files(tiles) {
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&path, damaged).unwrap();
        let run = read(program, tiles, key);
        fs::write(&path, whole).unwrap();
        // Partial tiles of earlier checkpoints stay where they are and are not read.
        let is_old = path.components().any(|part| part.as_os_str().to_string_lossy().ends_with(".p"))
            && !path.ends_with(newest(&path));
        assert_eq!(run.code == 0, is_old, "{}: {}{}", path.display(), run.out, run.err);
    }
}

/// The widest partial tile beside this one.
fn newest(path: &Path) -> PathBuf {
    let widths = fs::read_dir(path.parent().unwrap()).unwrap();
    let widest =
        widths.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse::<u16>().unwrap()).max();
    PathBuf::from(widest.unwrap().to_string())
}

#[test]
fn go_reads_the_log_of_a_realm() {
    let house = House::empty();
    let Some(program) = reader(&house.path("")) else { return };
    let key =
        house.json("init --name acme --officer ada --officer ben")["log_key"].as_str().unwrap().to_owned();
    house.ok("key new erik --service");
    house.ok("key enrol erik --person erik --role examiner --by root-ada --by root-ben");
    let tiles = house.path("realm/log/tiles");
    let run = read(&program, &tiles, &key);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "countersign/acme: 4 records are in the tree\n");
    check_every_file_matters(&program, &tiles, &key);
}

#[test]
fn go_reads_a_log_with_full_tiles() {
    let house = House::empty();
    let Some(program) = reader(&house.path("")) else { return };
    let (_, key) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
    let signer = LogKey::new("example.com/log", Arc::new(key)).unwrap();
    let verifier = signer.verifier().clone();
    let clock: translog::Clock = Arc::new(|| 1_700_000_000_000);
    let config = Config::new("example.com/log", vec![Arc::new(signer)], vec![verifier.clone()], clock);
    let folder = house.path("log");
    fs::create_dir(&folder).unwrap();
    let log = Log::create(Arc::new(Disk::open(&folder).unwrap()), config).unwrap();
    let contents = (0..600_u32).map(|number| number.to_be_bytes().repeat(1 + number as usize % 5)).collect();
    log.submit_many(contents).unwrap().wait().unwrap();
    log.publish().unwrap();
    log.close().unwrap();
    let run = read(&program, &folder.join("tiles"), &verifier.to_string());
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "example.com/log: 600 records are in the tree\n");
    let other =
        house.json("init --name acme --officer ada --officer ben")["log_key"].as_str().unwrap().to_owned();
    assert_eq!(read(&program, &folder.join("tiles"), &other).code, 1, "another key opens no checkpoint");
}
