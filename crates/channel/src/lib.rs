//! Connections to whoever holds a named key, and to nobody else.
//!
//! TLS 1.3 with raw public keys (RFC 7250): the side that is called shows an Ed25519 key and proves that it holds it
//! (RFC 8446, section 4.4.3); there are no certificates, no names and no authorities, because the key itself is what an
//! `engine-binding` statement names.
//!
//! * [`ChannelKey`]: made in memory, never written; [`ChannelKey::acceptor`] takes connections with it.
//! * [`connector`]: connects to the holder of one key.
//! * [`boot`]: which start of the machine this is.
//! * [`knock`]: asks which key somebody holds, and sends nothing.
//!
//! What this crate does not do: judge whose key a key is, and tell the caller from other callers.

mod boot;
mod error;
mod key;
mod peer;

pub use boot::boot;
pub use error::Error;
pub use key::ChannelKey;
pub use peer::{connector, knock, server_name};
pub use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
