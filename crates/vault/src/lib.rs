//! Content-addressed artefacts, encrypted per tenant, and snapshots of served states.
//!
//! An artefact is named by the SHA-256 of its plaintext ([`statement::Digest`]). It is stored as two objects:
//! the *content* (the bytes in C2SP chunked encryption, followed by the BLAKE3 tree over groups of 256 KiB) under
//! a random name, and a *record* (what the content's name, length, BLAKE3 root and data key are) under a keyed
//! name, sealed under the tenant's key. The record is the commit point of a put: until it is there, nothing is
//! visible; once it is there, everything it names is durable.
//!
//! What is guaranteed:
//! - **Nothing unverified is handed out.** Each group is decrypted, authenticated and compared with the BLAKE3
//!   tree, whose root the sealed record binds to the digest, before a byte of it leaves.
//! - **Destroying a key destroys the content.** [`Vault::destroy_tenant`] and [`Vault::purge`] leave digests (and
//!   every proof about them) valid and make every later read answer [`Error::Purged`].
//! - **Names on disk tell nothing.** A record's name is HMAC-SHA-256 of the digest under a key of the tenant, a
//!   content's name is random: the same artefact of two tenants shares no name and no byte, and nobody without
//!   the key can test whether a known artefact is stored. The tenant's identifier itself and the sizes of
//!   artefacts are visible.
//!
//! What this crate does not do: decide who may read or purge, keep a log, deduplicate between tenants (it would
//! leak who holds what), or map files into memory (a file that another process changes or truncates under a
//! mapping would give two hashes of two contents, or a crash; both hashes here see the same owned bytes).

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::large_stack_arrays,
        reason = "tests cut content into small pieces"
    )
)]

mod attachment;
pub mod blocking;
mod disk;
mod encode;
mod error;
mod folder;
mod intake;
mod manage;
mod put;
mod quota;
mod read;
mod record;
mod ring;
mod seal;
mod secret;
mod snapshot;
mod tenant;
mod tree;
mod vault;

pub use attachment::Attachment;
pub use error::{Error, Part, Result};
pub use folder::{Entry, Manifest, RelativePath, hash_directory, hash_file};
pub use manage::{Listed, Swept, Verified};
pub use put::{Outcome, Stored};
pub use quota::Quota;
pub use read::Artefact;
pub use ring::{FileKeyRing, KeyRing};
pub use secret::{MasterKey, TenantKey};
pub use snapshot::{Component, ComponentState, LineageLimit, Snapshot, SnapshotKind};
pub use tenant::Tenant;
pub use tree::Blake3Root;
pub use vault::{Options, Presence, Protection, Vault};
