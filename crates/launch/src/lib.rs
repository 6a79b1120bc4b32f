//! Starts an engine on files whose digests were checked, and stands before it as its only entrance.
//!
//! * [`Placed`]: the files of a served state in a private folder, each checked on the descriptor that stays open.
//! * [`Program`]: the engine's binary, hashed on the descriptor that is executed.
//! * [`Launched`]: the running engine, and the channel ([`channel::ChannelKey`]) that leads to it.
//!
//! Whoever signs an `engine-binding` statement about it says with what it was started; a gateway that has the statement
//! talks to the holder of the channel's key and to nobody else.
//!
//! Invariant: the engine is reached over the channel alone, and no longer than its files are those that were checked.
//!
//! What this crate does not do: read a vault, sign, decide what may be served, or keep the engine's own account from
//! changing what runs under it: an engine that is not trusted at all needs a box of its own.

mod error;
mod front;
mod launched;
mod place;
mod program;

pub use error::Error;
pub use front::Callers;
pub use launched::{Entrance, Kind, Launched, Plan};
pub use place::Placed;
pub use program::{Program, arguments_digest, filled};
