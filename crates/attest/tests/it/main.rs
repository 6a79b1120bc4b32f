//! Hosts that are asked: a TPM that is simulated by `swtpm`, and a kernel and a Gramine that are simulated here.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod swtpm;
#[cfg(test)]
mod tcti;
