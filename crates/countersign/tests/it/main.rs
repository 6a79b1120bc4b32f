//! End to end: the built program, in folders of its own, as a person or a script uses it.

mod bad_input;
mod faults;
mod go_reader;
mod house;
mod json;
mod log;
mod realm;
mod way;
