//! The second part of the demonstration: attacks that examiners look at, each beside an honest change made as it was.
//!
//! Nothing is staged: the changes are made now, by `countersign range case`, and what the examiners say is not known
//! beforehand. A case that does not end as it should is shown as that, and the demonstration says so at its end.

use std::path::Path;

use serde_json::json;

use super::stage::Stage;
use crate::cli::{DemoArgs, RangeCase, RangeCaseArgs};
use crate::command::range::case::perform;
use crate::command::{Output, Setting};
use crate::failure::{Done, Failure};
use crate::text::print;

/// The scenes.
const SCENES: [(RangeCase, &str); 4] = [
    (RangeCase::Adapter, "1. A model proposes an adapter for itself. One is good; one has learned a word."),
    (RangeCase::Badmerging, "2. Two models are merged. By themselves both behave."),
    (RangeCase::Quantisation, "3. Weights that behave, until they are made smaller."),
    (RangeCase::Distillation, "4. Students of students, each a little less careful than its teacher."),
];

/// Shows every scene, in one folder, so that the base is trained once.
pub(super) fn run(setting: &Setting, args: &DemoArgs) -> Done {
    let scratch = tempfile::tempdir().map_err(|error| Failure::file(Path::new("/tmp"), &error))?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    let stage = Stage::new(setting.output);
    stage.heading("Countersign: changes are examined before anybody is asked to approve them.");
    let mut wrong = Vec::new();
    for (case, heading) in SCENES {
        stage.heading(heading);
        let asked = RangeCaseArgs {
            case,
            out: None,
            seed: 7,
            base: "llama-64:1".to_owned(),
            calibration: None,
            part: None,
        };
        let shown = perform(&asked, &folder)?;
        match setting.output {
            Output::Json => print(&format!("{}\n", shown.value)),
            Output::Text => print(&shown.text),
        }
        if !shown.is_as_it_should_be() {
            wrong.push(format!("{case:?}").to_lowercase());
        }
    }
    if let Some(first) = wrong.first() {
        return Err(Failure::new(
            "CS-CLI-073",
            format!("{} of {} cases did not end as they should, `{first}` first", wrong.len(), SCENES.len()),
            "the page of the case says what was missed or wrongly stopped; docs/detection.md says how often that is so",
        ));
    }
    let text = "\nEvery attack was stopped, and every honest change beside it passed.";
    match setting.output {
        Output::Json => print(&format!("{}\n", json!({ "cases": SCENES.len(), "done": true }))),
        Output::Text => print(&format!("{text}\n")),
    }
    Ok(())
}
