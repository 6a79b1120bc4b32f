//! Which arm a unit is in: a hash decides, so that every gateway decides alike and nothing has to be remembered.
//!
//! A unit is what stays the same from request to request: a user, a session, a key. It falls into one of a million
//! buckets. The candidate takes buckets from below, its control takes as many from above: so 1 % is inside 5 % is
//! inside 25 %, and a unit that has the candidate keeps it through every larger share. Only where the share grows above
//! one half does the candidate take over units that were control.

use statement::digest::Digest;

/// Buckets in all, so that shares are parts per million.
pub const BUCKETS: u32 = 1_000_000;

/// What sets this rollout's buckets apart from those of others. It is kept for the rollout's whole life: another salt
/// is another assignment of everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A salt from 32 random bytes, drawn by the caller.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A salt from the digest of the release order, where it may be public.
    pub const fn of(order: Digest) -> Self {
        Self(*order.as_bytes())
    }
}

/// What a unit gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The new state, compared.
    Candidate,
    /// The old state, compared.
    Control,
    /// The old state, not compared.
    Rest,
}

/// The share of units that get the candidate, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// A share; none above a million.
    pub fn from_ppm(ppm: u32) -> Option<Self> {
        (ppm <= BUCKETS).then_some(Self(ppm))
    }

    /// In parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The share of the control arm: as large as the candidate's, or what is left.
    pub const fn control_ppm(self) -> u32 {
        if self.0 <= BUCKETS / 2 { self.0 } else { BUCKETS - self.0 }
    }
}

/// The unit's bucket, from 0 to 999,999.
pub fn bucket(salt: &Salt, unit: &[u8]) -> u32 {
    let length = (unit.len() as u64).to_be_bytes();
    let digest = Digest::of_parts(&[b"countersign rollout assignment v1\0", &salt.0, &length, unit]);
    let word = digest.as_bytes().first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
    // The high half of the product is below a million and as even as 64 bits allow.
    let scaled = (u128::from(word) * u128::from(BUCKETS)) >> 64;
    u32::try_from(scaled).unwrap_or(BUCKETS - 1)
}

/// The arm of a bucket at a share.
pub const fn arm_of_bucket(bucket: u32, share: Share) -> Arm {
    if bucket < share.0 {
        Arm::Candidate
    } else if bucket >= BUCKETS - share.control_ppm() {
        Arm::Control
    } else {
        Arm::Rest
    }
}

/// The unit's arm at a share.
pub fn arm(salt: &Salt, unit: &[u8], share: Share) -> Arm {
    arm_of_bucket(bucket(salt, unit), share)
}
