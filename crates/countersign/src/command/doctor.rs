//! `countersign doctor`: what this host can enforce around a worker, found out by starting one.

use sandbox::{Held, Level};
use serde_json::json;

use super::Setting;
use crate::failure::Done;
use crate::text::line;
use crate::worker::Worker;

/// Starts a worker that has nothing to do, and tells what held.
pub(super) fn doctor(setting: &Setting) -> Done {
    let worker = Worker::find(setting.worker.as_deref())?;
    let boundaries = worker.boundaries()?;
    let gvisor = sandbox::gvisor::inside();
    let refused = |level: Level| match &gvisor {
        Err(why) if level == Level::Gvisor => Some(format!("this is not gVisor: {why}")),
        _ => {
            let lacking: Vec<&str> =
                boundaries.lacks(level).into_iter().map(|(boundary, _)| boundary.name()).collect();
            (!lacking.is_empty()).then(|| format!("it lacks {}", lacking.join(", ")))
        }
    };
    let levels = [("standard", Level::Standard), ("deep", Level::Deep), ("gvisor", Level::Gvisor)];
    let levels = levels.map(|(name, level)| (name, refused(level)));
    let mut text = String::new();
    line(&mut text, &format!("The worker: {}", worker.digest()));
    line(&mut text, "");
    line(&mut text, "Boundary            This host");
    for (boundary, held) in boundaries.each() {
        let said = match held {
            Held::Enforced => "enforced".to_owned(),
            Held::NotEnforced(why) => format!("NOT enforced: {why}"),
        };
        line(&mut text, &format!("{:<20}{said}", boundary.name()));
    }
    line(&mut text, "");
    for (name, refused) in &levels {
        let said = refused.as_ref().map_or("can be used".to_owned(), |why| format!("is refused: {why}"));
        line(&mut text, &format!("The level `{name}` {said}."));
    }
    let usable: Vec<&str> =
        levels.iter().filter(|(_, refused)| refused.is_none()).map(|(name, _)| *name).collect();
    let value = json!({
        "boundaries": boundaries,
        "gvisor": gvisor.is_ok(),
        "levels": usable,
        "worker": worker.digest(),
    });
    setting.print(&value, &text);
    Ok(())
}
