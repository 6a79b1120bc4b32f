//! The vault from outside: round trips, damage, quota, purging, folders, snapshots.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail the test that they help"
)]

mod damage;
mod folders;
mod purging;
mod round_trips;
mod scene;
mod snapshots;
