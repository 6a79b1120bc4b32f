//! Keys that sign statements and checkpoints: file keys sealed with a passphrase, and the seam for keys that live
//! elsewhere.
//!
//! A [`Signer`] signs whole [`Message`]s, in as many rounds as it needs. A [`FileKey`] answers at once; its
//! [`KeyFile`] keeps it on disk. People sign what they have [`review`]ed. [`LogKey`] and [`WitnessKey`] sign the
//! log's checkpoints.
//!
//! What this crate does not do: ask for a passphrase, decide who may sign what, or check the signatures of others
//! (the trust root and the dossier do). It keeps secrets in memory that is wiped when dropped; it does not lock
//! pages against swapping or forbid core dumps, which is for the machine's owner to set.

mod bundle;
mod error;
mod file_key;
mod key_file;
mod model;
mod note;
mod passphrase;
mod pem;
mod review;
mod secret;
mod signer;

pub use self::bundle::sign_bundle;
pub use error::{DeviceFailure, SignerError};
pub use file_key::FileKey;
pub use key_file::{KEY_FILE_BYTES_MAX, KEY_FILE_FORMAT, KeyFile, Protection, Stretching};
pub use model::sign_model;
pub use note::{LogKey, WitnessKey};
pub use passphrase::{PASSPHRASE_CHARACTERS_MIN, Passphrase};
pub use pem::public_pem;
pub use review::{Pending, Reviewed, Signed, Signing, begin, countersign, review, sign_statement};
pub use secret::FileScheme;
pub use signer::{Message, Parcel, Progress, ROUNDS_MAX, Round, Signer};
