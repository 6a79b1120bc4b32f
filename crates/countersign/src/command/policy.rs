//! `countersign policy`: the policy in force, another one, and what differs.

use std::path::Path;
use std::process::ExitCode;

use ::policy::compare::{Comparison, Shift, Wording};
use ::policy::gate::Retried;
use serde_json::{Value, json};
use statement::kind::{Policy, PolicyRules};

use super::Setting;
use crate::act;
use crate::busy;
use crate::cli::PolicyCommand;
use crate::failure::{Done, Failure};
use crate::home::read_bounded;
use crate::show;

/// `countersign policy`.
pub(super) fn policy(setting: &Setting, command: PolicyCommand) -> Done<ExitCode> {
    match command {
        PolicyCommand::Show => {
            let realm = setting.read()?;
            let Some(policy) = realm.ledger().world().policy() else {
                return Err(dossier::Refusal::new(dossier::Code::NoPolicy, "policy").into());
            };
            let rules = serde_json::to_string_pretty(&policy.body.rules)
                .map_err(|error| Failure::outside(error, "report this as a defect"))?;
            let text = format!("policy {}\n\n{}\n\n{rules}\n", policy.id, policy.body.cedar);
            setting.print(&json!({ "statement": policy.id, "policy": policy.body }), &text);
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Check { file, rules } => {
            let cedar = text_file(&file)?;
            let duties = ::policy::duties::Duties::load(&cedar, &::policy::duties::schema_digest())?;
            if let Some(rules) = rules {
                ::policy::rules::validate(&rules_file(&rules)?)?;
            }
            let count = duties.controls().len();
            setting
                .print(&json!({ "policies": count, "valid": true }), &format!("valid: {count} policies\n"));
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Compare { file, rules } => {
            let cedar = file.as_deref().map(text_file).transpose()?;
            let rules = rules.as_deref().map(rules_file).transpose()?;
            compare(setting, cedar, rules)
        }
        PolicyCommand::Replace { file, rules, by } => {
            let cedar = file.as_deref().map(text_file).transpose()?;
            let rules = rules.as_deref().map(rules_file).transpose()?;
            let id = setting.act(|realm| {
                let present = realm.ledger().world().policy();
                let present = present.ok_or_else(|| Failure::missing("policy", "in force"))?;
                let cedar = cedar.unwrap_or_else(|| present.body.cedar.clone());
                let rules = rules.unwrap_or_else(|| present.body.rules.clone());
                act::replace_policy(realm, cedar, rules, &by)
            })?;
            setting.said("the policy is replaced", id);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn text_file(path: &Path) -> Done<String> {
    String::from_utf8(read_bounded(path, 1 << 20)?)
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))
}

fn rules_file(path: &Path) -> Done<PolicyRules> {
    let bytes = read_bounded(path, 1 << 20)?;
    let value = statement::json::parse(&bytes, statement::json::Limits::signed(1 << 20))?;
    Ok(statement::json::from_value(&value)?)
}

/// `countersign policy compare`.
fn compare(setting: &Setting, cedar: Option<String>, rules: Option<PolicyRules>) -> Done<ExitCode> {
    let realm = setting.read()?;
    let in_force = realm.ledger().world().policy();
    let in_force = in_force.ok_or_else(|| Failure::missing("policy", "in force"))?;
    let other = Policy {
        cedar: cedar.unwrap_or_else(|| in_force.body.cedar.clone()),
        rules: rules.unwrap_or_else(|| in_force.body.rules.clone()),
        schema: ::policy::duties::schema_digest(),
        supersedes: Some(in_force.id),
    };
    let compared = busy::while_busy("asking both policies", || {
        Ok(Comparison::between(&in_force.body, &other, realm.entries())?)
    })?;
    setting.print(&told(&compared), &show::compared(in_force.id, &compared));
    Ok(match compared.shift() {
        Shift::Looser | Shift::Unclear => ExitCode::from(1),
        Shift::Tighter | Shift::Otherwise | Shift::Same => ExitCode::SUCCESS,
    })
}

fn told(compared: &Comparison) -> Value {
    let decision = |decision: &::policy::duties::Decision| {
        use ::policy::duties::Decision;
        let (Decision::Permit { policies } | Decision::Deny { policies, .. }) = decision;
        json!({ "permits": decision.is_permit(), "policies": policies })
    };
    let permissions = &compared.permissions;
    let differing: Vec<Value> = permissions
        .differing
        .iter()
        .map(|found| {
            json!({
                "shift": found.shift().name(), "action": found.action.name(), "roles": found.roles,
                "circumstance": found.circumstance, "tiers": found.tiers,
                "then": decision(&found.then), "now": decision(&found.now),
            })
        })
        .collect();
    let tables: Vec<Value> = compared
        .tables
        .iter()
        .map(|found| {
            json!({
                "shift": found.shift.name(), "place": found.place, "then": found.then, "now": found.now,
            })
        })
        .collect();
    let texts: Vec<Value> = permissions
        .texts
        .iter()
        .map(|text| {
            json!({
                "shift": text.shift.name(), "id": text.id, "wording": text.wording.name(),
                "explained": text.is_explained, "then": text.then, "now": text.now,
            })
        })
        .collect();
    let ids = |wording: Wording| -> Vec<_> {
        permissions.texts.iter().filter(|text| text.wording == wording).map(|text| &text.id).collect()
    };
    let otherwise = compared.decisions.iter().filter(|retried| retried.shift() != Shift::Same);
    json!({
        "looser": compared.is_looser(),
        "shift": compared.shift().name(),
        "tables": tables,
        "permissions": {
            "asked": permissions.asked,
            "actions": permissions.actions.iter().map(|action| action.name()).collect::<Vec<_>>(),
            "added": ids(Wording::Added),
            "removed": ids(Wording::Removed),
            "reworded": ids(Wording::Reworded),
            "texts": texts,
            "differing": differing,
        },
        "decisions": {
            "asked": compared.decisions.len(),
            "differing": otherwise.map(retold).collect::<Vec<_>>(),
        },
    })
}

fn retold(retried: &Retried) -> Value {
    let ruling = |ruling: &::policy::gate::Ruling| {
        let reasons: Vec<Value> = ruling
            .reasons
            .iter()
            .map(|reason| json!({ "code": reason.code.as_str(), "about": reason.about }))
            .collect();
        json!({
            "allows": ruling.allows, "outcome": ruling.outcome, "tier": ruling.tier, "risk": ruling.risk,
            "reasons": reasons,
        })
    };
    json!({
        "shift": retried.shift().name(), "leaf": retried.leaf, "statement": retried.statement,
        "change": retried.change, "decided": retried.decided.name(),
        "then": ruling(&retried.then), "now": ruling(&retried.now),
    })
}
