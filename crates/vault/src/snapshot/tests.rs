use super::*;

fn id(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn first() -> Snapshot {
    Snapshot {
        kind: SnapshotKind::First,
        state: StateId::from_digest(id(1)),
        components: BTreeMap::from([("prompt".parse().unwrap(), id(2)), ("base".parse().unwrap(), id(3))]),
        parents: Vec::new(),
        change: None,
    }
}

fn changed(parents: &[Digest]) -> Snapshot {
    let change = Some(ChangeId::from_random([5; 16]));
    Snapshot { kind: SnapshotKind::Changed, parents: parents.to_vec(), change, ..first() }
}

#[test]
fn the_bytes_are_canonical_and_pinned() {
    let bytes = changed(&[id(9)]).to_bytes().unwrap();
    let digest = |byte: u8| format!("{byte:02x}").repeat(32);
    let expected = format!(
        concat!(
            r#"{{"change":"chg-{}","components":{{"base":"{}","prompt":"{}"}},"kind":"changed","#,
            r#""parents":["{}"],"state":"{}","type":"countersign/snapshot/v1"}}"#
        ),
        "05".repeat(16),
        digest(3),
        digest(2),
        digest(9),
        digest(1)
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(Snapshot::parse(&bytes).unwrap(), changed(&[id(9)]));
    assert_eq!(Snapshot::parse(&first().to_bytes().unwrap()).unwrap(), first());
}

#[test]
fn contradictions_are_refused() {
    let too_many: Vec<Digest> = (0..17).map(id).collect();
    let cases = [
        Snapshot { parents: vec![id(1)], ..first() },
        Snapshot { change: Some(ChangeId::from_random([1; 16])), ..first() },
        Snapshot { parents: Vec::new(), ..changed(&[]) },
        Snapshot { change: None, ..changed(&[id(1)]) },
        Snapshot { kind: SnapshotKind::Restored, ..first() },
        changed(&[id(1), id(2), id(1)]),
        changed(&too_many),
    ];
    for case in cases {
        assert_eq!(case.to_bytes().unwrap_err().code(), "CS-VLT-018", "{case:?}");
    }
    changed(&too_many[..16]).to_bytes().unwrap();
}

#[test]
fn only_canonical_bytes_are_read() {
    let good = String::from_utf8(changed(&[id(9)]).to_bytes().unwrap()).unwrap();
    let contradiction = good.replace("\"changed\"", "\"first\"");
    let bad = [
        good.replace("{\"change\"", "{ \"change\""),
        good.replace("snapshot/v1", "folder/v1"),
        good.replace("\"type\"", "\"typo\""),
        good.replace("\"kind\":\"changed\"", "\"kind\":\"other\""),
        good.replace("\"parents\":[", "\"parents\":[1,"),
        good.replace("\"state\"", "\"extra\":1,\"state\""),
        good.replace("09", "0A"),
        format!("{good}\n"),
        contradiction,
        String::new(),
    ];
    for text in bad {
        assert_ne!(text, good);
        assert_eq!(Snapshot::parse(text.as_bytes()).unwrap_err().code(), "CS-VLT-018", "{text}");
    }
}

#[test]
fn a_cycle_is_refused_even_if_the_reader_was_fooled() {
    let graph = |edges: &[(u8, &[u8])]| {
        let node = |(at, parents): &(u8, &[u8])| {
            let parents: Vec<Digest> = parents.iter().map(|parent| id(*parent)).collect();
            (id(*at), changed(&parents))
        };
        edges.iter().map(node).collect::<BTreeMap<_, _>>()
    };
    let order = |edges: &[(u8, &[u8])]| {
        let ordered = lineage::in_order(id(1), graph(edges))?;
        Ok::<_, Error>(ordered.iter().map(|(digest, _)| digest.as_bytes()[0]).collect::<Vec<u8>>())
    };
    assert_eq!(order(&[(1, &[2]), (2, &[3]), (3, &[])]).unwrap(), [1, 2, 3]);
    // A diamond: the common ancestor comes after both of its children.
    assert_eq!(order(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (4, &[])]).unwrap(), [1, 2, 3, 4]);
    assert_eq!(order(&[(1, &[4, 2]), (2, &[3]), (3, &[4]), (4, &[])]).unwrap(), [1, 2, 3, 4]);
    assert_eq!(order(&[(1, &[2]), (2, &[3]), (3, &[2])]).unwrap_err().code(), "CS-VLT-020");
    assert_eq!(order(&[(1, &[1])]).unwrap_err().code(), "CS-VLT-020");
    assert_eq!(order(&[(1, &[2]), (2, &[1])]).unwrap_err().code(), "CS-VLT-020");
}
