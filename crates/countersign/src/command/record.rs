//! Commands that hold and destroy content.

use serde_json::json;
use statement::Digest;

use super::Setting;
use crate::act::{self, word};
use crate::cli::{HoldArgs, PurgeArgs};
use crate::failure::Done;
use crate::text;

/// `countersign hold`.
pub(super) fn hold(setting: &Setting, args: &HoldArgs) -> Done {
    let action = word("action", &args.action)?;
    let digests = digests(&args.digests)?;
    let matter = args.matter.parse()?;
    let id = setting.act(|realm| act::hold(realm, action, &digests, matter, &args.by))?;
    setting.said(&format!("hold: {} for {}", text::word(&action), args.matter), id);
    Ok(())
}

/// `countersign purge`.
pub(super) fn purge(setting: &Setting, args: &PurgeArgs) -> Done {
    let digests = digests(&args.digests)?;
    let basis = args.basis.parse()?;
    let destroyed = setting.act(|realm| act::purge(realm, &digests, basis, &args.by))?;
    let mut text = format!("purged: statement {}\n", destroyed.statement);
    for digest in &destroyed.targets {
        text::line(&mut text, &format!("  {digest}"));
    }
    text.push_str("  its digest and every proof about it stay; what rests on it never counts as passed\n");
    setting.print(&json!({ "statement": destroyed.statement, "purged": destroyed.targets }), &text);
    Ok(())
}

fn digests(texts: &[String]) -> Done<Vec<Digest>> {
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}
