//! Evidence of real hosts, from other projects' packages, and of a TPM's structures made here; every one that is
//! accepted has twins with a flipped bit that are refused.

#[cfg(all(test, feature = "dcap"))]
mod dcap;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod gpu;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod snp;
#[cfg(test)]
mod tpm;
