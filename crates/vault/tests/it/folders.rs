use statement::Digest;
use vault::hash_directory;

use crate::scene::{GROUP, Scene, WINDOW, content, files};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_stored_named_and_restored() {
    let scene = Scene::new().await;
    let source = scene.beside("model");
    std::fs::create_dir_all(source.join("sub/deeper")).unwrap();
    let inputs = [
        ("config.json", content(100, 1)),
        ("model.safetensors", content(WINDOW + 3, 2)),
        ("sub/empty", Vec::new()),
        ("sub/deeper/copy.json", content(100, 1)),
        ("sub/medium.bin", content(2 * GROUP, 3)),
    ];
    for (path, bytes) in &inputs {
        std::fs::write(source.join(path), bytes).unwrap();
    }
    let (manifest, stored) = scene.vault.put_directory(&scene.acme, &source).await.unwrap();
    assert_eq!(manifest, hash_directory(&source).unwrap());
    assert_eq!(stored.digest, manifest.digest().unwrap());
    assert_eq!(manifest.total(), inputs.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    // Four different contents and the manifest.
    assert_eq!(scene.vault.list(&scene.acme).await.unwrap().len(), 5);
    assert_eq!(scene.vault.manifest(&scene.acme, &stored.digest).await.unwrap(), manifest);
    let target = scene.beside("restored");
    scene.vault.restore_directory(&scene.acme, &stored.digest, &target).await.unwrap();
    assert_eq!(hash_directory(&target).unwrap(), manifest);
    // Never over what is there.
    let refusal = scene.vault.restore_directory(&scene.acme, &stored.digest, &target).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-024");
    // A second time changes nothing.
    let before = files(&scene.root());
    let (_, again) = scene.vault.put_directory(&scene.acme, &source).await.unwrap();
    assert_eq!((again.digest, files(&scene.root())), (stored.digest, before));
}

#[tokio::test]
async fn a_folder_with_a_bad_file_is_not_named() {
    let scene = Scene::new().await;
    let source = scene.beside("model");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("good"), b"good").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", source.join("bad")).unwrap();
    let refusal = scene.vault.put_directory(&scene.acme, &source).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-014");
    assert!(refusal.to_string().contains("model/bad"), "{refusal}");
    assert!(scene.vault.list(&scene.acme).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_artefact_that_is_no_manifest_names_no_folder() {
    let scene = Scene::new().await;
    let digest = scene.vault.put_bytes(&scene.acme, b"{}").await.unwrap().digest;
    assert_eq!(scene.vault.manifest(&scene.acme, &digest).await.unwrap_err().code(), "CS-VLT-016");
    // A manifest that lies about a size is found out before anything is written for that file.
    let content = scene.vault.put_bytes(&scene.acme, b"abc").await.unwrap().digest;
    let lie = format!(
        r#"{{"entries":[{{"digest":"{content}","path":"a","size":4}}],"type":"countersign/folder/v1"}}"#
    );
    let digest = scene.vault.put_bytes(&scene.acme, lie.as_bytes()).await.unwrap().digest;
    assert_eq!(digest, Digest::of(lie.as_bytes()));
    let refusal =
        scene.vault.restore_directory(&scene.acme, &digest, &scene.beside("out")).await.unwrap_err();
    assert_eq!(refusal.code(), "CS-VLT-016");
    assert!(files(&scene.beside("out")).is_empty());
}
