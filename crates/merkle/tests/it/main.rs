//! The crate against the test vectors of its peers.

#[cfg(test)]
mod peers;
#[cfg(test)]
mod rfc6962;
#[cfg(test)]
mod tessera;
#[cfg(test)]
mod witness;
#[cfg(test)]
mod wycheproof;
