use std::collections::BTreeMap;
use std::error::Error as _;

use statement::{ChangeId, Digest, StateId};
use vault::{ComponentState, LineageLimit, Presence, Snapshot, SnapshotKind};

use crate::scene::{Scene, content};

fn snapshot(parents: &[Digest], components: &[(&str, Digest)], seed: u8) -> Snapshot {
    let first = parents.is_empty();
    Snapshot {
        kind: if first { SnapshotKind::First } else { SnapshotKind::Changed },
        state: StateId::from_digest(Digest::of(&[seed])),
        components: components.iter().map(|(name, digest)| (name.parse().unwrap(), *digest)).collect(),
        parents: parents.to_vec(),
        change: (!first).then(|| ChangeId::from_random([seed; 16])),
    }
}

const LIMIT: LineageLimit = LineageLimit(100);

#[tokio::test]
async fn a_lineage_leads_back_to_the_first() {
    let scene = Scene::new().await;
    let put = async |snapshot: &Snapshot| scene.vault.put_snapshot(&scene.acme, snapshot).await;
    let first = put(&snapshot(&[], &[], 0)).await.unwrap();
    let left = put(&snapshot(&[first], &[], 1)).await.unwrap();
    let right = put(&snapshot(&[first], &[], 2)).await.unwrap();
    let merged = put(&snapshot(&[left, right], &[], 3)).await.unwrap();
    let restored = Snapshot { kind: SnapshotKind::Restored, ..snapshot(&[merged], &[], 4) };
    let restored = put(&restored).await.unwrap();
    let lineage = scene.vault.lineage(&scene.acme, &restored, LIMIT).await.unwrap();
    let ids: Vec<Digest> = lineage.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [restored, merged, left, right, first]);
    assert!(lineage.iter().all(|(id, snapshot)| snapshot.id().unwrap() == *id));
    assert_eq!(lineage.last().unwrap().1.kind, SnapshotKind::First);
    let refusal = scene.vault.lineage(&scene.acme, &restored, LineageLimit(4)).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-021");
    scene.vault.lineage(&scene.acme, &restored, LineageLimit(5)).await.unwrap();
    let absent = Digest::of(b"absent");
    assert_eq!(scene.vault.lineage(&scene.acme, &absent, LIMIT).await.unwrap_err().code(), "CS-VLT-001");
    let refusal = put(&snapshot(&[absent], &[], 5)).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-019");
}

#[tokio::test]
async fn a_lineage_with_a_bad_parent_is_refused_by_name() {
    let cause = async |spoil: &str| {
        let scene = Scene::new().await;
        let first = scene.vault.put_snapshot(&scene.acme, &snapshot(&[], &[], 0)).await.unwrap();
        let path = scene.only(&scene.acme, "content");
        let second = scene.vault.put_snapshot(&scene.acme, &snapshot(&[first], &[], 1)).await.unwrap();
        let third = scene.vault.put_snapshot(&scene.acme, &snapshot(&[second], &[], 2)).await.unwrap();
        match spoil {
            "missing" => scene.vault.remove(&scene.acme, &first).await.unwrap(),
            "purged" => scene.vault.purge(&scene.acme, &first).await.unwrap(),
            _ => {
                let mut bytes = std::fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let refusal = scene.vault.lineage(&scene.acme, &third, LIMIT).await.unwrap_err();
        assert_eq!(refusal.code(), "CS-VLT-019");
        let text = refusal.to_string();
        assert!(text.contains(&first.to_string()) && text.contains(&second.to_string()), "{text}");
        refusal.source().unwrap().downcast_ref::<Box<vault::Error>>().map_or_else(
            || refusal.source().unwrap().downcast_ref::<vault::Error>().unwrap().code(),
            |cause| cause.code(),
        )
    };
    assert_eq!(cause("missing").await, "CS-VLT-001");
    assert_eq!(cause("purged").await, "CS-VLT-002");
    assert_eq!(cause("tampered").await, "CS-VLT-007");
    // A parent that is an artefact, but no snapshot.
    let scene = Scene::new().await;
    let text = scene.vault.put_bytes(&scene.acme, b"text").await.unwrap().digest;
    let refusal = scene.vault.put_snapshot(&scene.acme, &snapshot(&[text], &[], 1)).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-019");
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_verified_one_by_one() {
    let scene = Scene::new().await;
    let put =
        async |length, seed| scene.vault.put_bytes(&scene.acme, &content(length, seed)).await.unwrap().digest;
    let damaged = put(1000, 4).await;
    let damaged_path = scene.only(&scene.acme, "content");
    let (whole, purged) = (put(1000, 1).await, put(1000, 2).await);
    let folder = scene.beside("folder");
    std::fs::create_dir(&folder).unwrap();
    for (name, seed) in [("a", 5), ("b", 6)] {
        std::fs::write(folder.join(name), content(500, seed)).unwrap();
    }
    let (_, stored) = scene.vault.put_directory(&scene.acme, &folder).await.unwrap();
    let components = [
        ("adapter", damaged),
        ("base", stored.digest),
        ("prompt", whole),
        ("template", purged),
        ("tokenizer", Digest::of(b"absent")),
    ];
    let id = scene.vault.put_snapshot(&scene.acme, &snapshot(&[], &components, 0)).await.unwrap();
    scene.vault.purge(&scene.acme, &purged).await.unwrap();
    let mut bytes = std::fs::read(&damaged_path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&damaged_path, bytes).unwrap();

    let states = async || {
        let found = scene.vault.verify_components(&scene.acme, &id).await.unwrap();
        let text = |state: &ComponentState| match state {
            ComponentState::Verified { length } => format!("verified {length}"),
            ComponentState::Purged => "purged".to_owned(),
            ComponentState::Missing => "missing".to_owned(),
            ComponentState::Damaged(error) => error.code().to_owned(),
        };
        found.iter().map(|entry| (entry.name.to_string(), text(&entry.state))).collect::<BTreeMap<_, _>>()
    };
    let found = states().await;
    assert_eq!(found["adapter"], "CS-VLT-007");
    assert_eq!(found["base"], format!("verified {}", 1000 + stored.length));
    assert_eq!(found["prompt"], "verified 1000");
    assert_eq!(found["template"], "purged");
    assert_eq!(found["tokenizer"], "missing");
    // A folder is only as good as each of its files.
    scene.vault.purge(&scene.acme, &Digest::of(&content(500, 6))).await.unwrap();
    assert_eq!(states().await["base"], "purged");
    let presence = scene.vault.component_presence(&scene.acme, &id).await.unwrap();
    let of = |name: &str| presence[&name.parse().unwrap()];
    assert_eq!(
        (of("template"), of("tokenizer"), of("prompt")),
        (Presence::Purged, Presence::Absent, Presence::Present)
    );
}
