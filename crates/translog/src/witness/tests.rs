//! The witness when its disk fails.

use std::sync::Arc;

use merkle::{Checkpoint, Ed25519Cosigner, Ed25519NoteSigner, NoteSigner};

use super::*;
use crate::sim::disk::{Fault, Restart, SimDisk};

const ORIGIN: &str = "log.example/watched";

fn signer() -> Ed25519NoteSigner {
    Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn request(root: u8) -> Vec<u8> {
    let head = Checkpoint::new(ORIGIN, 1, merkle::leaf_hash(&[root])).unwrap();
    let head = head.sign(&[&signer() as &dyn NoteSigner]).unwrap();
    AddCheckpoint::new(0, Vec::new(), head).unwrap().to_bytes()
}

fn open(disk: &Arc<SimDisk>) -> Result<WitnessStore, LogError> {
    let cosigner = Arc::new(Ed25519Cosigner::from_seed("witness.example", &[2; 32]).unwrap());
    let logs = vec![WatchedLog::new(ORIGIN, vec![signer().verifier().clone()])];
    WitnessStore::open(Arc::clone(disk) as _, vec![cosigner], logs, Arc::new(|| 5000))
}

/// Whatever goes wrong while the first of two forks is answered, a witness never cosigns both.
#[test]
fn a_witness_cosigns_one_of_two_forks_whatever_happens_to_its_disk() {
    for (fault, restart) in [
        (Fault::PowerCut, Restart::PowerLoss),
        (Fault::Error, Restart::PowerLoss),
        (Fault::Error, Restart::Process),
    ] {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            drop(open(&disk).unwrap());
            let before = disk.operations();
            for operation in 1.. {
                let disk = SimDisk::new(seed);
                drop(open(&disk).unwrap());
                assert_eq!(disk.operations(), before);
                disk.inject(fault, before + operation);
                let mut signed = 0;
                if let Ok(store) = open(&disk) {
                    let answer = store.add_checkpoint(&request(1));
                    signed += u64::from(answer.status == 200);
                    if answer.status != 200 {
                        assert_eq!(answer.status, 500);
                        assert_eq!(store.add_checkpoint(&request(1)).status, 500);
                    }
                }
                let met = disk.take_fault();
                disk.restart(restart);
                let store = open(&disk).unwrap();
                let known = store.size(ORIGIN).unwrap();
                assert!(signed <= known, "a cosignature was forgotten: operation {operation} of seed {seed}");
                if known == 0 {
                    assert_eq!(store.add_checkpoint(&request(2)).status, 200);
                } else {
                    assert_eq!(store.add_checkpoint(&request(2)).status, 409);
                }
                if met.is_none() {
                    assert!(operation > 8, "the sweep ended early");
                    break;
                }
            }
        }
    }
}
