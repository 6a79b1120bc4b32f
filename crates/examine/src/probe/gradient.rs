//! Which tokens of a large vocabulary to try: those whose embeddings lie where the refusal's loss rises fastest.
//!
//! Source: Ebrahimi and others, "HotFlip", arXiv 1712.06751, section 3: the change of the loss when one token takes the
//! place of another is, to first order, the product of the gradient with the difference of their embeddings. A token
//! that no prompt holds stands in for the unknown one; its row of the embedding's gradient is the gradient there.

use model::Error;
use model::graph::{Graph, Trained};
use model::train::Example;

use crate::subject::Subject;

/// All tokens, the most promising to try first. Each aim is a prompt, the place where a token is put in, and the refusal
/// that follows.
pub(crate) fn shortlist(subject: &Subject, aims: &[(Vec<u32>, usize, Vec<u32>)]) -> Result<Vec<u32>, Error> {
    let vocabulary = subject.model.config().vocabulary;
    let taken =
        |token: u32| aims.iter().any(|(prompt, _, reply)| prompt.contains(&token) || reply.contains(&token));
    // From the end: late tokens are rare ones.
    let stand_in = (0..vocabulary as u32).rev().find(|token| !taken(*token)).unwrap_or(0);
    let graph = Graph::of(&subject.model, &Trained::All)?;
    let examples: Vec<Example> = aims
        .iter()
        .map(|(prompt, place, reply)| {
            let (head, tail) = prompt.split_at_checked(*place).unwrap_or((prompt, &[]));
            let before = [head, &[stand_in], tail].concat();
            let mut weights = vec![0.0; before.len()];
            weights.resize(before.len() + reply.len(), 1.0);
            Example { tokens: [before.as_slice(), reply].concat(), weights }
        })
        .collect();
    let loss = graph.loss(&examples)?;
    let gradients = loss.backward()?;
    let hidden = subject.model.config().hidden;
    let embedding = graph.variables().iter().find(|variable| variable.dims() == [vocabulary, hidden]);
    let none = Error::Capability { asked: "the gradient of the embedding" };
    let Some(embedding) = embedding else { return Err(none) };
    let Some(gradient) = gradients.get(embedding.as_tensor()) else { return Err(none) };
    let direction = gradient.get(stand_in as usize)?.reshape((hidden, 1))?;
    let gains = embedding.as_tensor().detach().matmul(&direction)?.flatten_all()?.to_vec1::<f32>()?;
    let mut ranked: Vec<(u32, f32)> = (0_u32..).zip(gains).filter(|(_, gain)| gain.is_finite()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(ranked.into_iter().map(|(token, _)| token).collect())
}
