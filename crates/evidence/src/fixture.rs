//! A simulated TPM with a worthless key from a published seed, for tests, examples and fuzzing of this and other crates.

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use statement::{Bytes, Digest};

use crate::host::{Pcr, Tpm};
use crate::policy::Policy;
use crate::tpm::name_digest;

/// Sign, restricted, user with authorisation, sensitive data origin, fixed parent, fixed TPM.
pub const ATTRIBUTES: u32 = 0x0005_0072;

/// The simulated TPM.
#[derive(Debug, Clone)]
pub struct Chip {
    key: SigningKey,
    /// What it says that it enforces for its key.
    pub attributes: u32,
}

impl Chip {
    /// The chip with the key of a seed; none where the seed is no scalar, as zeros are not.
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        Some(Self { key: SigningKey::from_slice(seed).ok()?, attributes: ATTRIBUTES })
    }

    /// The key's TPMT_PUBLIC.
    pub fn public(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut out = [0x0023_u16, 0x000b].map(u16::to_be_bytes).concat();
        out.extend(self.attributes.to_be_bytes());
        // No authorisation policy, no symmetric cipher, ECDSA with SHA-256, P-256, no key derivation.
        out.extend([0_u16, 0x0010, 0x0018, 0x000b, 0x0003, 0x0010].map(u16::to_be_bytes).concat());
        for number in point.as_bytes().get(1..).unwrap_or_default().chunks(32) {
            push(&mut out, number);
        }
        out
    }

    /// A TPMS_ATTEST over registers.
    pub fn attest(data: &[u8], pcrs: &[Pcr]) -> Vec<u8> {
        let mut out = 0xff54_4347_u32.to_be_bytes().to_vec();
        out.extend(0x8018_u16.to_be_bytes());
        push(&mut out, &[&[0, 0x0b][..], &[7; 32]].concat());
        push(&mut out, data);
        out.extend(123_456_u64.to_be_bytes());
        out.extend([3_u32, 1].map(u32::to_be_bytes).concat());
        out.push(1);
        out.extend(0x2024_u64.to_be_bytes());
        out.extend(1_u32.to_be_bytes());
        let mut bits = [0_u8; 3];
        for pcr in pcrs {
            if let Some(byte) = bits.get_mut(usize::from(pcr.index / 8)) {
                *byte |= 1 << (pcr.index % 8);
            }
        }
        out.extend([0, 0x0b, 3]);
        out.extend(bits);
        let values: Vec<u8> = pcrs.iter().flat_map(|pcr| *pcr.value.as_bytes()).collect();
        push(&mut out, Digest::of(&values).as_bytes());
        out
    }

    /// A TPMT_SIGNATURE over a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.key.sign(message);
        let mut out = [0x0018_u16, 0x000b].map(u16::to_be_bytes).concat();
        for number in signature.to_bytes().chunks(32) {
            push(&mut out, number);
        }
        out
    }

    /// A quote over the registers 0, 7 and 16 with the data.
    pub fn quote(&self, data: &[u8]) -> Tpm {
        let values: [(u8, &[u8]); 3] = [(0, b"firmware"), (7, b"secure boot"), (16, b"worker")];
        let pcrs = values.map(|(index, value)| Pcr { index, value: Digest::of(value) }).to_vec();
        let attest = Self::attest(data, &pcrs);
        Tpm {
            signature: Bytes::new(self.sign(&attest)),
            attest: Bytes::new(attest),
            certificates: Vec::new(),
            pcrs,
            public: Bytes::new(self.public()),
            simulated: true,
        }
    }

    /// A policy that enrols this chip's key, simulated as it is.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::none_required();
        policy.allow_simulated = true;
        policy.tpm2.simulated_keys.insert(name_digest(&self.public()));
        policy
    }
}

/// A TPM2B.
fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}
