//! Checkpoints: one spelling, and a tampered twin for each field.

use super::*;
use crate::note::Ed25519NoteSigner;

const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn signer() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed("example.com/behind-the-sofa", &[3; 32]).unwrap()
}

#[track_caller]
fn refused<T: fmt::Debug>(outcome: Result<T, MerkleError>, code: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn the_specification_s_example_is_read_and_written() {
    let checkpoint = Checkpoint::parse(TEXT.as_bytes()).unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size(), 20_852_163);
    assert!(checkpoint.extensions().is_empty());
    assert_eq!(checkpoint.to_text(), TEXT);
    let extended = format!("{TEXT}one\ntwo\n");
    let checkpoint = Checkpoint::parse(extended.as_bytes()).unwrap();
    assert_eq!(checkpoint.extensions(), ["one", "two"]);
    assert_eq!(checkpoint.to_text(), extended);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for text in [
        String::new(),
        "\n".to_owned(),
        "o\n".to_owned(),
        "o\n1\n".to_owned(),
        format!("o\n1\n{root}"),
        format!("\n1\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n1 \n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n9223372036854775808\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        format!("o\n1\n{}\n", root.replace("2I=", "2J=")),
        format!("o\n1\n{}\n", root.trim_end_matches('=')),
        "o\n1\nAAAA\n".to_owned(),
        format!("o\n1\n{root}\n\n"),
        format!("o\n1\n{root}\n\nx\n"),
        format!("o\n1\n{root}\nx"),
        format!("o\to\n1\n{root}\n"),
        format!("o\r\n1\n{root}\n"),
    ] {
        refused(Checkpoint::parse(text.as_bytes()), "CS-MRK-031");
    }
    refused(Checkpoint::parse(&vec![b'x'; MAX_TEXT + 1]), "CS-MRK-020");
    refused(Checkpoint::parse(b"\xff\n1\n"), "CS-MRK-031");
    Checkpoint::parse(format!("o\n9223372036854775807\n{root}\n").as_bytes()).unwrap();
    Checkpoint::parse(format!("o\n0\n{root}\n").as_bytes()).unwrap();
}

#[test]
fn each_field_is_under_the_signature() {
    let keys = [signer().verifier().clone()];
    let origin = "example.com/behind-the-sofa";
    let text = format!("{TEXT}extension\n");
    let signed = Checkpoint::parse(text.as_bytes()).unwrap().sign(&[&signer()]).unwrap().to_bytes();
    let opened = VerifiedCheckpoint::open(&signed, origin, &keys).unwrap();
    assert_eq!(opened.to_bytes(), signed);
    let signed = String::from_utf8(signed).unwrap();
    let open = |bytes: String| {
        assert_ne!(bytes, signed);
        VerifiedCheckpoint::open(bytes.as_bytes(), origin, &keys)
    };
    refused(open(signed.replacen("sofa\n", "sofb\n", 1)), "CS-MRK-032");
    refused(open(signed.replacen("20852163", "20852164", 1)), "CS-MRK-029");
    refused(open(signed.replacen("CsUY", "DsUY", 1)), "CS-MRK-029");
    refused(open(signed.replacen("\nextension", "\nextensions", 1)), "CS-MRK-029");
    refused(open(signed.replacen("\nextension", "", 1)), "CS-MRK-029");
    refused(VerifiedCheckpoint::open(signed.as_bytes(), "example.com/other", &keys), "CS-MRK-032");
    let other = Ed25519NoteSigner::from_seed("example.com/behind-the-sofa", &[4; 32]).unwrap();
    refused(VerifiedCheckpoint::open(signed.as_bytes(), origin, &[other.verifier().clone()]), "CS-MRK-028");
    refused(VerifiedCheckpoint::open(signed.as_bytes(), origin, &[]), "CS-MRK-028");
}
