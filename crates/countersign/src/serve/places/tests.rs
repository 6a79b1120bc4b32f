//! Who gives way to whom.

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Bounds, Lodging, Places, Room};

const BOUNDS: Bounds = Bounds {
    lobby: 4,
    rooms: 4,
    rooms_of_one: 3,
    waiting: 3,
    waiting_of_one: 2,
    spool: 100,
    spool_of_one: 60,
};

const ALICE: u32 = 1;
const MALLORY: u32 = 2;

fn has_gone(guest: &mut Receiver<()>) -> bool {
    guest.try_recv() == Err(TryRecvError::Closed)
}

#[track_caller]
fn now(lodging: Lodging) -> Room {
    match lodging {
        Lodging::Now(room) => room,
        Lodging::Later(_) | Lodging::Full => panic!("no room is free"),
    }
}

#[track_caller]
fn later(lodging: Lodging) -> Receiver<Room> {
    match lodging {
        Lodging::Later(later) => later,
        Lodging::Now(_) | Lodging::Full => panic!("a room was free, or none to wait for"),
    }
}

#[test]
fn the_longest_waiting_of_the_largest_crowd_gives_way() {
    let places = Places::new(BOUNDS);
    let (_alice, mut alice) = places.enter(ALICE);
    let mut crowd: Vec<_> = (0..3).map(|_| places.enter(MALLORY)).collect();
    assert!(!crowd.iter_mut().any(|(_, guest)| has_gone(guest)));
    let (_more, mut more) = places.enter(MALLORY);
    let gone: Vec<bool> = crowd.iter_mut().map(|(_, guest)| has_gone(guest)).collect();
    assert_eq!(gone, [true, false, false]);
    assert!(!has_gone(&mut more) && !has_gone(&mut alice));
}

#[test]
fn alone_in_the_house_the_newest_stays() {
    let places = Places::new(BOUNDS);
    let mut guests: Vec<_> = (0..5).map(|_| places.enter(ALICE)).collect();
    let gone: Vec<bool> = guests.iter_mut().map(|(_, guest)| has_gone(guest)).collect();
    assert_eq!(gone, [true, false, false, false, false]);
    // Who leaves makes room, too.
    drop(guests.pop());
    let (_next, _) = places.enter(ALICE);
    assert!(!has_gone(&mut guests.get_mut(1).unwrap().1));
}

#[test]
fn no_user_has_all_the_rooms_and_a_free_one_goes_to_whom_has_the_fewest() {
    let places = Places::new(BOUNDS);
    let mut crowd: Vec<_> = (0..3).map(|_| now(places.room(MALLORY))).collect();
    let mut waiting = later(places.room(MALLORY));
    let alice = now(places.room(ALICE));
    let mut second = later(places.room(ALICE));
    drop(crowd.pop());
    // It goes to Alice, though Mallory has asked before.
    let second = second.try_recv().unwrap();
    assert!(waiting.try_recv().is_err());
    drop((alice, second));
    assert!(waiting.try_recv().is_ok());
}

#[test]
fn who_has_gone_while_waiting_keeps_no_room() {
    let places = Places::new(BOUNDS);
    let mut rooms: Vec<_> = (0..3).map(|_| now(places.room(MALLORY))).collect();
    rooms.push(now(places.room(ALICE)));
    drop(later(places.room(ALICE)));
    let mut last = later(places.room(ALICE));
    drop(rooms.pop());
    assert!(last.try_recv().is_ok());
    // Handed over and dropped unread: free again.
    drop(last);
    drop(now(places.room(ALICE)));
}

#[test]
fn no_user_has_all_the_places_to_wait_at() {
    let places = Places::new(BOUNDS);
    let _rooms: Vec<_> = (0..3).map(|_| now(places.room(MALLORY))).collect();
    let waiting: Vec<_> = (0..2).map(|_| later(places.room(MALLORY))).collect();
    assert!(matches!(places.room(MALLORY), Lodging::Full));
    let _alice = now(places.room(ALICE));
    let _second = later(places.room(ALICE));
    assert!(matches!(places.room(ALICE), Lodging::Full));
    // Who no longer waits has no place.
    drop(waiting);
    drop(later(places.room(MALLORY)));
}

#[test]
fn the_spool_is_bounded_for_all_and_for_each_and_by_the_disk() {
    let places = Places::new(BOUNDS);
    assert!(places.spool(MALLORY, 61, 1000).is_none());
    let first = places.spool(MALLORY, 60, 1000).unwrap();
    assert!(places.spool(MALLORY, 1, 1000).is_none());
    assert!(places.spool(ALICE, 41, 1000).is_none());
    assert!(places.spool(ALICE, 40, 99).is_none());
    let _second = places.spool(ALICE, 40, 1000).unwrap();
    assert!(places.spool(ALICE, u64::MAX, u64::MAX).is_none());
    drop(first);
    assert!(places.spool(MALLORY, 60, 1000).is_some());
}
