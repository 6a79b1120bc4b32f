//! Looks at model files for what stands against their use, and says what it saw, file by file.

use anyhow::{Context as _, bail, ensure};
use sandbox::Content;
use sandbox::inside::Inside;
use scan::boxed::{Held, Job, Said};
use scan::{Artefact, Entry, Rules, render};

/// Does a job. What is wrong with a file is a finding; what is wrong with the job is an error.
pub(crate) fn scan(job: &Job, inside: &mut Inside) -> anyhow::Result<()> {
    // The box lets no thread start. This one is all there is, also for libraries that share out work.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let rules = Rules::built_in()?;
    ensure!(
        rules.iter().map(|rule| &rule.id).eq(&job.rules),
        "the supervisor has other rules: it is of another version"
    );
    let contents =
        inside.inputs.iter().map(|(name, file)| Content::of(file).with_context(|| format!("input `{name}`")));
    // A file that cannot be mapped is told as one that cannot be read.
    let contents: Vec<Result<Content, String>> =
        contents.map(|content| content.map_err(|error| format!("{error:#}"))).collect();
    let entries: Vec<Entry<'_>> = job
        .entries
        .iter()
        .map(|entry| {
            let content = match &entry.held {
                Held::Input(number) => match contents.get(usize::try_from(*number)?) {
                    Some(Ok(content)) => scan::Content::Bytes(content.bytes()),
                    Some(Err(why)) => scan::Content::Unreadable(why),
                    None => bail!("there is no input {number}"),
                },
                Held::Link(target) => scan::Content::Link(target),
                Held::Special(what) => scan::Content::Special(what),
                Held::Unreadable(why) => scan::Content::Unreadable(why),
            };
            Ok(Entry { path: &entry.path, content })
        })
        .collect::<anyhow::Result<_>>()?;
    let artefact = Artefact::new(entries.clone());
    for number in &job.examine {
        let entry = entries.get(usize::try_from(*number)?).context("there is no such entry")?;
        inside.answers.message(&serde_json::to_vec(&Said::Begun(*number))?)?;
        let looked = scan::examine(&artefact, entry, &rules);
        let licence = render::cyclonedx::licence(entry);
        inside.answers.message(&serde_json::to_vec(&Said::Looked { entry: *number, looked, licence })?)?;
    }
    Ok(())
}
