//! `translog`: opening a log whose files were tampered with.

use std::sync::Arc;

use merkle::Ed25519NoteSigner;
use translog::sim::disk::SimDisk;
use translog::{Config, Log, Publishing, Storage, TileCheck, fsck};

const ORIGIN: &str = "example.com/log";

fn config() -> Config {
    let signer = Arc::new(Ed25519NoteSigner::from_seed(ORIGIN, &[1; 32]).expect("a key"));
    let keys = vec![signer.verifier().clone()];
    let mut config = Config::new(ORIGIN, vec![signer], keys, Arc::new(|| 1_000_000));
    config.segment_bytes = 1 << 14;
    config.publishing = Publishing::OnRequest;
    config.tile_check = TileCheck::Contents;
    config
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// Five bytes each: a file (modulo their number), an offset (2 bytes, from the end with the top bit set), what to
/// do, and a byte to do it with. A log of six entries is tampered with so, and then opened.
pub(crate) fn recovery(data: &[u8]) {
    let disk = SimDisk::new(1);
    let storage = || Arc::clone(&disk) as Arc<dyn Storage>;
    let log = Log::create(storage(), config()).expect("a new log");
    for index in 0..6 {
        log.submit(entry(index)).and_then(translog::Ticket::wait).expect("an entry");
        if index == 3 {
            log.publish().expect("a checkpoint");
        }
    }
    log.close().expect("a closed log");
    let paths = disk.paths();
    for [file, low, high, act, byte] in data.as_chunks::<5>().0.iter().take(64) {
        let path = &paths[usize::from(*file) % paths.len()];
        let place = usize::from(u16::from_le_bytes([*low, *high & 0x7f]));
        disk.tamper(path, |bytes| {
            let place = if high & 0x80 == 0 { place } else { bytes.len().saturating_sub(place) };
            let place = place.min(bytes.len());
            match act % 4 {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, *byte),
                2 => {
                    if let Some(found) = bytes.get_mut(place) {
                        *found ^= byte;
                    }
                }
                _ => {
                    let from = bytes[place..].to_vec();
                    bytes.extend(from.into_iter().take(4_096));
                }
            }
        });
    }
    let keys = config().log_keys;
    drop(fsck(&*storage(), ORIGIN, &keys));
    if let Ok(log) = Log::open(storage(), config()) {
        assert!(log.size() <= 6, "entries that nobody submitted");
        for index in 0..log.size() {
            if let Ok(found) = log.entry(index) {
                assert_eq!(found, entry(index), "an entry was changed and not noticed");
            }
        }
        drop(log.close());
    }
}
