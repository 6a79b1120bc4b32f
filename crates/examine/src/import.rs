//! Results of other tools as evidence: lm-evaluation-harness, garak and Inspect.
//!
//! Read are the figures, and from files of any size in bounded memory: what is used must have its type and stand once,
//! everything else is skipped. Figures are held against limits that the caller gives; without a limit nothing is decided.
//!
//! What this module does not do: believe the file. Nobody here has seen the tool run, or knows that it ran on this change.
//! What follows is therefore labelled as imported wherever it shows, can speak against a change, and never for it alone.

mod garak;
mod harness;
mod inspect;
mod members;

use serde::{Deserialize, Serialize};
use stats::{decision::Interval, exact};

use crate::error::{Error, shown};
use crate::verdict::Outcome;

/// Which tool wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `results_*.json` of lm-evaluation-harness 0.4.
    LmEval,
    /// `*.report.jsonl` of garak.
    Garak,
    /// A log of Inspect as JSON (`inspect log dump`).
    Inspect,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LmEval, Self::Garak, Self::Inspect];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LmEval => "lm-eval",
            Self::Garak => "garak",
            Self::Inspect => "inspect",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What a file of another tool says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// The tool.
    pub tool: Format,
    /// Its version, as it says.
    pub version: Option<String>,
    /// What it says it was run on.
    pub about: Option<String>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What is incomplete in it.
    pub gaps: Vec<String>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// `task/acc,none`, `probe/detector`, `scorer/accuracy`.
    pub name: String,
    /// Its value; of counts the share.
    pub value: f64,
    /// What was counted, where the tool counts: how many were right of how many.
    pub counts: Option<(u64, u64)>,
    /// Which way is better, where the tool says so; otherwise the higher.
    pub better: Better,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower, as with errors: the least that it must be says nothing about it.
    Lower,
}

/// The least that a figure must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The figure.
    pub name: String,
    /// The least value.
    pub least: f64,
}

impl std::str::FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text.rsplit_once('=').and_then(|(name, least)| {
            let least: f64 = least.trim().parse().ok()?;
            (!name.trim().is_empty() && least.is_finite())
                .then(|| Self { name: name.trim().to_owned(), least })
        });
        parsed.ok_or_else(|| refused(format!("`{}` is not NAME=NUMBER", shown(text))))
    }
}

/// Figures held against limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Pass only where every limit is shown to be held and nothing is incomplete.
    pub outcome: Outcome,
    /// Why, a line for each limit and each gap.
    pub reasons: Vec<String>,
}

/// Most bytes of a file.
pub const BYTES_MAX: usize = 64 << 20;
/// Most figures of a file.
const FIGURES_MAX: usize = 100_000;
/// Longest name, in bytes.
const NAME_MAX: usize = 512;
/// Most gaps that are told.
const GAPS_MAX: usize = 1_000;
/// The level of the bounds of counts.
const ALPHA: f64 = 0.05;

impl Imported {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Import`].
    pub fn read(format: Format, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(refused("it has more than 64 MiB"));
        }
        let imported = match format {
            Format::LmEval => harness::read(bytes)?,
            Format::Garak => garak::read(bytes)?,
            Format::Inspect => inspect::read(bytes)?,
        };
        if imported.figures.is_empty() {
            return Err(refused("there is no figure in it"));
        }
        Ok(imported.bounded())
    }

    /// Whether this can have been [read](Self::read) from a file of that format, where somebody else says that it was.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self, format: Format) -> Result<(), String> {
        let is_short = |text: &str| text.chars().nth(200).is_none() && !text.chars().any(char::is_control);
        if self.tool != format {
            return Err("it read the file as another tool's".to_owned());
        }
        if ![&self.version, &self.about].into_iter().flatten().all(|text| is_short(text)) {
            return Err("a name in the file is longer than it is told".to_owned());
        }
        if self.gaps.len() > GAPS_MAX + 1
            || self.gaps.iter().any(|gap| gap.len() > 4 * NAME_MAX || gap.chars().any(char::is_control))
        {
            return Err("what is incomplete in the file is told at greater length than it may be".to_owned());
        }
        if self.figures.is_empty() || self.figures.len() > FIGURES_MAX {
            return Err("there are no figures, or more than may be".to_owned());
        }
        let is_right = |figure: &Figure| {
            let of_counts = |(right, of): (u64, u64)| {
                right <= of && *figure == Figure::of_counts(figure.name.clone(), right, of)
            };
            figure.name.len() <= NAME_MAX && figure.value.is_finite() && figure.counts.is_none_or(of_counts)
        };
        match self.figures.iter().find(|figure| !is_right(figure)) {
            Some(figure) => Err(format!("the figure `{}` is none", shown(&figure.name))),
            None => Ok(()),
        }
    }

    /// What is incomplete is told up to a number.
    fn bounded(mut self) -> Self {
        let more = self.gaps.len().saturating_sub(GAPS_MAX);
        self.gaps.truncate(GAPS_MAX);
        if more > 0 {
            self.gaps.push(format!("{more} more such gaps"));
        }
        self
    }

    /// Whether the file says that this is what the tool was run on.
    ///
    /// # Errors
    /// [`Error::Import`] where it says otherwise, or nothing.
    pub fn ran_on(&self, name: &str) -> Result<(), Error> {
        match &self.about {
            Some(about) if *about == short(name) => Ok(()),
            Some(about) => Err(refused(format!("it was run on `{about}`, not on `{}`", short(name)))),
            None => Err(refused(format!("it does not say that it was run on `{}`", short(name)))),
        }
    }

    /// Holds the figures against limits. Counts are judged by their exact bounds, 95 % each; other figures as they are.
    pub fn held(&self, limits: &[Limit]) -> Held {
        let (mut reasons, mut failed, mut open) = (Vec::new(), false, limits.is_empty());
        if limits.is_empty() {
            reasons.push("no limit was given: figures alone decide nothing".to_owned());
        }
        for limit in limits {
            let Some(figure) = self.figures.iter().find(|figure| figure.name == limit.name) else {
                open = true;
                reasons.push(format!("there is no figure `{}`", shown(&limit.name)));
                continue;
            };
            let bounds = figure.bounds();
            let name = shown(&figure.name);
            if figure.better == Better::Lower {
                open = true;
                reasons
                    .push(format!("{name}: {}, and the lower is better: no least decides it", figure.value));
                continue;
            }
            let told = match figure.counts {
                Some((right, of)) => format!(
                    "{name}: {right} of {of}, {:.1} to {:.1} % (each bound 95 %)",
                    bounds.lower * 100.0,
                    bounds.upper * 100.0
                ),
                None => format!("{name}: {}", figure.value),
            };
            if bounds.upper < limit.least {
                failed = true;
                reasons.push(format!("{told}, below {}", limit.least));
            } else if bounds.lower < limit.least {
                open = true;
                reasons.push(format!("{told}: too few to show at least {}", limit.least));
            } else {
                reasons.push(format!("{told}, at least {}", limit.least));
            }
        }
        open |= !self.gaps.is_empty();
        reasons.extend(self.gaps.iter().cloned());
        let outcome = match (failed, open) {
            (true, _) => Outcome::Fail,
            (false, true) => Outcome::Inconclusive,
            (false, false) => Outcome::Pass,
        };
        Held { outcome, reasons }
    }
}

impl Figure {
    fn of_counts(name: String, right: u64, of: u64) -> Self {
        Self {
            name,
            value: right as f64 / of.max(1) as f64,
            counts: Some((right, of)),
            better: Better::Higher,
        }
    }

    fn bounds(&self) -> Interval {
        let as_is = Interval { lower: self.value, upper: self.value };
        let Some((right, of)) = self.counts else { return as_is };
        let of_none = Interval { lower: 0.0, upper: 1.0 };
        if of == 0 {
            return of_none;
        }
        match (exact::lower_bound(right, of, ALPHA), exact::upper_bound(right, of, ALPHA)) {
            (Ok(lower), Ok(upper)) => Interval { lower, upper },
            _ => of_none,
        }
    }
}

/// Adds a figure within the limits.
fn add(figures: &mut Vec<Figure>, figure: Figure) -> Result<(), Error> {
    if figures.len() >= FIGURES_MAX {
        return Err(refused("there are more than 100,000 figures"));
    }
    if figure.name.len() > NAME_MAX {
        return Err(refused(format!("the name `{}` is too long", shown(&figure.name))));
    }
    if !figure.value.is_finite() {
        return Err(refused(format!("`{}` is no number", shown(&figure.name))));
    }
    figures.push(figure);
    Ok(())
}

/// A short text of the file's.
fn short(text: &str) -> String {
    shown(text).chars().take(200).collect()
}

fn unreadable(cause: &serde_json::Error) -> Error {
    refused(shown(&cause.to_string()))
}

fn refused(reason: impl Into<String>) -> Error {
    Error::Import { reason: reason.into() }
}

#[cfg(test)]
mod tests;
