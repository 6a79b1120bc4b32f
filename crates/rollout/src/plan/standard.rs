//! The plan that is used where nobody wrote another: `policies/rollout.json`.

use super::Plan;
use crate::Error;

impl Plan {
    /// The plan of `policies/rollout.json`: made-up requests, shadow, 1, 5, 25, 50 %, a ramp at 75 %, full, in 15, 30,
    /// 60 and 120 minutes; contexts that are not critical first; three metrics.
    pub fn standard() -> Result<Self, Error> {
        Self::parse(include_bytes!("../../../../policies/rollout.json"))
    }
}
