//! Thousands of seeds, and a fault at every single operation of a fixed workload.

use super::disk::Locks;
use super::*;

#[track_caller]
fn check_seeds(seeds: std::ops::Range<u64>) {
    let (mut power_cuts, mut errors, mut acknowledged) = (0, 0, 0);
    for seed in seeds {
        let report = run_seed(seed).unwrap_or_else(|failure| panic!("{failure}"));
        power_cuts += report.power_cuts;
        errors += report.errors;
        acknowledged += report.acknowledged;
    }
    // A run in which nothing happened would prove nothing.
    assert!(
        power_cuts > 500 && errors > 100 && acknowledged > 10_000,
        "{power_cuts} {errors} {acknowledged}"
    );
}

#[test]
fn seeds_0_to_1000() {
    check_seeds(0..1000);
}

#[test]
fn seeds_1000_to_2000() {
    check_seeds(1000..2000);
}

#[test]
fn seeds_2000_to_3000() {
    check_seeds(2000..3000);
}

#[test]
fn a_seed_decides_everything() {
    assert_eq!(run_seed(42), run_seed(42));
    assert_ne!(run_seed(42), run_seed(43));
}

/// The fixed workload; answers how many operations it made.
#[track_caller]
fn sweep(fault: Option<(Fault, u64)>, restart: Restart) -> u64 {
    let disk = SimDisk::new(7);
    let mut model = Model::new(Arc::clone(&disk), 11).unwrap();
    let mut rng = Rng::new(13);
    if let Some((fault, at)) = fault {
        disk.inject(fault, at);
    }
    for _ in 0..6 {
        model.live(&mut rng).unwrap_or_else(|what| panic!("{fault:?}: {what}"));
        if disk.has_met_fault() {
            break;
        }
    }
    let operations = disk.operations();
    if let Some((fault, at)) = fault {
        assert_eq!(disk.take_fault(), Some(fault), "operation {at} was not reached");
    }
    for restart in [restart, Restart::PowerLoss] {
        disk.restart(restart);
        model.check().unwrap_or_else(|what| panic!("{fault:?}: {what}"));
    }
    operations
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing() {
    let operations = sweep(None, Restart::PowerLoss);
    assert!(operations > 300, "{operations}");
    for at in 1..=operations {
        sweep(Some((Fault::PowerCut, at)), Restart::PowerLoss);
    }
}

#[test]
fn an_error_at_every_operation_loses_nothing() {
    let operations = sweep(None, Restart::Process);
    for at in 1..=operations {
        sweep(Some((Fault::Error, at)), Restart::Process);
        sweep(Some((Fault::Error, at)), Restart::PowerLoss);
    }
}

#[test]
fn the_second_sequencer_fences_the_first_even_without_locks() {
    let disk = SimDisk::new(1);
    disk.set_locks(Locks::Broken);
    let mut model = Model::new(Arc::clone(&disk), 2).unwrap();
    model.check_fencing().unwrap();
}

#[test]
fn a_writer_is_fenced_though_the_one_that_replaced_it_wrote_nothing_and_its_segment_is_gone() {
    let disk = SimDisk::new(1);
    disk.set_locks(Locks::Broken);
    let mut model = Model::new(Arc::clone(&disk), 2).unwrap();
    model.check_fencing_twice().unwrap();
}
