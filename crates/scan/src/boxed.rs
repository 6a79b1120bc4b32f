//! What a worker is asked to scan, and what it answers. Both sides read it strictly.
//!
//! The worker gets all files of a folder, so that what belongs together is read together, and a list of those that it is
//! to look at: several workers share the work.

use serde::{Deserialize, Serialize};

use crate::look::Looked;

/// What is there under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Held {
    /// The worker's input of this number, from zero.
    Input(u32),
    /// A link that was not followed, and what it points to.
    Link(String),
    /// Neither file, folder nor link.
    Special(String),
    /// Could not be opened, and why.
    Unreadable(String),
}

/// A name with its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The path as the report names it.
    pub path: String,
    /// What is there.
    pub held: Held,
}

/// What is to be scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Everything that is at hand.
    pub entries: Vec<Named>,
    /// Which of them are to be looked at, by number, in order.
    pub examine: Vec<u32>,
    /// The id of every rule that must be in force, in order: supervisor and worker look for the same.
    pub rules: Vec<String>,
}

/// What a worker says, in messages: `Begun` and `Looked` for each entry that it is to look at, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Said {
    /// It begins with this entry. Whoever waits for the rest in vain knows which file it was.
    Begun(u32),
    /// What it saw in it.
    Looked {
        /// The entry.
        entry: u32,
        /// What was seen.
        looked: Looked,
        /// The licence that the file names, for the bill of materials.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        licence: Option<String>,
    },
}
