use super::{LOCKED, Wait};
use crate::failure::{Done, Failure};

fn locked() -> Failure {
    Failure::new(LOCKED, "the log is locked", "wait")
}

#[test]
fn a_writer_that_ends_is_waited_for() {
    let mut left = 3;
    let done: Done<u32> = Wait::of(600).until_free(
        || {
            left -= 1;
            if left == 0 { Ok(7) } else { Err(locked()) }
        },
        |_| false,
    );
    assert_eq!(done, Ok(7));
}

#[test]
fn nothing_else_is_waited_for() {
    for (seconds, failure, hopeless) in [
        (600, Failure::usage("another fault"), false),
        (600, locked(), true),
        (600, locked().and(Failure::usage("and another")), false),
        (0, locked(), false),
    ] {
        let mut tries = 0;
        let done: Done = Wait::of(seconds).until_free(
            || {
                tries += 1;
                Err(failure.clone())
            },
            |_| hopeless,
        );
        assert_eq!((done, tries), (Err(failure), 1));
    }
}
