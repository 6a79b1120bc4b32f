//! The gateway over real connections: to engines that a test plays word for word, and to the engine of this project. The
//! realm is the auditor's fixture: real signatures, checkpoints and witnesses, a clock that moves when told to.

#[cfg(test)]
mod bound;
#[cfg(test)]
mod client;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod house;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rollouts;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod verifying;
