//! Traces from outside: what is read is what was written, any step can be shown, nothing else can.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the whole crate is tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use statement::kind::{EvidenceKind, Finding, Isolation, Outcome};
use statement::{Digest, StatementId};
use trace::{Proof, Step, Trace, output};

fn worker() -> Digest {
    Digest::of(b"worker")
}

fn first() -> Step {
    Step::Box {
        isolation: Isolation::Standard,
        memory_bytes: 1 << 30,
        not_enforced: BTreeSet::from(["cgroup-memory".parse().unwrap()]),
        processor_s: 60,
        profile: "parse".parse().unwrap(),
        wall_ms: 60_000,
        worker: worker(),
    }
}

fn input(name: &str) -> Step {
    Step::Input { bytes: name.len() as u64, digest: Digest::of(name.as_bytes()), name: name.to_owned() }
}

fn finding() -> Finding {
    Finding {
        attested: None,
        boundaries: BTreeSet::new(),
        attachments: BTreeSet::new(),
        evidence: EvidenceKind::Scope,
        examiner: "scope/1".parse().unwrap(),
        inputs: BTreeSet::from([Digest::of(b"a"), Digest::of(b"b")]),
        isolation: Isolation::Standard,
        measures: BTreeMap::from([
            ("modules".parse().unwrap(), 3),
            ("box-without-cgroup-memory".parse().unwrap(), 1),
        ]),
        outcome: Outcome::Pass,
        proposal: StatementId::from_digest(Digest::of(b"proposal")),
        trace: None,
        violations: BTreeSet::new(),
        violations_left_out: 0,
        worker: Some(worker()),
    }
}

/// A finding with its trace.
fn both() -> (Finding, Trace) {
    let mut finding = finding();
    let last = Step::Output { digest: output(&finding).unwrap() };
    let stage = Step::Stage { name: "scope".parse().unwrap(), outcome: Outcome::Pass };
    let trace = Trace::new(vec![first(), input("a"), input("b"), stage, last]).unwrap();
    finding.trace = Some(trace.signed(Digest::of(b"attachment")));
    (finding, trace)
}

#[test]
fn a_trace_agrees_with_its_finding_alone() {
    let (finding, trace) = both();
    trace.agrees(&finding).unwrap();
    let refused = |finding: &Finding, trace: &Trace, words: &str| {
        let error = trace.agrees(finding).unwrap_err();
        assert_eq!(error.code(), "CS-TRC-006");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(&Finding { trace: None, ..finding.clone() }, &trace, "names none");
    refused(&Finding { outcome: Outcome::Fail, ..finding.clone() }, &trace, "not what the finding says");
    refused(&Finding { isolation: Isolation::Deep, ..finding.clone() }, &trace, "box and worker");
    refused(&Finding { worker: Some(Digest::of(b"other")), ..finding.clone() }, &trace, "box and worker");
    let inputs = BTreeSet::from([Digest::of(b"a")]);
    refused(&Finding { inputs, ..finding.clone() }, &trace, "does not list");
    let mut measured = finding.clone();
    measured.measures.insert("modules".parse().unwrap(), 4);
    refused(&measured, &trace, "not what the finding says");
    // A boundary is the supervisor's to tell, and stands in the first step too.
    let mut boxed = finding.clone();
    boxed.measures.clear();
    boxed.measures.insert("modules".parse().unwrap(), 3);
    trace.agrees(&boxed).unwrap();
    let mut steps = trace.steps().to_vec();
    steps.insert(2, input("c"));
    let longer = Trace::new(steps).unwrap();
    refused(&finding, &longer, "not the one that is signed");
    let named = Finding { trace: Some(longer.signed(Digest::of(b"x"))), ..finding.clone() };
    refused(&named, &longer, "does not list");
    let mut steps = trace.steps().to_vec();
    steps.insert(2, first());
    let two = Trace::new(steps).unwrap();
    refused(&Finding { trace: Some(two.signed(Digest::of(b"x"))), ..finding }, &two, "two boxes");
}

#[test]
fn every_step_can_be_shown_and_no_other() {
    for size in 1..=33_u64 {
        let steps: Vec<Step> = (0..size).map(|at| input(&at.to_string())).collect();
        let trace = Trace::new(steps).unwrap();
        let root = trace.root();
        for leaf in 0..size {
            let proof = trace.prove(leaf).unwrap();
            let proof = Proof::parse(&proof.to_bytes().unwrap()).unwrap();
            proof.verify(&root, size).unwrap();
            let code = |proof: &Proof| proof.verify(&root, size).unwrap_err().code();
            assert_eq!(code(&Proof { step: input("x"), ..proof.clone() }), "CS-TRC-004");
            assert_eq!(code(&Proof { leaf: leaf + 1, ..proof.clone() }), "CS-TRC-004");
            assert_eq!(code(&Proof { leaves: size + 1, ..proof.clone() }), "CS-TRC-003");
            for at in 0..proof.path.len() {
                let mut path = proof.path.clone();
                path[at] = Digest::of(b"another");
                assert_eq!(code(&Proof { path, ..proof.clone() }), "CS-TRC-004");
            }
            let mut path = proof.path.clone();
            path.push(root);
            assert_eq!(code(&Proof { path, ..proof.clone() }), "CS-TRC-004");
        }
        assert_eq!(trace.prove(size).unwrap_err().code(), "CS-TRC-003");
    }
}

#[track_caller]
fn check(bytes: &[u8], code: &str) {
    assert_eq!(Trace::parse(bytes).unwrap_err().code(), code, "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn files_are_read_strictly() {
    let (_, trace) = both();
    let bytes = trace.to_bytes();
    assert_eq!(Trace::parse(&bytes).unwrap(), trace);
    let text = String::from_utf8(bytes.clone()).unwrap();
    for cut in 0..bytes.len() {
        // Cut after a line, a shorter trace remains, which has another root.
        if let Ok(shorter) = Trace::parse(&bytes[..cut]) {
            assert_ne!(shorter.root(), trace.root());
        }
    }
    check(b"", "CS-TRC-001");
    check(b"countersign-trace/1\n", "CS-TRC-002");
    check(b"countersign-trace/2\n{}\n", "CS-TRC-001");
    check(b"countersign-trace/1\n\n", "CS-TRC-001");
    check(text.replace("{\"bytes\":1,", "{\"bytes\": 1,").as_bytes(), "CS-TRC-001");
    check(text.replace("{\"bytes\":1,", "{\"bytes\":1,\"by\":2,").as_bytes(), "CS-TRC-001");
    check(text.replace("\"input\"", "\"entry\"").as_bytes(), "CS-TRC-001");
    let long = input(&"x".repeat(5000));
    assert_eq!(Trace::new(vec![long]).unwrap_err().code(), "CS-TRC-002");
    assert_eq!(Trace::new(Vec::new()).unwrap_err().code(), "CS-TRC-002");
    for wrong in [&b""[..], b"{}", b"[]", b"{\"leaf\":0}"] {
        assert_eq!(Proof::parse(wrong).unwrap_err().code(), "CS-TRC-005");
    }
}

proptest! {
    #[test]
    fn strangers_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let with_form = [b"countersign-trace/1\n".as_slice(), &bytes, b"\n"].concat();
        for bytes in [bytes, with_form] {
            if let Ok(trace) = Trace::parse(&bytes) {
                prop_assert_eq!(trace.to_bytes(), bytes.clone());
            }
            drop(Proof::parse(&bytes));
        }
    }
}
