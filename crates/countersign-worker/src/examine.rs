//! Examines a change: runs the examiners on the inputs, and says what they found and what was read.

use anyhow::Context as _;
use bytes::Bytes;
use examine::boxed::{Asked, Read, Said};
use sandbox::Content;
use sandbox::inside::Inside;
use statement::Digest;

/// Does a job. What is wrong with the change is a finding, and that there can be no examination an answer.
pub(crate) fn examine(asked: &Asked, inside: &mut Inside) -> anyhow::Result<()> {
    // A pool of one thread is this thread, so that the rest of the box can be the narrower.
    rayon::ThreadPoolBuilder::new().num_threads(asked.threads.max(1)).build_global()?;
    let mut read = Vec::new();
    let mut inputs = Vec::new();
    for (name, file) in std::mem::take(&mut inside.inputs) {
        let content = Content::of(&file).with_context(|| format!("input `{name}`"))?;
        let bytes = Bytes::from_owner(content);
        let (length, digest) = (u64::try_from(bytes.len())?, Digest::of(&bytes));
        read.push(Read { name, bytes: length, digest });
        inputs.push(bytes);
    }
    let answers = &mut inside.answers;
    let mut say = |said: &Said| -> anyhow::Result<()> {
        let message = said.to_message().map_err(anyhow::Error::msg)?;
        Ok(answers.message(&message)?)
    };
    let mut silent = None;
    let examined = asked.examine(&inputs, &mut |progress| {
        let said = Said::Progress { stage: progress.stage, done: progress.done };
        // Whoever cannot be told of progress cannot be answered: that is told at the end.
        silent = silent.take().or_else(|| say(&said).err());
    });
    if let Some(error) = silent {
        return Err(error);
    }
    say(&match examined {
        Ok(examination) => Said::Examined { examination: Box::new(examination), read },
        Err(error) => {
            let code = error.code().to_owned();
            let why = format!("{:#}", anyhow::Error::new(error));
            Said::Unable { code, why, read }
        }
    })
}
