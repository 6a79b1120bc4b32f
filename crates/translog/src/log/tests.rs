//! What callers see when the disk fails under the threads.

use std::sync::Arc;

use merkle::Ed25519NoteSigner;

use super::*;
use crate::sim::disk::{Fault, Restart, SimDisk};

const ORIGIN: &str = "log.example/threads";

fn config() -> Config {
    let signer = Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap());
    let key = signer.verifier().clone();
    let mut config = Config::new(ORIGIN, vec![signer], vec![key], Arc::new(|| 5));
    config.segment_bytes = 1 << 16;
    config.publishing = Publishing::OnRequest;
    config
}

#[test]
fn a_failed_fdatasync_stops_everything_until_the_next_open() {
    let disk = SimDisk::new(3);
    let log = Log::create(Arc::clone(&disk) as _, config()).unwrap();
    log.submit(b"kept".to_vec()).unwrap().wait().unwrap();
    // The commit writes, then syncs.
    disk.inject(Fault::Error, disk.operations() + 2);
    let error = log.submit(b"unknown".to_vec()).unwrap().wait().unwrap_err();
    assert_eq!(error.code(), "CS-LOG-002");
    assert_eq!(log.submit(b"more".to_vec()).unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.submit_many(vec![b"more".to_vec()]).unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.publish().unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.entry(0).unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.inclusion_proof(0, 1).unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.sign_head().unwrap_err().code(), "CS-LOG-003");
    assert_eq!(log.size(), 1);
    assert_eq!(log.close().unwrap_err().code(), "CS-LOG-003");

    disk.restart(Restart::Process);
    let log = Log::open(disk, config()).unwrap();
    assert_eq!(log.entry(0).unwrap(), b"kept");
    assert!(log.submit(b"kept".to_vec()).unwrap().wait().unwrap().duplicate);
}

#[test]
fn a_failed_write_and_a_failed_publication_stop_everything_too() {
    for (skipped, expected) in [(1, "CS-LOG-001"), (2, "CS-LOG-002")] {
        let disk = SimDisk::new(3);
        let log = Log::create(Arc::clone(&disk) as _, config()).unwrap();
        disk.inject(Fault::Error, disk.operations() + skipped);
        assert_eq!(log.submit(b"x".to_vec()).unwrap().wait().unwrap_err().code(), expected);
    }
    let disk = SimDisk::new(3);
    let log = Log::create(Arc::clone(&disk) as _, config()).unwrap();
    log.submit(b"kept".to_vec()).unwrap().wait().unwrap();
    disk.inject(Fault::Error, disk.operations() + 1);
    assert_eq!(log.publish().unwrap_err().code(), "CS-LOG-001");
    assert_eq!(log.submit(b"more".to_vec()).unwrap_err().code(), "CS-LOG-003");
}

#[test]
fn a_signer_that_fails_publishes_nothing() {
    struct Broken(Ed25519NoteSigner);
    impl merkle::NoteSigner for Broken {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn key_id(&self) -> [u8; 4] {
            self.0.key_id()
        }
        fn sign(&self, text: &[u8]) -> Result<Vec<u8>, merkle::SignerFailure> {
            if text.starts_with(b"log.example/threads\n0\n") {
                self.0.sign(text)
            } else {
                Err("no token".into())
            }
        }
    }
    let disk = SimDisk::new(3);
    let mut broken = config();
    broken.signers = vec![Arc::new(Broken(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap()))];
    let log = Log::create(disk, broken).unwrap();
    log.submit(b"x".to_vec()).unwrap().wait().unwrap();
    assert_eq!(log.publish().unwrap_err().code(), "CS-LOG-019");
}

#[test]
fn a_closed_queue_refuses_and_a_full_one_lets_through_what_is_taken() {
    let queue = Queue::default();
    let request = || {
        let completion = Arc::new(Completion::default());
        let ticket = Ticket { completion: Arc::clone(&completion) };
        (Request { submissions: vec![Submission::new(vec![1])], reply: Reply(completion) }, ticket)
    };
    let (first, first_ticket) = request();
    let (second, second_ticket) = request();
    queue.push(first, 1).unwrap();
    std::thread::scope(|scope| {
        // Waits until the first is taken.
        let pushed = scope.spawn(|| queue.push(second, 1));
        let taken = queue.take(1).unwrap();
        assert_eq!(taken.len(), 1);
        drop(taken);
        pushed.join().unwrap().unwrap();
    });
    assert_eq!(first_ticket.wait().unwrap_err().code(), "CS-LOG-020");
    queue.abandon(&LogError::Closed);
    assert_eq!(second_ticket.wait().unwrap_err().code(), "CS-LOG-020");
    let (third, _ticket) = request();
    assert_eq!(queue.push(third, 1).unwrap_err().code(), "CS-LOG-020");
    assert!(queue.take(1).is_none());
}
