use super::*;

fn placed(name: &str, bytes: &[u8]) -> (Placed, PathBuf) {
    let mut placed = Placed::new(None).unwrap();
    let write =
        |file: &mut File, _: &Path| file.write_all(bytes).map_err(Error::file(Path::new("x"), "written"));
    let path = placed.file(name, &Digest::of(bytes), write).unwrap();
    placed.close().unwrap();
    (placed, path)
}

#[test]
fn files_are_for_reading_alone_and_go_with_the_folder() {
    let (placed, path) = placed("model/model.gguf", b"weights");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o400);
    assert_eq!(mode(path.parent().unwrap()), 0o500);
    assert_eq!(mode(placed.folder()), 0o700);
    let folder = placed.folder().to_owned();
    placed.look().unwrap();
    drop(placed);
    assert!(!folder.exists());
}

#[test]
fn a_file_that_is_not_what_was_approved_is_not_placed() {
    let mut placed = Placed::new(None).unwrap();
    let write =
        |file: &mut File, _: &Path| file.write_all(b"other").map_err(Error::file(Path::new("x"), "written"));
    let error = placed.file("model", &Digest::of(b"weights"), write).unwrap_err();
    assert_eq!(error.code(), "CS-LCH-002");
}

#[test]
fn names_do_not_lead_out_of_the_folder() {
    let mut placed = Placed::new(None).unwrap();
    for name in ["", "../x", "/etc/x", "a/../../x", "."] {
        let nothing = |_: &mut File, _: &Path| Ok::<_, Error>(());
        assert_eq!(placed.file(name, &Digest::of(b""), nothing).unwrap_err().code(), "CS-LCH-004", "{name}");
    }
}

#[test]
fn one_flipped_bit_is_found_where_it_is_looked_for() {
    let (placed, path) = placed("weights", &[7; 1000]);
    // Whoever has the account can take the right back that it gave away.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[6], 500).unwrap();
    assert_eq!(placed.look().unwrap_err().code(), "CS-LCH-003");
}

#[test]
fn a_longer_file_and_another_file_at_the_path_are_found() {
    let (placed, path) = placed("weights", &[7; 1000]);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(placed.look().unwrap_err().code(), "CS-LCH-003");

    let (placed, path) = self::placed("weights", &[7; 1000]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, [7; 1000]).unwrap();
    assert_eq!(placed.look().unwrap_err().code(), "CS-LCH-003");
}

#[test]
fn every_block_of_a_file_is_found_in_time() {
    let bytes: Vec<u8> = (0..3 * BLOCK + 17).map(|at| u8::try_from(at / BLOCK).unwrap()).collect();
    let (placed, path) = placed("weights", &bytes);
    placed.look().unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[9], 3 * BLOCK as u64 + 16).unwrap();
    // One block of four is looked at in each of four tries: a thousand looks that all miss it would be a wonder.
    let found = (0..1000).find_map(|_| placed.look().err()).unwrap();
    assert_eq!(found.code(), "CS-LCH-003");
}
