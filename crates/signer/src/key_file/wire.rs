//! The bytes of a key file.
//!
//! A secret in clear never passes through the JSON code, whose memory is not wiped: it is cut out of the bytes
//! before they are parsed, and put into them after they are encoded. Base64 needs no escapes, so it stands in the
//! file as it is.

use serde::{Deserialize, Serialize};
use statement::json::{self, ShapeError, Value};
use statement::{Bytes, PublicKey};
use zeroize::Zeroizing;

use super::{KEY_FILE_BYTES_MAX, KEY_FILE_FORMAT, Kdf, Kept, KeyFile, Stretching};
use crate::error::SignerError;
use crate::secret::{FileScheme, SEED_BASE64, Seed};

const UNSEALED_MARK: &[u8] = b"\"unsealed\":\"";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<Bytes>,
    format: String,
    kdf: KdfForm,
    public: Bytes,
    scheme: FileScheme,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsealed: Option<Bytes>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KdfForm {
    Argon2id(Argon2idForm),
    None,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Argon2idForm {
    lanes: u32,
    memory_kib: u32,
    passes: u32,
    salt: Bytes,
}

/// What the tag covers: everything but `check` and `sealed`.
#[derive(Serialize)]
struct Head<'a> {
    format: &'static str,
    kdf: KdfForm,
    public: &'a Bytes,
    scheme: FileScheme,
}

impl KdfForm {
    fn of(kdf: &Kdf) -> Self {
        let Stretching { lanes, memory_kib, passes } = kdf.stretching;
        Self::Argon2id(Argon2idForm { lanes, memory_kib, passes, salt: Bytes::new(kdf.salt.to_vec()) })
    }
}

/// The associated data of a sealed file.
pub(super) fn sealed_head(scheme: FileScheme, public: &PublicKey, kdf: &Kdf) -> Result<Vec<u8>, SignerError> {
    let head = Head { format: KEY_FILE_FORMAT, kdf: KdfForm::of(kdf), public: &public.public, scheme };
    json::to_canonical(&head).map_err(|_| SignerError::Library("encoding the key file"))
}

/// The file's canonical bytes, in memory that is wiped.
pub(super) fn to_bytes(file: &KeyFile) -> Result<Zeroizing<Vec<u8>>, SignerError> {
    let failed = || SignerError::Library("encoding the key file");
    let (kdf, check, sealed, unsealed) = match &file.kept {
        Kept::Sealed { kdf, check, sealed } => {
            (KdfForm::of(kdf), Some(Bytes::new(check.to_vec())), Some(Bytes::new(sealed.to_vec())), None)
        }
        // The place of the secret, as long as it.
        Kept::Unsealed(_) => (KdfForm::None, None, None, Some(Bytes::new(Seed::zero().as_bytes().to_vec()))),
    };
    let form = File {
        check,
        format: KEY_FILE_FORMAT.to_owned(),
        kdf,
        public: file.public.public.clone(),
        scheme: file.scheme,
        sealed,
        unsealed,
    };
    let mut bytes = Zeroizing::new(json::to_canonical(&form).map_err(|_| failed())?);
    if let Kept::Unsealed(seed) = &file.kept {
        let place = unsealed_place(&mut bytes).ok_or_else(failed)?;
        place.copy_from_slice(seed.to_base64().as_slice());
    }
    Ok(bytes)
}

/// Reads a file; every refusal names the member.
pub(super) fn parse(bytes: &[u8]) -> Result<KeyFile, SignerError> {
    if bytes.len() > KEY_FILE_BYTES_MAX {
        return Err(SignerError::Oversize { limit: KEY_FILE_BYTES_MAX });
    }
    let mut bytes = Zeroizing::new(bytes.to_vec());
    let seed = cut_unsealed(&mut bytes)?;
    let value = json::parse_canonical(&bytes, KEY_FILE_BYTES_MAX).map_err(SignerError::Json)?;
    check_format(&value)?;
    let file: File = json::from_value(&value).map_err(SignerError::Shape)?;
    let public = PublicKey { public: file.public, scheme: file.scheme.scheme() };
    public.check().map_err(|_| member("public", "is no key of the scheme"))?;
    let kept = match file.kdf {
        KdfForm::Argon2id(form) => {
            let stretching = Stretching::new(form.memory_kib, form.passes, form.lanes)?;
            let salt = exactly("salt", Some(&form.salt))?;
            let check = exactly("check", file.check.as_ref())?;
            let sealed = exactly("sealed", file.sealed.as_ref())?;
            if file.unsealed.is_some() {
                return Err(member("unsealed", "stands in a file whose `kdf` says that it is sealed"));
            }
            Kept::Sealed { kdf: Kdf { stretching, salt }, check, sealed }
        }
        KdfForm::None => {
            if file.sealed.is_some() {
                return Err(member("sealed", "stands in a file whose `kdf` is `none`"));
            }
            if file.check.is_some() {
                return Err(member("check", "stands in a file whose `kdf` is `none`"));
            }
            let seed = seed.ok_or_else(|| SignerError::Shape(ShapeError::missing_member("unsealed")))?;
            Kept::Unsealed(seed)
        }
    };
    Ok(KeyFile { scheme: file.scheme, public, kept })
}

const fn member(member: &'static str, reason: &'static str) -> SignerError {
    SignerError::Member { member, reason }
}

/// Another format has other members, so this is looked at before the shape is.
fn check_format(value: &Value) -> Result<(), SignerError> {
    let Value::Object(members) = value else {
        return Err(SignerError::Shape(ShapeError::wrong_type("expected an object")));
    };
    match members.get("format") {
        Some(Value::String(format)) if format == KEY_FILE_FORMAT => Ok(()),
        Some(Value::String(format)) => {
            let found = format.chars().take(64).flat_map(char::escape_default).collect();
            Err(SignerError::Format { found })
        }
        Some(_) => Err(member("format", "is no text")),
        None => Err(SignerError::Shape(ShapeError::missing_member("format"))),
    }
}

fn exactly<const N: usize>(name: &'static str, bytes: Option<&Bytes>) -> Result<[u8; N], SignerError> {
    let bytes = bytes.ok_or_else(|| SignerError::Shape(ShapeError::missing_member(name)))?;
    bytes.as_slice().try_into().map_err(|_| member(name, "has not the length that the format says"))
}

/// The secret in clear, replaced in `bytes` by as many bytes that mean nothing.
fn cut_unsealed(bytes: &mut [u8]) -> Result<Option<Seed>, SignerError> {
    if !bytes.windows(UNSEALED_MARK.len()).any(|window| window == UNSEALED_MARK) {
        return Ok(None);
    }
    let refused = || member("unsealed", "is not the base64 of 32 bytes");
    let place = unsealed_place(bytes).ok_or_else(refused)?;
    let seed = Seed::from_base64(place).ok_or_else(refused)?;
    place.copy_from_slice(Seed::zero().to_base64().as_slice());
    Ok(Some(seed))
}

/// Where the base64 of the secret in clear stands: after its member's name, up to the quotation mark.
fn unsealed_place(bytes: &mut [u8]) -> Option<&mut [u8]> {
    let mark = bytes.windows(UNSEALED_MARK.len()).position(|window| window == UNSEALED_MARK)?;
    let (_, rest) = bytes.split_at_mut_checked(mark.checked_add(UNSEALED_MARK.len())?)?;
    let (place, after) = rest.split_at_mut_checked(SEED_BASE64)?;
    (after.first() == Some(&b'"')).then_some(place)
}
