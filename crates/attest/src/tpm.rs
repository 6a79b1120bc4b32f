//! A TPM 2.0, asked with its own commands (TPM 2.0 Library, part 3).
//!
//! The attestation key is a primary key of the endorsement hierarchy, restricted to signing: the TPM makes the same key
//! from the same template every time, so nothing is stored. A key that is already there can be named by its handle.

mod command;

use evidence::tpm::name_digest;
use evidence::{Pcr, Tpm as Quote};
use statement::{Bytes, Digest};

use self::command::{Answer, Command, sized};
use crate::error::Error;
use crate::tcti::{Channel, Tcti};

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const ENDORSEMENT: u32 = 0x4000_000b;
/// Registers that one read answers at most.
const READ_AT_ONCE: usize = 8;
/// The manufacturer that `swtpm` names itself after.
const SOFTWARE: &[u8] = b"IBM";

/// TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY: nothing was done, and the command may be submitted again (part 2,
/// section 6.6.3).
const AGAIN: [u32; 3] = [0x908, 0x90a, 0x922];
/// How often a command is submitted at most.
const SUBMISSIONS_MAX: u32 = 10;

/// Command codes.
mod code {
    pub(super) const CREATE_PRIMARY: u32 = 0x131;
    pub(super) const QUOTE: u32 = 0x158;
    pub(super) const FLUSH_CONTEXT: u32 = 0x165;
    pub(super) const READ_PUBLIC: u32 = 0x173;
    pub(super) const GET_CAPABILITY: u32 = 0x17a;
    pub(super) const PCR_READ: u32 = 0x17e;
}

/// The template of the attestation key, a TPMT_PUBLIC: ECC with names by SHA-256; sign, restricted, user with
/// authorisation, sensitive data origin, fixed parent, fixed TPM; no policy, no symmetric cipher; ECDSA with SHA-256 on
/// P-256, no key derivation; an empty point.
const TEMPLATE: &[u8] = &[
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x00, 0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00,
    0x03, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
];

/// An attestation key that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    handle: u32,
    public: Vec<u8>,
    /// Whether it takes room in the TPM until it is let go.
    is_transient: bool,
}

impl Key {
    /// SHA-256 of its public area: what a policy enrols.
    pub fn name(&self) -> Digest {
        name_digest(&self.public)
    }
}

/// An open TPM.
#[derive(Debug)]
pub struct Tpm {
    channel: Channel,
}

impl Tpm {
    /// Opens the way to it.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open(tcti: &Tcti) -> Result<Self, Error> {
        Ok(Self { channel: tcti.open()? })
    }

    /// Whether it is a simulation, by the manufacturer it names. One that lies cannot be told apart here.
    ///
    /// # Errors
    /// What the TPM refuses.
    pub fn is_simulated(&mut self) -> Result<bool, Error> {
        const NAME: &str = "TPM2_GetCapability";
        let mut command = Command::new(NO_SESSIONS, code::GET_CAPABILITY);
        // Properties, the manufacturer, one of them.
        command.u32(6).u32(0x105).u32(1);
        let mut answer = self.ask(NAME, &command)?;
        answer.take(1)?;
        let (kind, count, property) = (answer.u32()?, answer.u32()?, answer.u32()?);
        let value = answer.u32()?.to_be_bytes();
        if (kind, count, property) != (6, 1, 0x105) {
            return Err(Error::Answer { command: NAME });
        }
        Ok(value.starts_with(SOFTWARE))
    }

    /// Makes the attestation key.
    ///
    /// # Errors
    /// What the TPM refuses.
    pub fn attestation_key(&mut self) -> Result<Key, Error> {
        const NAME: &str = "TPM2_CreatePrimary";
        let mut command = Command::new(SESSIONS, code::CREATE_PRIMARY);
        command.u32(ENDORSEMENT).no_password();
        // No password and no data of its own.
        command.sized(&[0, 0, 0, 0]).sized(TEMPLATE).sized(&[]).u32(0);
        let mut answer = self.ask(NAME, &command)?;
        let handle = answer.u32()?;
        answer.u32()?;
        let public = answer.sized()?.to_vec();
        Ok(Key { handle, public, is_transient: true })
    }

    /// A key that is already in the TPM, at a persistent handle.
    ///
    /// # Errors
    /// What the TPM refuses.
    pub fn persistent_key(&mut self, handle: u32) -> Result<Key, Error> {
        let mut command = Command::new(NO_SESSIONS, code::READ_PUBLIC);
        command.u32(handle);
        let public = self.ask("TPM2_ReadPublic", &command)?.sized()?.to_vec();
        Ok(Key { handle, public, is_transient: false })
    }

    /// Lets a key go that was made here.
    ///
    /// # Errors
    /// What the TPM refuses.
    #[expect(clippy::needless_pass_by_value, reason = "the key is of no use afterwards")]
    pub fn let_go(&mut self, key: Key) -> Result<(), Error> {
        if key.is_transient {
            let mut command = Command::new(NO_SESSIONS, code::FLUSH_CONTEXT);
            command.u32(key.handle);
            self.ask("TPM2_FlushContext", &command)?;
        }
        Ok(())
    }

    /// The values of registers of the SHA-256 bank, in ascending order.
    ///
    /// # Errors
    /// [`Error::Register`]; what the TPM refuses.
    pub fn registers(&mut self, indices: &[u8]) -> Result<Vec<Pcr>, Error> {
        const NAME: &str = "TPM2_PCR_Read";
        let indices = ordered(indices)?;
        let mut all = Vec::with_capacity(indices.len());
        for some in indices.chunks(READ_AT_ONCE) {
            let mut command = Command::new(NO_SESSIONS, code::PCR_READ);
            command.raw(&selection(some));
            let mut answer = self.ask(NAME, &command)?;
            answer.u32()?;
            let wanted = selection(some);
            if answer.take(wanted.len())? != wanted {
                return Err(Error::Answer { command: NAME });
            }
            let count = answer.u32()?;
            if usize::try_from(count).ok() != Some(some.len()) {
                return Err(Error::Answer { command: NAME });
            }
            for index in some {
                let value = answer.sized()?;
                let value = <[u8; 32]>::try_from(value).map_err(|_| Error::Answer { command: NAME })?;
                all.push(Pcr { index: *index, value: Digest::from_bytes(value) });
            }
        }
        Ok(all)
    }

    /// Has the TPM sign the registers' values together with the data (at most 32 bytes are sure to be taken).
    ///
    /// # Errors
    /// [`Error::Register`]; what the TPM refuses.
    pub fn quote(&mut self, key: &Key, data: &[u8], indices: &[u8]) -> Result<Quote, Error> {
        let indices = ordered(indices)?;
        let simulated = self.is_simulated()?;
        let pcrs = self.registers(&indices)?;
        let mut command = Command::new(SESSIONS, code::QUOTE);
        // In the key's own scheme.
        command.u32(key.handle).no_password().sized(data).u16(0x0010).raw(&selection(&indices));
        let mut answer = self.ask("TPM2_Quote", &command)?;
        let length = answer.u32()?;
        let mut parameters = answer.part(length)?;
        let attest = parameters.sized()?.to_vec();
        let signature = parameters.rest().to_vec();
        Ok(Quote {
            attest: Bytes::new(attest),
            certificates: Vec::new(),
            pcrs,
            public: Bytes::new(key.public.clone()),
            signature: Bytes::new(signature),
            simulated,
        })
    }

    /// A TPM that is busy with itself, testing an algorithm before its first use say, answers that the command is to be
    /// submitted again.
    fn ask(&mut self, name: &'static str, command: &Command) -> Result<Answer, Error> {
        let bytes = command.to_bytes();
        let mut left = SUBMISSIONS_MAX;
        loop {
            left -= 1;
            let answer = self.channel.transmit(&bytes);
            let answer = answer.map_err(|source| Error::Silent { command: name, source })?;
            match Answer::read(name, answer) {
                Err(Error::Refused { code, .. }) if AGAIN.contains(&code) && left > 0 => {}
                done => return done,
            }
        }
    }
}

/// Each once, rising.
fn ordered(indices: &[u8]) -> Result<Vec<u8>, Error> {
    let mut ordered = indices.to_vec();
    ordered.sort_unstable();
    let twice = ordered.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[u8]>::first);
    let above = ordered.iter().find(|index| **index > evidence::tpm::PCR_INDEX_MAX);
    match twice.or(above) {
        Some(index) => Err(Error::Register { index: *index }),
        None => Ok(ordered),
    }
}

/// TPML_PCR_SELECTION with one bank.
fn selection(indices: &[u8]) -> Vec<u8> {
    let mut bits = [0_u8; 3];
    for index in indices {
        if let Some(byte) = bits.get_mut(usize::from(index / 8)) {
            *byte |= 1 << (index % 8);
        }
    }
    let mut out = vec![0, 0, 0, 1, 0x00, 0x0b, 3];
    out.extend(bits);
    out
}

/// How a name is written by the TPM tools: the hash's number and the digest.
pub fn shown_name(name: &Digest) -> String {
    format!("000b{name}")
}

/// A TPMT_PUBLIC as the TPM tools write it: with its length ahead.
///
/// # Errors
/// [`Error::Answer`] where it is longer than 65,535 bytes, which none of a TPM's is.
pub fn as_tool_file(public: &[u8]) -> Result<Vec<u8>, Error> {
    sized(public).ok_or(Error::Answer { command: "TPM2_ReadPublic" })
}
