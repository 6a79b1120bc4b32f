//! What the detectors of one monitor say together.
//!
//! One detector alone makes something notable at most; what is serious or critical has to be seen by several kinds of
//! detector, since each has its own blind spots and its own false alarms. A detector that could not look is not one that
//! saw nothing.

use statement::id::Name;

use crate::drift::Level;

/// What a detector says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which detector.
    pub detector: Name,
    /// What it saw; none if it could not look.
    pub level: Option<Level>,
}

/// What they say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consensus {
    /// The level that at least the quorum of detectors reaches; or notable, where any detector reaches more.
    pub level: Level,
    /// How many detectors could not look.
    pub blind: usize,
}

/// The level that at least `quorum` detectors reach. One that is alone counts as notable.
pub fn consensus(findings: &[Finding], quorum: usize) -> Consensus {
    let mut levels: Vec<Level> = findings.iter().filter_map(|finding| finding.level).collect();
    levels.sort_unstable_by(|left, right| right.cmp(left));
    let blind = findings.len() - levels.len();
    let highest = levels.first().copied().unwrap_or(Level::Quiet).min(Level::Notable);
    let agreed = levels.get(quorum.max(1) - 1).copied().unwrap_or(Level::Quiet);
    Consensus { level: agreed.max(highest), blind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(levels: &[Option<Level>]) -> Vec<Finding> {
        let of = |(at, level): (usize, &Option<Level>)| Finding {
            detector: format!("detector-{at}").parse().unwrap(),
            level: *level,
        };
        levels.iter().enumerate().map(of).collect()
    }

    #[test]
    fn one_detector_alone_is_notable_at_most() {
        let alone = findings(&[Some(Level::Critical), Some(Level::Quiet), None]);
        assert_eq!(consensus(&alone, 2), Consensus { level: Level::Notable, blind: 1 });
        let two = findings(&[Some(Level::Critical), Some(Level::Serious), None]);
        assert_eq!(consensus(&two, 2).level, Level::Serious);
        assert_eq!(consensus(&[], 2), Consensus { level: Level::Quiet, blind: 0 });
        assert_eq!(consensus(&two, 0).level, Level::Critical);
    }
}
