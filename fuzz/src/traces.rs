//! `trace`: steps of workers and proofs of them.

use trace::{Proof, Trace};

pub(crate) fn file(data: &[u8]) {
    if let Ok(trace) = Trace::parse(data) {
        assert_eq!(trace.to_bytes(), data, "what is read is written as it was");
        let proof = trace.prove(trace.size() - 1).expect("the last step");
        proof.verify(&trace.root(), trace.size()).expect("the root it has");
    }
}

pub(crate) fn proof(data: &[u8]) {
    if let Ok(proof) = Proof::parse(data) {
        let bytes = proof.to_bytes().expect("what is read is written");
        assert_eq!(Proof::parse(&bytes).expect("what is written is read"), proof);
    }
}
