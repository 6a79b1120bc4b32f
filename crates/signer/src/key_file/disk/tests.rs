use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::key_file::tests::{SEALED, UNSEALED, refused};
use crate::key_file::{KEY_FILE_BYTES_MAX, KeyFile};

#[test]
fn files_that_others_may_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    fs::write(&path, SEALED).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refused(KeyFile::read(&path), "CS-SGN-005", &format!("{mode:04o}"));
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(KeyFile::read(&path).is_ok());
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    fs::write(&path, SEALED).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let link = folder.path().join("link.json");
    symlink(&path, &link).unwrap();
    refused(KeyFile::read(&link), "CS-SGN-003", "link.json");
    refused(KeyFile::read(folder.path()), "CS-SGN-004", "regular");
    refused(KeyFile::read(Path::new("/dev/null")), "CS-SGN-004", "/dev/null");
    refused(KeyFile::read(&folder.path().join("absent.json")), "CS-SGN-001", "absent.json");
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
    refused(KeyFile::read(&pipe), "CS-SGN-004", "pipe");
    fs::write(&path, " ".repeat(KEY_FILE_BYTES_MAX + 1)).unwrap();
    refused(KeyFile::read(&path), "CS-SGN-006", "4096");
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::parse(UNSEALED.as_bytes()).unwrap();
    let taken = folder.path().join("taken.json");
    fs::write(&taken, "precious").unwrap();
    refused(file.write_new(&taken), "CS-SGN-002", "taken.json");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "precious");

    let dangling = folder.path().join("dangling.json");
    symlink(folder.path().join("elsewhere.json"), &dangling).unwrap();
    refused(file.write_new(&dangling), "CS-SGN-002", "dangling.json");
    assert!(!folder.path().join("elsewhere.json").exists());

    refused(file.write_new(folder.path()), "CS-SGN-002", "there already");
    refused(file.write_new(&folder.path().join("absent/key.json")), "CS-SGN-001", "absent");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
}
