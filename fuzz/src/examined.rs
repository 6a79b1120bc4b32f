//! `calibration`: what was examined, and what it is judged by.

use calibration::{Evidence, Table};

pub(crate) fn evidence(data: &[u8]) {
    let Ok(evidence) = Evidence::read(data) else { return };
    if let Ok(bytes) = evidence.to_bytes() {
        let again = Evidence::read(&bytes).expect("what is written is read");
        assert_eq!(again.to_bytes().expect("once it was"), bytes, "to the bit");
    }
    // Without the calibration that it names nothing is judged, and without any nothing passes.
    match evidence.judge(None) {
        Ok(judgement) => {
            assert!(evidence.calibration.is_none());
            assert!(judgement.outcome != calibration::Outcome::Pass);
        }
        Err(_) => assert!(evidence.calibration.is_some()),
    }
}

pub(crate) fn table(data: &[u8]) {
    let Ok(table) = Table::read(data) else { return };
    for stratum in table.strata.values() {
        let usual = stratum.detectors.iter().map(|(name, usual)| (name.clone(), (usual.centre, usual.scale)));
        let fused = stratum.fuse(&usual.collect(), calibration::Level::Align).expect("all are there");
        assert!(!fused.is_nan(), "what is no number is as suspicious as can be");
    }
}
