//! `seal`: signature bundles and what is in them, seals, differences, rules.

use seal::difference::Difference;
use seal::oms::{Bundle, Certificate, Manifest, PublicKey, Trust};
use seal::{Rule, Seal};
use tensor::gguf::Gguf;

/// A published, worthless key.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFvE0bZi9DHZElDwXm9c0U+nGmtID\n\
    9UeVDU5EfFlO/dc4sXPPlRiGR88z7pIc9XxRIsrYCGxQj0UM5QNKQKIHTg==\n\
    -----END PUBLIC KEY-----\n";

pub(crate) fn bundle(data: &[u8]) {
    let key = PublicKey::from_pem(KEY.as_bytes()).expect("a key");
    if let Ok(bundle) = Bundle::parse(data) {
        drop(bundle.verify(&Trust::Key(&key)));
    }
    if let Ok(manifest) = Manifest::of_payload(data) {
        for resource in manifest.resources() {
            let outside = resource.path.split('/').any(|part| matches!(part, "" | ".."));
            assert!(!outside && !resource.path.contains('\\'), "`{}` leads elsewhere", resource.path);
        }
        let payload = manifest.to_payload().expect("what is read is written");
        let again = Manifest::of_payload(&payload).expect("what is written is read");
        assert_eq!(again.resources().len(), manifest.resources().len());
        assert_eq!(again.subject_digest(), manifest.subject_digest());
    }
    drop(Certificate::from_der(data, 0));
    drop(Certificate::all_from_pem(data));
    if let Ok(key) = PublicKey::from_pem(data) {
        assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()).expect("its own PEM"), key);
    }
}

pub(crate) fn seal(data: &[u8]) {
    if let Ok(seal) = Seal::parse(data) {
        let bytes = seal.to_bytes().expect("what is read is written");
        assert_eq!(Seal::parse(&bytes).expect("what is written is read"), seal);
        if let Some(tensor) = seal.tensors().iter().find(|tensor| !tensor.blocks().is_empty()) {
            let proof = seal.prove(tensor.name(), 0).expect("a block that is there");
            proof.verify(seal.rule(), tensor.blocks()[0], seal.root()).expect("the root it has");
        }
    }
    if let Ok(difference) = Difference::parse(data) {
        let bytes = difference.to_bytes().expect("what is read is written");
        assert_eq!(Difference::parse(&bytes).expect("what is written is read"), difference);
    }
    if let Ok(rule) = Rule::parse(data) {
        assert_eq!(Rule::parse(&rule.to_bytes()).expect("its own bytes"), rule);
    }
}

pub(crate) fn gguf(data: &[u8]) {
    let Ok(file) = Gguf::read(data) else { return };
    let Ok(model) = seal::gguf::Model::of(&file) else { return };
    let Ok(tensors) = model.tensors() else { return };
    assert_eq!(tensors.len(), file.len());
    // Names that become one are refused; else every tensor has its place in the seal, and the same bytes the same root.
    if let Ok(sealed) = Seal::of(&Rule::exact(), &tensors, |_| ()) {
        assert_eq!(sealed.tensors().len(), tensors.len());
        let again = Seal::of(&Rule::exact(), &tensors, |_| ()).expect("as before");
        assert_eq!(again.root(), sealed.root());
    }
}
