//! How current a platform is, as those who vouch for it say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A platform's status. What Intel's collateral can say has Intel's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everything is at least as new as the vendor or the policy asks.
    UpToDate,
    /// A TPM's key that the policy lists.
    KeyPinned,
    /// A TPM's key with a certificate under a root that the policy lists.
    KeyRooted,
    /// A TPM's key of which nothing is known: anybody could have made it.
    KeyUnknown,
    /// The policy says nothing to compare versions or measurements with.
    NotCompared,
    /// Mitigations in software are needed.
    SwHardeningNeeded,
    /// The platform's configuration has to be changed.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSwHardeningNeeded,
    /// Older than what the vendor asks.
    OutOfDate,
    /// Older, and its configuration has to be changed.
    OutOfDateConfigurationNeeded,
    /// The machine was launched on an older platform than it runs on now.
    TdRelaunchAdvised,
    /// The same, and its configuration has to be changed.
    TdRelaunchAdvisedConfigurationNeeded,
    /// Its keys were revoked. No policy can allow it.
    Revoked,
}

impl Status {
    /// Whether it counts without a policy that names it.
    pub const fn counts_by_itself(self) -> bool {
        matches!(self, Self::UpToDate | Self::KeyPinned | Self::KeyRooted)
    }

    /// The name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "up-to-date",
            Self::KeyPinned => "key-pinned",
            Self::KeyRooted => "key-rooted",
            Self::KeyUnknown => "key-unknown",
            Self::NotCompared => "not-compared",
            Self::SwHardeningNeeded => "sw-hardening-needed",
            Self::ConfigurationNeeded => "configuration-needed",
            Self::ConfigurationAndSwHardeningNeeded => "configuration-and-sw-hardening-needed",
            Self::OutOfDate => "out-of-date",
            Self::OutOfDateConfigurationNeeded => "out-of-date-configuration-needed",
            Self::TdRelaunchAdvised => "td-relaunch-advised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "td-relaunch-advised-configuration-needed",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
