//! What may pass: impact score, tiers, duties, scopes, and the gates that make tokens.
//!
//! | module | what it answers |
//! |---|---|
//! | [`reliability`] | how often a class of changes fails at worst, given its history |
//! | [`impact`] | the modification impact score, its waterfall, and the tier that follows |
//! | [`quorum`] | how many independent persons stand behind a decision |
//! | [`duties`] | who may do what on which change: Cedar policies, separation of duties by person |
//! | [`gate`] | whether a change may go on: tokens or refusals |
//! | [`compare`] | what another policy would allow or refuse: its tables, its permissions, past decisions asked again |
//! | [`rules`] | whether the tables of a policy hold together; the default policy |
//!
//! Everything here is a function of its arguments: no clock, file, environment or randomness. What cannot be
//! decided is refused.

pub mod compare;
pub mod duties;
pub mod error;
pub mod gate;
pub mod impact;
pub mod quorum;
pub mod reliability;
pub mod rules;

pub use error::{Place, PolicyError};
