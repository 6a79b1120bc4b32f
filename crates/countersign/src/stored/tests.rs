use std::io::Write as _;
use std::path::Path;

use super::{Opened, open, read};

#[track_caller]
fn refused(path: &str, why: &str) {
    let failure = read("prompt", Path::new(path), 1 << 20).err().unwrap();
    assert_eq!(failure.code, "CS-CLI-015", "{failure}");
    assert!(failure.message.contains(path) && failure.message.contains(why), "{failure}");
}

#[test]
fn what_nobody_has_written_down_is_refused() {
    refused("/proc/version", "the kernel makes it up");
    refused("/proc/self/environ", "the kernel makes it up");
    refused("/dev/zero", "no regular file");
    refused("/dev/null", "no regular file");
    refused("/", "no regular file");
}

#[test]
fn links_are_followed_to_files_and_to_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("prompt.md"), folder.path().join("link.md"));
    std::fs::write(&file, "Be kind.").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(read("prompt", &link, 8).unwrap(), b"Be kind.");
    assert_eq!(read("prompt", &link, 7).unwrap_err().code, "CS-CLI-007");
    let out = folder.path().join("out.md");
    std::os::unix::fs::symlink("/proc/version", &out).unwrap();
    assert_eq!(read("prompt", &out, 1 << 20).unwrap_err().code, "CS-CLI-015");
    assert!(matches!(open("adapter", folder.path()).unwrap(), Opened::Folder));
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.md");
    for (later, why) in [(&b"Be kind, always."[..], "longer"), (b"Be", "shorter")] {
        std::fs::write(&path, "Be kind.").unwrap();
        let Opened::File(mut whole) = open("prompt", &path).unwrap() else { panic!("no file") };
        assert_eq!(whole.left, 8);
        std::fs::File::create(&path).unwrap().write_all(later).unwrap();
        let error = std::io::Read::read_to_end(&mut whole, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
