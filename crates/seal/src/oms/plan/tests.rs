use super::*;

fn found(path: &str, bytes: u64) -> Found {
    Found { path: path.to_owned(), bytes, is_link: false }
}

fn serialization(method: Method) -> Serialization {
    let ignored = vec![".git".to_owned(), "model.sig".to_owned()];
    Serialization { method, hash: HashType::Sha256, symlinks: Symlinks::Refused, ignored }
}

fn signed(method: Method, files: &[Found]) -> Manifest {
    let serialization = serialization(method);
    let jobs = serialization.plan(files).unwrap();
    let hashed = jobs.into_iter().map(|job| (job, vec![7; 32])).collect();
    Manifest::new("model", serialization, resources(hashed)).unwrap()
}

#[test]
fn shards_cover_each_file_and_come_back_from_a_statement() {
    let files = [found("a/b.bin", 2500), found("c.bin", 1000), found("d.bin", 1)];
    let manifest = signed(Method::Shards { bytes: 1000 }, &files);
    let names: Vec<String> = manifest.resources().iter().map(Resource::name).collect();
    assert_eq!(
        names,
        ["a/b.bin:0:1000", "a/b.bin:1000:2000", "a/b.bin:2000:2500", "c.bin:0:1000", "d.bin:0:1"]
    );
    let read = Manifest::of_payload(&manifest.to_payload().unwrap()).unwrap();
    assert_eq!(read, manifest);
    // As Protocol Buffers write it.
    let text = String::from_utf8(manifest.to_payload().unwrap()).unwrap();
    let floats = text.replace("\"shard_size\":1000", "\"shard_size\":1000.0");
    assert_ne!(floats, text);
    assert_eq!(Manifest::of_payload(floats.as_bytes()).unwrap(), manifest);
    let jobs = manifest.plan(&files, &[]).unwrap();
    assert_eq!(jobs.len(), 5);
    assert!(jobs.windows(2).all(|pair| pair[0].bytes >= pair[1].bytes));
    let longer = [found("a/b.bin", 2501), files[1].clone(), files[2].clone()];
    assert_eq!(manifest.plan(&longer, &[]).unwrap_err().code(), "CS-SEL-033");
    for (from, to) in [
        (":1000:2000\"", ":1000:1999\""),
        (":0:1000\"", ":1:1000\""),
        (":0:1\"", ":0:01\""),
        (":0:1\"", ":0:+1\""),
        (":0:1\"", ":0:0\""),
        (":0:1\"", ":0\""),
        (":0:1\"", ":0:1:2\""),
        (":0:1\"", ":0:99999999999999999999\""),
    ] {
        let tampered = text.replace(from, to);
        assert_ne!(tampered, text);
        assert_eq!(Manifest::of_payload(tampered.as_bytes()).unwrap_err().code(), "CS-SEL-021", "{to}");
    }
}

#[test]
fn files_that_are_missing_added_changed_or_links_are_named() {
    let files = [found("a.bin", 10), found("b/c.bin", 20)];
    let manifest = signed(Method::Files, &files);
    let plan = |files: &[Found], ignored: &[&str]| {
        let ignored: Vec<String> = ignored.iter().map(|path| (*path).to_owned()).collect();
        manifest.plan(files, &ignored).map_err(|error| error.code())
    };
    assert_eq!(plan(&files, &[]).unwrap().len(), 2);
    assert_eq!(plan(&files[..1], &[]), Err("CS-SEL-031"));
    let extra = [files[0].clone(), files[1].clone(), found("b/d.bin", 0)];
    assert_eq!(plan(&extra, &[]), Err("CS-SEL-032"));
    assert_eq!(plan(&extra, &["b/d"]), Err("CS-SEL-032"), "a path, not the beginning of one");
    assert_eq!(plan(&extra, &["b/d.bin"]).unwrap().len(), 2);
    assert_eq!(plan(&extra, &["b"]).unwrap().len(), 2, "what was signed is not left out");
    let recorded = [files[0].clone(), files[1].clone(), found(".git/config", 5), found("model.sig", 9)];
    assert_eq!(plan(&recorded, &[]).unwrap().len(), 2);
    let linked = [Found { is_link: true, ..files[0].clone() }, files[1].clone()];
    assert_eq!(plan(&linked, &[]), Err("CS-SEL-034"));
    let renamed = [found("x.bin", 10), files[1].clone()];
    assert_eq!(plan(&renamed, &[]), Err("CS-SEL-032"));

    let hashed = |digest: u8| {
        plan(&files, &[]).unwrap().into_iter().map(|job| (job, vec![digest; 32])).collect::<Vec<_>>()
    };
    manifest.compare(&hashed(7)).unwrap();
    assert_eq!(manifest.compare(&hashed(8)).unwrap_err().code(), "CS-SEL-033");
    assert_eq!(manifest.compare(&hashed(7)[1..]).unwrap_err().code(), "CS-SEL-031");
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let refused = |method, files: &[Found]| serialization(method).plan(files).unwrap_err().code();
    let shards = Method::Shards { bytes: 10 };
    assert_eq!(refused(Method::Files, &[]), "CS-SEL-035");
    assert_eq!(refused(Method::Files, &[found(".git/x", 1)]), "CS-SEL-035");
    assert_eq!(refused(shards, &[found("a", 0)]), "CS-SEL-035");
    assert_eq!(refused(shards, &[found("a:b", 1)]), "CS-SEL-021");
    assert_eq!(refused(Method::Files, &[found("a\nb", 1)]), "CS-SEL-021");
    let link = Found { is_link: true, ..found("a", 1) };
    assert_eq!(refused(Method::Files, std::slice::from_ref(&link)), "CS-SEL-034");
    let follow = Serialization { symlinks: Symlinks::Followed, ..serialization(Method::Files) };
    assert_eq!(follow.plan(&[link]).unwrap().len(), 1);
}

#[test]
fn digests_are_those_of_the_functions_they_are_named_after() {
    for (hash, wanted) in [
        (HashType::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashType::Blake2b,
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
        (HashType::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ] {
        let mut hasher = Hasher::new(hash);
        hasher.update(b"a");
        hasher.update(b"bc");
        let digest = hasher.finish();
        assert_eq!(hex(&digest), wanted);
        assert_eq!(digest.len(), hash.bytes());
    }
    let bytes = vec![3; 3 << 20];
    let mut hasher = Hasher::new(HashType::Blake3);
    hasher.update(&bytes);
    assert_eq!(hasher.finish(), blake3::hash(&bytes).as_bytes());
}
