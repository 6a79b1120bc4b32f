//! Whose artefacts they are.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A tenant's identifier: 1 to 63 characters of `a-z`, `0-9` and `-`, not starting with `-`.
///
/// It is a path component of what is stored and so is visible to whoever sees the storage; choose a pseudonym
/// where a customer's name is a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tenant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::TenantName { text: text.to_owned() }) }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({})", self.0)
    }
}
