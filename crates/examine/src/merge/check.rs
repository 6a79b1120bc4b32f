//! Whether what somebody else says of a merge can be: it took the steps that were asked for, and goes on after none at which
//! it had to halt.

use super::{Bias, Merging, Plan, Protection, Step};
use crate::error::shown;
use crate::finding::Weight;

/// Longest text that is told, in letters.
const TEXT_MAX: usize = 1 << 14;

impl Merging {
    /// Whether this can have come of a plan for parents of these names, at a limit of the refusals that may be lost. Said
    /// with the weights in place: there are some where nothing halted, and none otherwise.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self, plan: &Plan, parents: &[&str], drift_max: f64) -> Result<(), String> {
        if self.halted.is_none() != self.weights.is_some() {
            return Err("it halted and has weights, or has neither".to_owned());
        }
        self.check_recipe(plan, parents.len())?;
        self.check_words()?;
        let mut expected: Vec<String> =
            parents.iter().map(|name| format!("observe {}", shown(name))).collect();
        for (joining, share, _) in self.recipe.steps(&plan.shares) {
            let name = parents.get(joining).copied().unwrap_or_default();
            expected.push(format!("join {} by {share}", shown(name)));
        }
        expected.push("emergence".to_owned());
        let is_begun = self.steps.iter().zip(&expected).all(|(step, name)| step.step == *name);
        if !is_begun || self.steps.len() > expected.len() {
            return Err("it took other steps than were asked for".to_owned());
        }
        match &self.halted {
            None if self.steps.len() < expected.len() => {
                return Err("it left out steps that were asked for".to_owned());
            }
            Some(halt) if self.steps.last().is_none_or(|last| last.step != halt.step) => {
                return Err("it halted at a step that is not its last".to_owned());
            }
            _ => {}
        }
        if self.observed.len() != self.steps.len().min(parents.len()) {
            return Err("it observed other parents than it says".to_owned());
        }
        self.check_going_on(parents.len(), drift_max)
    }

    fn check_recipe(&self, plan: &Plan, parents: usize) -> Result<(), String> {
        let (made, asked) = (&self.recipe, &plan.recipe);
        made.check(parents).map_err(|error| error.to_string())?;
        let is_same = made.method == asked.method
            && made.density.to_bits() == asked.density.to_bits()
            && made.seed == asked.seed
            && made.only == asked.only
            && (plan.bias != Bias::None || made.coefficients == asked.coefficients)
            && (plan.protection != Protection::None || made.protected == asked.protected);
        let is_whole = plan.protection == Protection::None
            || made.protected.is_some()
            || self.steps.len() <= parents && self.halted.is_some();
        if is_same && is_whole { Ok(()) } else { Err("it followed another recipe".to_owned()) }
    }

    /// What is shown to people has nothing in it that would not show.
    fn check_words(&self) -> Result<(), String> {
        let words = self.steps.iter().flat_map(|step| &step.found);
        let is_plain =
            |text: &String| text.chars().nth(TEXT_MAX).is_none() && !text.chars().any(char::is_control);
        let are_plain = words.chain(self.halted.iter().map(|halt| &halt.why)).all(is_plain);
        if are_plain { Ok(()) } else { Err("its words cannot be shown".to_owned()) }
    }

    /// No step but the last may be one at which it had to halt; nor the last, where it did not.
    fn check_going_on(&self, parents: usize, drift_max: f64) -> Result<(), String> {
        let on = self.steps.len() - usize::from(self.halted.is_some());
        for (at, step) in self.steps.iter().enumerate().take(on) {
            if step.lost > step.at_risk
                || step.at_risk > step.asked && step.asked > 0
                || step.right > step.asked
            {
                return Err(format!("the counts of `{}` do not add up", shown(&step.step)));
            }
            let is_grave = self.observed.get(at).is_some_and(|examination| {
                examination.findings.iter().any(|finding| finding.weight >= Weight::Suspicion)
            });
            if is_grave || at < parents && !step.found.is_empty() {
                return Err(format!("it goes on after what `{}` found", shown(&step.step)));
            }
            if at >= parents && !lost(step, drift_max)?.is_empty() {
                return Err(format!("it goes on after the refusals that `{}` lost", shown(&step.step)));
            }
        }
        match (&self.emergent, &self.halted) {
            (None, None) => Err("it does not say what emerged".to_owned()),
            (Some(emergent), None) => match emergent.against(drift_max).map_err(|error| error.to_string())? {
                against if against.is_empty() => Ok(()),
                _ => Err("it goes on after what emerged".to_owned()),
            },
            (_, Some(_)) => Ok(()),
        }
    }
}

fn lost(step: &Step, drift_max: f64) -> Result<String, String> {
    step.lost_too_many(drift_max).map_err(|error| error.to_string())
}
