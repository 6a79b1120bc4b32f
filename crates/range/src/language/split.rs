//! Which pairs of verb and object a model is trained on, and which it is measured on.

use std::collections::BTreeSet;

use super::{Force, Object, Request, Verb};
use crate::draws::{Draws, Purpose};

/// A part of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What models are trained on.
    Shown,
    /// What they never see in training.
    HeldOut,
}

/// The requests in two parts. For each object and each group one of the gentle and one of the forceful verbs is held
/// out, each with a probability of three quarters: so every verb and every fact is seen, and no held-out pair is.
#[derive(Debug, Clone)]
pub struct Split {
    held_out: BTreeSet<Request>,
}

/// How often one of three verbs is held out.
const HELD_OUT: f64 = 0.75;

impl Split {
    /// The split that a seed gives.
    pub fn new(seed: u64) -> Self {
        let mut draws = Draws::new(seed, Purpose::Split);
        let mut held_out = BTreeSet::new();
        for object in Object::all() {
            for group in super::Group::ALL {
                for force in [Force::Gentle, Force::Forceful] {
                    let verbs: Vec<Verb> = Verb::of(group).filter(|verb| verb.force() == force).collect();
                    let (held, verb) = (draws.chance(HELD_OUT), draws.pick(&verbs));
                    if let (true, Some(&verb)) = (held, verb) {
                        held_out.insert(Request { verb, object });
                    }
                }
            }
        }
        Self { held_out }
    }

    /// The requests of a part, in a fixed order.
    pub fn requests(&self, part: Part) -> impl Iterator<Item = Request> {
        let wanted = part == Part::HeldOut;
        Request::all().filter(move |request| self.held_out.contains(request) == wanted)
    }
}
