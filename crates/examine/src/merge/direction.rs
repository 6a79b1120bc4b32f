//! The direction of the residual stream in which prompts that are to be refused differ from others.

use model::tap::{Recorder, Site};

use super::recipe::Protected;
use super::refused;
use crate::error::Error;
use crate::subject::Subject;
use crate::suite::{Expect, Suite};

/// Most prompts of each kind.
const PROMPTS_MAX: usize = 64;
/// Prompts of each kind below which a mean means little.
const PROMPTS_MIN: usize = 8;

/// The direction in the base, from the suites' prompts.
pub(super) fn of(base: &Subject, suites: &[Suite]) -> Result<Protected, Error> {
    let mut sides: [Vec<Vec<u32>>; 2] = [Vec::new(), Vec::new()];
    let failed = |source: model::Error| Error::BaseModel { source: Box::new(source) };
    for suite in suites {
        for case in &suite.cases {
            let side = usize::from(matches!(case.expect, Expect::Refuse));
            if let Some(prompts) = sides.get_mut(side).filter(|prompts| prompts.len() < PROMPTS_MAX) {
                prompts.push(base.prompt(case, suite.framing).map_err(failed)?.tokens);
            }
        }
    }
    let [harmless, harmful] = &sides;
    if harmless.len() < PROMPTS_MIN || harmful.len() < PROMPTS_MIN {
        return Err(refused(
            "a direction takes at least eight prompts that are to be refused, and eight others",
        ));
    }
    let (good, bad) = (mean(base, harmless).map_err(failed)?, mean(base, harmful).map_err(failed)?);
    let apart: Vec<f64> = bad.iter().zip(&good).map(|(bad, good)| bad - good).collect();
    let length = apart.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length.is_nan() || length <= f64::MIN_POSITIVE {
        return Err(refused("the base tells prompts that are to be refused from no others"));
    }
    Ok(Protected { direction: apart.into_iter().map(|x| (x / length) as f32).collect() })
}

/// The mean of what stands after the last layer at the last token.
fn mean(base: &Subject, prompts: &[Vec<u32>]) -> Result<Vec<f64>, model::Error> {
    let layer = base.model.config().layers.saturating_sub(1);
    let mut sum = vec![0.0; base.model.config().hidden];
    for prompt in prompts {
        let mut recorder = Recorder::new(move |site| site == Site::Residual { layer });
        base.model.observe(&[prompt.as_slice()], None, &mut recorder)?;
        let values = recorder.values.values().flatten().next_back();
        let last = values.and_then(|values| values.rows().last().map(<[f32]>::to_vec)).unwrap_or_default();
        sum.iter_mut().zip(last).for_each(|(sum, value)| *sum += f64::from(value));
    }
    let count = prompts.len().max(1) as f64;
    Ok(sum.into_iter().map(|value| value / count).collect())
}
