use super::*;

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[test]
fn answers_are_joined_in_order() {
    for total in [0, 1, 2, 255, 256, 257, 1_000] {
        for count in [1, 2, 3, 8] {
            let doubled = |run: Vec<usize>| run.into_iter().map(|item| item * 2).collect::<Vec<_>>();
            let expected: Vec<usize> = (0..total).map(|item| item * 2).collect();
            assert_eq!(
                in_runs((0..total).collect(), threads(count), |run| Ok(doubled(run))).unwrap(),
                expected
            );
            let mut taken = Vec::new();
            let take = |batch: Vec<usize>| {
                taken.extend(batch);
                Ok(())
            };
            in_order((0..total).collect(), threads(count), doubled, take).unwrap();
            assert_eq!(taken, expected);
        }
    }
}

#[test]
fn the_first_error_is_the_answer() {
    let refuse = |number| AuditError::ProofsForm { number };
    let work = |run: Vec<u64>| match run.iter().find(|item| **item % 100 == 70) {
        Some(item) => Err(refuse(*item)),
        None => Ok(run),
    };
    for count in [1, 2, 5] {
        let error = in_runs((0..1_000).collect(), threads(count), work).unwrap_err();
        assert!(matches!(error, AuditError::ProofsForm { number: 70 }), "{error}");
        let take = |batch: Vec<u64>| if batch.contains(&600) { Err(refuse(600)) } else { Ok(()) };
        let error = in_order((0..1_000).collect(), threads(count), |batch| batch, take).unwrap_err();
        assert!(matches!(error, AuditError::ProofsForm { number: 600 }), "{error}");
    }
}

#[test]
fn a_thread_that_ends_early_is_told() {
    let lost = |_: Vec<u64>| -> Result<Vec<u64>, AuditError> { panic!("a thread that ends early") };
    assert!(matches!(in_runs(vec![1], threads(2), lost), Err(AuditError::Worker)));
    let lost = |batch: Vec<u64>| -> Vec<u64> {
        if batch.contains(&700) { panic!("a thread that ends early") } else { batch }
    };
    for count in [1, 3] {
        let answer = in_order((0..2_000).collect(), threads(count), lost, |_| Ok(()));
        assert!(matches!(answer, Err(AuditError::Worker)));
    }
}
