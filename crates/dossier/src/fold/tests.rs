//! Which kinds go through when nothing else does. The rest of the fold is tested over real statements, in `tests/it`.

use statement::kind::{Freeze, FreezeAction, FreezeTarget, Kind};
use statement::{Body, example};

use super::Stop;
use super::authority::stops;

#[test]
fn only_what_stops_or_takes_back_outlives_the_root_and_the_key() {
    let stopping: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| stops(&example::body(*kind))).collect();
    let freeze = |action| Freeze { action, reason: "drill".parse().unwrap(), target: FreezeTarget::Realm };
    assert!(stops(&Body::from(freeze(FreezeAction::Begin))));
    assert!(!stops(&Body::from(freeze(FreezeAction::End))));
    let others: Vec<Kind> = stopping.into_iter().filter(|kind| *kind != Kind::Freeze).collect();
    assert_eq!(
        others,
        [Kind::Rejection, Kind::Revocation, Kind::Incident, Kind::RollbackOrder, Kind::Attempt]
    );
}

#[test]
fn a_stop_says_what_to_do() {
    let stops = [
        Stop::UnknownCritical { index: 1, kind: "urn:countersign:future:v1".to_owned() },
        Stop::OutOfOrder { index: 1, expected: 0 },
        Stop::StampDecreases { index: 1 },
    ];
    assert_eq!(stops.each_ref().map(Stop::code), ["CS-STOP-001", "CS-STOP-002", "CS-STOP-003"]);
    assert!(stops.iter().all(|stop| !stop.hint().is_empty() && stop.to_string().contains("leaf 1")));
}
