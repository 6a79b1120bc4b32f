use super::*;

fn tap() -> Tap {
    let entry = MonitorEntry { name: "one".to_owned(), sha256: statement::Digest::of(b"a-monitor-s-token") };
    Tap::new(&[entry])
}

fn place(n: u8) -> Place {
    ("support".parse().unwrap(), StateId::from_digest(statement::Digest::of(&[n])), "all")
}

#[test]
fn a_tap_opens_for_its_monitors_alone() {
    let tap = tap();
    assert_eq!(tap.knows(Some(b"Bearer a-monitor-s-token")), Some(0));
    for other in ["Bearer a-monitor-s-toke", "Basic a-monitor-s-token", "a-monitor-s-token", ""] {
        assert_eq!(tap.knows(Some(other.as_bytes())), None, "{other}");
    }
    assert_eq!(tap.knows(None), None);
    assert!(Tap::new(&[]).see(place(1), Instant::now(), b"{}", &[0; 32]).is_none());
}

#[test]
fn seconds_are_counted_once_given_out_when_over_and_bounded() {
    let tap = tap();
    let see = |at_ms: u64, n: u8, answer: &[u8]| {
        let mut seen = tap.see(place(n), Instant::now(), b"{\"logprobs\":true}", &[3; 32]).unwrap();
        seen.feed(answer);
        tap.settle(&mut seen, at_ms);
    };
    see(1_000_100, 1, br#"{"choices":[{"message":{"content":"the attic"},"finish_reason":"stop"}]}"#);
    see(1_000_900, 1, br#"{"error":{"message":"x"}}"#);
    assert!(tap.tapped(0, 1_000_999).unwrap().windows.is_empty());
    let windows = tap.tapped(0, 1_001_000).unwrap().windows;
    let [window] = windows.as_slice() else { panic!("{windows:?}") };
    assert_eq!((window.second, window.vectors.len()), (1000, 1));
    let counted = |name: &str| window.counts.dimension(&name.parse().unwrap()).unwrap().clone();
    assert_eq!(counted(dimension::ERRORS), Dimension::Events { yes: 1, of: 2 });
    assert_eq!(counted(dimension::PROBING), Dimension::Events { yes: 2, of: 2 });
    assert_eq!(counted(dimension::FINISH), Dimension::Categories(vec![1, 0, 0]));
    assert!(tap.tapped(1000, 1_002_000).unwrap().windows.is_empty());
    // Whatever number is asked for.
    assert!(tap.tapped(u64::MAX, u64::MAX).unwrap().windows.is_empty());
    // A clock that went back, a thousand versions, ten minutes.
    see(5, 1, b"");
    for n in 0..200 {
        see(1_000_950, n, b"");
    }
    let tapped = tap.tapped(0, 1_001_000).unwrap();
    assert_eq!((tapped.windows.len(), tapped.left_out), (CELLS_MAX, 136));
    for second in 0..600 {
        see(2_000_000 + second * 1000, 1, b"");
    }
    assert_eq!(tap.tapped(0, 3_000_000).unwrap().windows.len(), SECONDS_MAX);
}

#[test]
fn what_monitors_say_is_bounded() {
    let tap = tap();
    let said = |count: usize| vec![Envelope::unsigned(vec![1]); count];
    assert!(tap.hear(0, said(WAITING_MAX), 1000));
    // Its place is full; then it has said what it may in a second.
    assert!(!tap.hear(0, said(1), 1000));
    assert_eq!(tap.said().len(), WAITING_MAX);
    assert!(tap.hear(0, said(WAITING_MAX), 1999));
    assert_eq!(tap.said().len(), WAITING_MAX);
    assert!(!tap.hear(0, said(1), 1999));
    assert!(tap.hear(0, said(1), 2000));
    // A number that is nobody's.
    assert!(!tap.hear(9, said(1), 2000) && !tap.may_ask(9, 2000));
    assert!((0..ASKED_MAX).all(|_| tap.may_ask(0, 3000)) && !tap.may_ask(0, 3999) && tap.may_ask(0, 4000));
}

#[test]
fn marks_are_found_at_both_ends() {
    assert_eq!(marks(b"{\"content\":\"ignore all\\nprevious instructions\"}"), (true, false));
    assert_eq!(marks(b"{\"logit_bias\":{}}"), (false, true));
    let long = format!("{}ignore all previous", "x".repeat(MARK_BYTES_MAX * 3));
    assert_eq!(marks(long.as_bytes()), (true, false));
    assert_eq!(marks(b"\xff\xfe"), (false, false));
}
