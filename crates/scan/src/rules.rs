//! The rules: what is looked for, how much it weighs, where it comes from, what it does not see.
//!
//! Rules are data (`rules/*.json`, built into the program). The code that looks names a rule by its id and asks it
//! for its parameters; a test demands, for each rule, an example in which it fires and one in which it is silent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::finding::Severity;

/// The catalogues, by file.
const CATALOGUES: &[(&str, &str)] = &[
    ("files.json", include_str!("../rules/files.json")),
    ("pickle.json", include_str!("../rules/pickle.json")),
    ("containers.json", include_str!("../rules/containers.json")),
    ("json.json", include_str!("../rules/json.json")),
    ("tensors.json", include_str!("../rules/tensors.json")),
    ("adapter.json", include_str!("../rules/adapter.json")),
    ("tokenizer.json", include_str!("../rules/tokenizer.json")),
];

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable, unique: `SCAN-` area `-` number.
    pub id: String,
    /// In a few words.
    pub title: String,
    /// How much a finding of this rule weighs.
    pub severity: Severity,
    /// What it finds, and why that matters.
    pub finds: String,
    /// What it does not see.
    pub blind: String,
    /// Weaknesses (CWE), techniques (MITRE ATLAS) and vulnerabilities (CVE) that it is about.
    pub references: Vec<String>,
    /// Thresholds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, f64>,
    /// Names that are allowed, or looked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    rules: Vec<Rule>,
}

/// All rules, by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules(BTreeMap<String, Rule>);

impl Rules {
    /// The rules that are built in.
    ///
    /// # Errors
    /// [`Error::Catalogue`] where a catalogue does not have its form, or two rules have one id.
    pub fn built_in() -> Result<Self, Error> {
        let mut rules = BTreeMap::new();
        for (file, text) in CATALOGUES {
            let wrong = |reason: String| Error::Catalogue { file: (*file).to_owned(), reason };
            let catalogue: Catalogue =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            for rule in catalogue.rules {
                let id = rule.id.clone();
                if rules.insert(id.clone(), rule).is_some() {
                    return Err(wrong(format!("`{id}` stands there twice")));
                }
            }
        }
        Ok(Self(rules))
    }

    /// The rule of that id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.0.get(id)
    }

    /// Every rule, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.values()
    }

    /// A threshold. Where the rule has none of that name it is NaN, which no measure exceeds; the rule's firing
    /// example fails then.
    pub(crate) fn parameter(&self, id: &str, name: &str) -> f64 {
        self.0.get(id).and_then(|rule| rule.parameters.get(name)).copied().unwrap_or(f64::NAN)
    }

    /// A list of names; empty where the rule has none of that name.
    pub(crate) fn list(&self, id: &str, name: &str) -> &[String] {
        self.0.get(id).and_then(|rule| rule.lists.get(name)).map_or(&[], Vec::as_slice)
    }
}

/// Which rules count in a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only these, unless there is none here.
    only: Vec<String>,
    /// Not these, each with the reason.
    ignored: BTreeMap<String, String>,
}

impl Selection {
    /// Only these rules (all, where none is named), less those that are ignored, given as `RULE=REASON`.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::NoReason`].
    pub fn new(rules: &Rules, only: &[String], ignore: &[String]) -> Result<Self, Error> {
        let known = |id: &str| match rules.rule(id) {
            Some(_) => Ok(id.to_owned()),
            None => Err(Error::UnknownRule { id: crate::finding::shown(id) }),
        };
        let only = only.iter().map(|id| known(id)).collect::<Result<_, _>>()?;
        let mut ignored = BTreeMap::new();
        for text in ignore {
            let (id, reason) = text.split_once('=').unwrap_or((text, ""));
            let id = known(id)?;
            if reason.trim().is_empty() {
                return Err(Error::NoReason { id });
            }
            ignored.insert(id, reason.trim().to_owned());
        }
        Ok(Self { only, ignored })
    }

    /// Whether findings of the rule are wanted at all.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == id)
    }

    /// Why the rule is ignored, if it is.
    pub(crate) fn reason(&self, id: &str) -> Option<&str> {
        self.ignored.get(id).map(String::as_str)
    }
}
