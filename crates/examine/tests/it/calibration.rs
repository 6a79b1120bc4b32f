//! The calibration that comes beside the program.

use examine::Kind;
use examine::verdict::Table;

/// It is for every kind of change that the range makes, and holds out enough of each that a change can pass at the level of
/// the depths. Quantisations of the range are judged as weights, and it makes no retrieval indexes.
#[test]
fn the_calibration_of_the_range_can_be_read() {
    let bytes = include_bytes!("../../../../assets/calibrations/range-small.json");
    let table = Table::read(bytes).unwrap();
    let alpha = examine::depth::Table::built_in().unwrap().alpha;
    for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Quantised | Kind::Retrieval)) {
        let stratum = &table.strata[kind.name()];
        let held_out = f64::from(u32::try_from(stratum.fused.len()).unwrap());
        // Distillations have 19 held out, for some of the honest ones are inconclusive: the least that suffices at 1/20.
        assert!(1.0 / (held_out + 1.0) <= alpha, "{}: {held_out}", kind.name());
    }
}
