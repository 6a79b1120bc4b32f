use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use super::*;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(scene.root().join("deep/er")).unwrap();
        scene.write("b.txt", b"bee");
        scene.write("a.txt", b"");
        scene.write("deep/er/c.bin", &[7; 300_000]);
        scene
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn write(&self, path: &str, content: &[u8]) {
        std::fs::write(self.root().join(path), content).unwrap();
    }

    #[track_caller]
    fn refused(&self, code: &str, reason: &str) {
        let error = hash_directory(&self.root()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_folder_is_named_by_paths_and_contents_alone() {
    let scene = Scene::new();
    let manifest = hash_directory(&scene.root()).unwrap();
    let paths: Vec<&str> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a.txt", "b.txt", "deep/er/c.bin"]);
    assert_eq!(manifest.entries()[1].digest, Digest::of(b"bee"));
    assert_eq!(manifest.total(), 300_003);
    let other = Scene::new();
    std::fs::create_dir(other.root().join("empty")).unwrap();
    assert_eq!(hash_directory(&other.root()).unwrap().digest().unwrap(), manifest.digest().unwrap());
    other.write("b.txt", b"bea");
    assert_ne!(hash_directory(&other.root()).unwrap().digest().unwrap(), manifest.digest().unwrap());
}

#[test]
fn renaming_a_file_changes_the_name_of_the_folder() {
    let scene = Scene::new();
    let before = hash_directory(&scene.root()).unwrap().digest().unwrap();
    std::fs::rename(scene.root().join("b.txt"), scene.root().join("c.txt")).unwrap();
    assert_ne!(hash_directory(&scene.root()).unwrap().digest().unwrap(), before);
}

#[test]
fn a_link_to_a_file_inside_is_that_file() {
    let scene = Scene::new();
    symlink("../b.txt", scene.root().join("deep/link")).unwrap();
    let manifest = hash_directory(&scene.root()).unwrap();
    let entry = manifest.entries().iter().find(|entry| entry.path.as_str() == "deep/link").unwrap();
    assert_eq!((entry.digest, entry.size), (Digest::of(b"bee"), 3));
}

#[test]
fn other_links_are_refused() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let absolute = outside.path().to_owned();
    let cases: [(&Path, &str); 6] = [
        (&absolute, "out of the folder"),
        (Path::new("/etc/passwd"), "out of the folder"),
        (Path::new("../../../../../../../../etc/passwd"), "out of the folder"),
        (Path::new("nowhere"), "leads nowhere"),
        (Path::new("deep"), "no file"),
        (Path::new("."), "a link to a folder"),
    ];
    for (target, reason) in cases {
        let scene = Scene::new();
        symlink(target, scene.root().join("link")).unwrap();
        scene.refused("CS-VLT-014", reason);
    }
    // A sibling whose name begins with the folder's name is outside it.
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("root-secret"), b"x").unwrap();
    symlink("../root-secret", scene.root().join("link")).unwrap();
    scene.refused("CS-VLT-014", "out of the folder");
}

#[test]
fn what_is_no_file_is_refused() {
    let scene = Scene::new();
    let _socket = std::os::unix::net::UnixListener::bind(scene.root().join("socket")).unwrap();
    scene.refused("CS-VLT-014", "neither a file nor a folder");
    let scene = Scene::new();
    let fifo = std::process::Command::new("mkfifo").arg(scene.root().join("pipe")).status().unwrap();
    assert!(fifo.success());
    scene.refused("CS-VLT-014", "neither a file nor a folder");
}

#[test]
fn names_that_a_manifest_cannot_hold_are_refused() {
    for (name, reason) in [
        (b"not-\xff-utf8".as_slice(), "not UTF-8"),
        (b"back\\slash", "backslash"),
        (b"line\nbreak", "control character"),
        (b"del\x7f", "control character"),
    ] {
        let scene = Scene::new();
        let path = scene.root().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(path, b"x").unwrap();
        scene.refused("CS-VLT-014", reason);
    }
    let scene = Scene::new();
    std::fs::create_dir_all(scene.root().join("d/".repeat(65))).unwrap();
    scene.refused("CS-VLT-014", "deeper than 64");
}

#[test]
fn relative_paths_are_strict() {
    for bad in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "a/.",
        "a\\b",
        "a\0b",
        "a\tb",
        &"x".repeat(256),
    ] {
        assert_eq!(bad.parse::<RelativePath>().unwrap_err().code(), "CS-VLT-014", "{bad:?}");
    }
    for good in ["a", ".hidden", "a/b", "...", "ä/ö", "a b", &"x".repeat(255)] {
        good.parse::<RelativePath>().unwrap();
    }
}

#[test]
fn a_swap_between_listing_and_opening_leads_nowhere() {
    let scene = Scene::new();
    let secret = scene.folder.path().join("secret");
    std::fs::write(&secret, b"secret").unwrap();
    let folder = Folder::open(&scene.root()).unwrap();
    let files = folder.files().unwrap();
    let find = |path: &str| files.iter().find(|found| found.path.as_str() == path).unwrap();
    // The file itself becomes a link.
    std::fs::remove_file(scene.root().join("b.txt")).unwrap();
    symlink(&secret, scene.root().join("b.txt")).unwrap();
    assert_eq!(folder.open_file(find("b.txt")).unwrap_err().code(), "CS-VLT-024");
    // A folder on the way becomes a link to a folder with a file of the same name.
    let elsewhere = scene.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("c.bin"), b"secret").unwrap();
    std::fs::remove_dir_all(scene.root().join("deep/er")).unwrap();
    symlink(&elsewhere, scene.root().join("deep/er")).unwrap();
    assert_eq!(folder.open_file(find("deep/er/c.bin")).unwrap_err().code(), "CS-VLT-024");
    // The file becomes a folder.
    std::fs::remove_file(scene.root().join("a.txt")).unwrap();
    std::fs::create_dir(scene.root().join("a.txt")).unwrap();
    assert_eq!(folder.open_file(find("a.txt")).unwrap_err().code(), "CS-VLT-015");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let scene = Scene::new();
    let path = scene.root().join("b.txt");
    let file = File::open(&path).unwrap();
    let look = walk::Look::at(&file).unwrap();
    look.confirm(&file, 3, &path).unwrap();
    assert_eq!(look.confirm(&file, 2, &path).unwrap_err().code(), "CS-VLT-015");
    scene.write("b.txt", b"been");
    assert_eq!(look.confirm(&file, 3, &path).unwrap_err().code(), "CS-VLT-015");
}

#[test]
fn manifests_have_one_spelling() {
    let entry = |path: &str| Entry { path: path.parse().unwrap(), size: 1, digest: Digest::of(b"x") };
    let manifest = Manifest::new(vec![entry("b"), entry("a/b"), entry("a-b")]).unwrap();
    let bytes = manifest.to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let digest = Digest::of(b"x");
    let line = |path: &str| format!(r#"{{"digest":"{digest}","path":"{path}","size":1}}"#);
    let expected = format!(
        r#"{{"entries":[{},{},{}],"type":"countersign/folder/v1"}}"#,
        line("a-b"),
        line("a/b"),
        line("b")
    );
    assert_eq!(text, expected);
    assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
    let bad = [
        format!(r#"{{"entries":[{},{}],"type":"countersign/folder/v1"}}"#, line("b"), line("a")),
        format!(r#"{{"entries":[{},{}],"type":"countersign/folder/v1"}}"#, line("a"), line("a")),
        format!(
            r#"{{"entries":[{},{},{}],"type":"countersign/folder/v1"}}"#,
            line("a"),
            line("a-b"),
            line("a/b")
        ),
        format!(r#"{{"entries":[{}],"type":"countersign/folder/v1"}}"#, line("../a")),
        format!(r#"{{"entries":[{}],"type":"countersign/folder/v1"}}"#, line("/a")),
        text.replace("folder/v1", "folder/v2"),
        text.replace("\"size\":1", "\"size\":1.0"),
        text.replace("\"size\":1", "\"size\":-1"),
        text.replace("\"size\":1", "\"mode\":1,\"size\":1"),
        format!(" {text}"),
        format!("{text} "),
    ];
    for text in bad {
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap_err().code(), "CS-VLT-016", "{text}");
    }
    for paths in [vec!["a", "a"], vec!["a", "a-b", "a/b"], vec!["a/b/c", "a/b", "x"]] {
        let entries = paths.iter().map(|path| entry(path)).collect();
        assert_eq!(Manifest::new(entries).unwrap_err().code(), "CS-VLT-014", "{paths:?}");
    }
    Manifest::new(Vec::new()).unwrap().to_bytes().unwrap();
}

#[test]
fn a_missing_folder_is_a_refusal() {
    let scene = Scene::new();
    assert_eq!(hash_directory(&scene.root().join("nowhere")).unwrap_err().code(), "CS-VLT-024");
    assert_eq!(hash_directory(&scene.root().join("a.txt")).unwrap_err().code(), "CS-VLT-024");
    assert_eq!(hash_file(&scene.root().join("nowhere")).unwrap_err().code(), "CS-VLT-024");
    assert_eq!(hash_file(&scene.root().join("b.txt")).unwrap(), (Digest::of(b"bee"), 3));
}
