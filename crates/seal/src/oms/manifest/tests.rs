use super::*;

fn serialization() -> Serialization {
    Serialization {
        method: Method::Files,
        hash: HashType::Blake3,
        symlinks: Symlinks::Refused,
        ignored: Vec::new(),
    }
}

fn resource(path: &str) -> Resource {
    Resource { path: path.to_owned(), span: None, digest: vec![1; 32] }
}

#[test]
fn resources_are_listed_in_the_order_of_paths() {
    let paths = ["a-b/x", "a/y", "a.bin", "b"];
    let manifest =
        Manifest::new("m", serialization(), paths.iter().rev().map(|path| resource(path)).collect()).unwrap();
    let names: Vec<&str> = manifest.resources().iter().map(|resource| resource.path.as_str()).collect();
    assert_eq!(
        names,
        ["a", "a-b", "a.bin", "b"]
            .map(|first| *paths.iter().find(|path| path.split('/').next() == Some(first)).unwrap())
    );
}

#[test]
fn renaming_a_file_changes_the_digest_of_names_and_not_the_subjects() {
    let one = Manifest::new("m", serialization(), vec![resource("a")]).unwrap();
    let other = Manifest::new("m", serialization(), vec![resource("b")]).unwrap();
    assert_eq!(one.subject_digest(), other.subject_digest(), "the gap in the format");
    assert_ne!(one.names().unwrap(), other.names().unwrap());
}

#[test]
fn a_single_file_has_its_own_name() {
    Manifest::new("m", serialization(), vec![resource(SINGLE_FILE)]).unwrap();
    let two = Manifest::new("m", serialization(), vec![resource(SINGLE_FILE), resource("a")]);
    assert_eq!(two.unwrap_err().code(), "CS-SEL-021");
    for model in ["", "a\nb"] {
        assert_eq!(
            Manifest::new(model, serialization(), vec![resource("a")]).unwrap_err().code(),
            "CS-SEL-021"
        );
    }
}
