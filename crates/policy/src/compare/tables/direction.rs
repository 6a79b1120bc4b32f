//! Which way a member of the tables moves what is allowed.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use statement::kind::{BindingLevel, CalibrationStep, Isolation, Level, LevelFloor, Tier, ValueFloor};

use crate::compare::Shift;

/// The direction of a member from one value to another; unclear where it is not known.
pub(super) fn of(place: &[String], then: Option<&Value>, now: Option<&Value>) -> Shift {
    known(place, then, now).unwrap_or(Shift::Unclear)
}

fn known(place: &[String], then: Option<&Value>, now: Option<&Value>) -> Option<Shift> {
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    Some(match place.as_slice() {
        // Fewer statements would take effect; a finding against a change could be among them.
        ["limits", "clock_ahead_max_ms" | "clock_behind_max_ms"] => {
            Some(reversed(number(then, now)?)).filter(|shift| *shift == Shift::Looser)?
        }
        ["automatic_drift_ppm_max"]
        | [
            "limits",
            "approval_max_ms" | "finding_max_ms" | "grant_max_ms" | "order_admit_max_ms"
            | "order_serve_max_ms",
        ] => reversed(number(then, now)?),
        // None listed: any will do.
        ["calibrations"] => fewer_of_any(&set(then)?, &set(now)?),
        ["impact", "calibration"] => calibration(then?, now?)?,
        ["impact", "cuts" | "impact_floors" | "reliability_floors"] => {
            let floors = |value| -> Option<Vec<(i64, Tier)>> {
                Some(read::<Vec<ValueFloor>>(value)?.into_iter().map(|it| (it.from, it.tier)).collect())
            };
            floors_moved(&floors(then?)?, &floors(now?)?)?
        }
        ["impact", "level_floors"] => {
            let floors = |value| -> Option<Vec<(Level, Tier)>> {
                Some(read::<Vec<LevelFloor>>(value)?.into_iter().map(|it| (it.level, it.tier)).collect())
            };
            floors_moved(&floors(then?)?, &floors(now?)?)?
        }
        [
            "impact",
            "offset" | "weight_depth" | "weight_reliability" | "weight_scope" | "weight_undetectability",
        ]
        | ["impact", "depth" | "undetectability", _] => number(then, now)?,
        ["modification_evidence", _] => more_of(&set(then)?, &set(now)?),
        // A worker that is not listed gives nothing that counts, and whoever finds something against a change is heard.
        ["workers", _] => fewer_of(&set(then)?, &set(now)?),
        ["tiers", _, rest @ ..] => tier(rest, then, now)?,
        _ => return None,
    })
}

fn tier(member: &[&str], then: Option<&Value>, now: Option<&Value>) -> Option<Shift> {
    Some(match member {
        ["approvals" | "examiners"] => number(then, now)?,
        ["families"] => {
            // None are counted where nothing is said.
            let families = |value: Option<&Value>| value.map_or(Some(0), Value::as_u64);
            by(&families(then)?, &families(now)?)
        }
        ["automated"] => reversed(by(&then?.as_bool()?, &now?.as_bool()?)),
        ["binding"] => by(&read::<BindingLevel>(then?)?, &read::<BindingLevel>(now?)?),
        ["capacities" | "evidence"] | ["worker", "boundaries"] => more_of(&set(then)?, &set(now)?),
        ["worker", "attested_by"] => fewer_of_any(&set(then)?, &set(now)?),
        ["worker", "isolation"] => {
            // No rule, no box: what a person looked at has none.
            let isolation = |value: Option<&Value>| value.map_or(Some(Isolation::Manual), read);
            by(&isolation(then)?, &isolation(now)?)
        }
        _ => return None,
    })
}

/// What rises asks for more. The same is the same in other words, as an empty list where there was none.
fn by<T: Ord>(then: &T, now: &T) -> Shift {
    match now.cmp(then) {
        Ordering::Less => Shift::Looser,
        Ordering::Equal => Shift::Otherwise,
        Ordering::Greater => Shift::Tighter,
    }
}

fn number(then: Option<&Value>, now: Option<&Value>) -> Option<Shift> {
    let of = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    Some(by(&of(then?)?, &of(now?)?))
}

/// Of what lets more as it rises.
const fn reversed(shift: Shift) -> Shift {
    match shift {
        Shift::Looser => Shift::Tighter,
        Shift::Tighter => Shift::Looser,
        Shift::Unclear | Shift::Otherwise | Shift::Same => shift,
    }
}

/// The entries of a list, in which order says nothing; none where there is no list.
fn set(value: Option<&Value>) -> Option<BTreeSet<String>> {
    let Some(value) = value else { return Some(BTreeSet::new()) };
    value.as_array()?.iter().map(|entry| entry.as_str().map(str::to_owned)).collect()
}

/// Every entry is asked for: only what keeps them all is tighter.
fn more_of(then: &BTreeSet<String>, now: &BTreeSet<String>) -> Shift {
    safe_where(then, now, now.is_superset(then))
}

/// Every entry is let: only what adds none is tighter.
fn fewer_of(then: &BTreeSet<String>, now: &BTreeSet<String>) -> Shift {
    safe_where(then, now, now.is_subset(then))
}

/// One of the entries is asked for, or nothing where there are none: only what adds none is tighter.
fn fewer_of_any(then: &BTreeSet<String>, now: &BTreeSet<String>) -> Shift {
    safe_where(then, now, !now.is_empty() && (then.is_empty() || now.is_subset(then)))
}

fn safe_where(then: &BTreeSet<String>, now: &BTreeSet<String>, is_tighter: bool) -> Shift {
    match (then == now, is_tighter) {
        (true, _) => Shift::Otherwise,
        (false, true) => Shift::Tighter,
        (false, false) => Shift::Looser,
    }
}

/// Floors are steps: they are held against each other at every place where one of them begins.
fn floors_moved<T: Ord + Copy>(then: &[(T, Tier)], now: &[(T, Tier)]) -> Option<Shift> {
    let at = |floors: &[(T, Tier)], place: T| {
        floors.iter().filter(|(from, _)| *from <= place).map(|(_, tier)| *tier).max().unwrap_or(Tier::Minimal)
    };
    looser_first(then.iter().chain(now).map(|(from, _)| by(&at(then, *from), &at(now, *from))))
}

/// The same of the calibration. Below its first step nothing is ever asked of it.
fn calibration(then: &Value, now: &Value) -> Option<Shift> {
    let (then, now) = (read::<Vec<CalibrationStep>>(then)?, read::<Vec<CalibrationStep>>(now)?);
    let at = |steps: &[CalibrationStep], z: i64| {
        let step = steps.iter().rev().find(|step| step.from_z <= z).or_else(|| steps.first());
        step.map(|step| step.log10_milli)
    };
    looser_first(then.iter().chain(&now).map(|step| by(&at(&then, step.from_z), &at(&now, step.from_z))))
}

/// The looser comes first.
fn looser_first(shifts: impl Iterator<Item = Shift>) -> Option<Shift> {
    shifts.min()
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}
