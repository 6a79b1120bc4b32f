//! `policy`: rules, and policies in Cedar.

use policy::duties::{Duties, schema_digest};
use statement::json::{self, Limits};
use statement::kind::PolicyRules;

pub(crate) fn policy_rules(data: &[u8]) {
    let Ok(value) = json::parse(data, Limits::signed(1 << 20)) else { return };
    let Ok(rules) = json::from_value::<PolicyRules>(&value) else { return };
    if policy::rules::validate(&rules).is_ok() {
        assert!(rules.tiers.values().all(|tier| tier.approvals >= 1 && tier.examiners >= 1));
    }
}

pub(crate) fn policy_cedar(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(duties) = Duties::load(text, &schema_digest()) {
        assert!(duties.controls().len() <= text.len());
    }
}
