//! Who may be in the house: how many connections wait without a header, how many are read and answered, and how many bytes
//! of them lie on the disk. What it counts are connections and bytes by the user at the other end; it reads none of them.
//!
//! - The *lobby* holds connections whose header is not there yet. A full lobby makes room at once: of the user who has the
//!   most connections in it, the one that has waited longest is sent away. Whoever sends a header at once is never that.
//! - *Rooms* hold connections with a header that was accepted, until they have their answer. No user has all of them, and
//!   one that becomes free goes to whom has the fewest.
//! - The *spool* is bounded in bytes over all rooms, and no user fills it alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections without an accepted header.
    pub(super) lobby: usize,
    /// Connections that are read and answered.
    pub(super) rooms: usize,
    /// The most rooms of one user.
    pub(super) rooms_of_one: usize,
    /// Connections that wait for a room.
    pub(super) waiting: usize,
    /// The most of one user's.
    pub(super) waiting_of_one: usize,
    /// Bytes on the disk.
    pub(super) spool: u64,
    /// The most bytes of one user.
    pub(super) spool_of_one: u64,
}

/// The house.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    lobby: Vec<Guest>,
    waiting: Vec<Waiting>,
    rooms: BTreeMap<u32, usize>,
    spool: BTreeMap<u32, u64>,
}

#[derive(Debug)]
struct Guest {
    number: u64,
    user: u32,
    /// Dropped to send the guest away.
    stay: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Waiting {
    user: u32,
    room: oneshot::Sender<Room>,
}

/// A place in the lobby, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    places: Arc<Places>,
    number: u64,
}

/// A room, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Places>,
    user: u32,
}

/// Bytes of the spool, until it is dropped.
#[derive(Debug)]
pub(super) struct Spool {
    places: Arc<Places>,
    user: u32,
    bytes: u64,
}

/// What becomes of somebody who asks for a room.
#[derive(Debug)]
pub(super) enum Lodging {
    /// Here it is.
    Now(Room),
    /// It comes through this, when one is free.
    Later(oneshot::Receiver<Room>),
    /// Too many wait for one.
    Full,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// Counters stay counters, whatever panicked beside them.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection into the lobby. The receiver ends when the connection has to give way to another.
    pub(super) fn enter(self: &Arc<Self>, user: u32) -> (Ticket, oneshot::Receiver<()>) {
        let (stay, gone) = oneshot::channel();
        let mut state = self.state();
        let number = state.next;
        state.next = state.next.wrapping_add(1);
        state.lobby.push(Guest { number, user, stay: Some(stay) });
        if state.lobby.len() > self.bounds.lobby {
            state.make_room();
        }
        drop(state);
        (Ticket { places: Arc::clone(self), number }, gone)
    }

    /// Asks for a room for a user.
    pub(super) fn room(self: &Arc<Self>, user: u32) -> Lodging {
        let mut state = self.state();
        if state.has_room_for(user, &self.bounds) {
            *state.rooms.entry(user).or_default() += 1;
            drop(state);
            return Lodging::Now(Room { places: Arc::clone(self), user });
        }
        // Whoever has gone meanwhile does not wait.
        state.waiting.retain(|waiting| !waiting.room.is_closed());
        let of_one = state.waiting.iter().filter(|waiting| waiting.user == user).count();
        if state.waiting.len() >= self.bounds.waiting || of_one >= self.bounds.waiting_of_one {
            return Lodging::Full;
        }
        let (room, later) = oneshot::channel();
        state.waiting.push(Waiting { user, room });
        Lodging::Later(later)
    }

    /// Sets bytes of the spool aside, of which the disk has so many.
    pub(super) fn spool(self: &Arc<Self>, user: u32, bytes: u64, free: u64) -> Option<Spool> {
        let mut state = self.state();
        let all = state.spool.values().fold(bytes, |sum, of| sum.saturating_add(*of));
        let of_one = state.spool.get(&user).copied().unwrap_or(0).saturating_add(bytes);
        if all > self.bounds.spool.min(free) || of_one > self.bounds.spool_of_one {
            return None;
        }
        *state.spool.entry(user).or_default() = of_one;
        drop(state);
        Some(Spool { places: Arc::clone(self), user, bytes })
    }

    /// Gives free rooms to those who wait, as far as they go.
    fn lodge(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            state.waiting.retain(|waiting| !waiting.room.is_closed());
            let fitting = (0..)
                .zip(&state.waiting)
                .filter(|(_, waiting)| state.has_room_for(waiting.user, &self.bounds))
                .min_by_key(|(place, waiting)| (state.rooms_of(waiting.user), *place))
                .map(|(place, _)| place);
            let Some(place) = fitting else { return };
            let next: Waiting = state.waiting.remove(place);
            *state.rooms.entry(next.user).or_default() += 1;
            drop(state);
            // What cannot be handed over any more is dropped here, and free again.
            drop(next.room.send(Room { places: Arc::clone(self), user: next.user }));
        }
    }
}

impl State {
    fn rooms_of(&self, user: u32) -> usize {
        self.rooms.get(&user).copied().unwrap_or(0)
    }

    fn has_room_for(&self, user: u32, bounds: &Bounds) -> bool {
        self.rooms.values().sum::<usize>() < bounds.rooms && self.rooms_of(user) < bounds.rooms_of_one
    }

    /// Sends the longest-waiting guest away of the user who has the most.
    fn make_room(&mut self) {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for guest in self.lobby.iter().filter(|guest| guest.stay.is_some()) {
            *counts.entry(guest.user).or_default() += 1;
        }
        let Some((crowd, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return };
        let mut guests = self.lobby.iter_mut();
        if let Some(oldest) = guests.find(|guest| guest.user == crowd && guest.stay.is_some()) {
            oldest.stay = None;
        }
        self.lobby.retain(|guest| guest.stay.is_some());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.places.state().lobby.retain(|guest| guest.number != self.number);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        {
            let mut state = self.places.state();
            let left = state.rooms_of(self.user).saturating_sub(1);
            if left == 0 {
                state.rooms.remove(&self.user);
            } else {
                state.rooms.insert(self.user, left);
            }
        }
        self.places.lodge();
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let mut state = self.places.state();
        let left = state.spool.get(&self.user).copied().unwrap_or(0).saturating_sub(self.bytes);
        if left == 0 {
            state.spool.remove(&self.user);
        } else {
            state.spool.insert(self.user, left);
        }
    }
}

#[cfg(test)]
mod tests;
