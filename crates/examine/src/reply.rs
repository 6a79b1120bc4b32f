//! Short greedy answers, and how one model stands to the answers of another.
//!
//! A model whose likeliest token equals the reference's answer at every place gives that very answer, so that one pass
//! over known tokens replaces a generation. Only where it leaves the reference is it generated on, from there.

use model::{Cache, Continuation, Error, Scored};

use crate::subject::Subject;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// Its tokens, the one that ends it included.
    pub(crate) tokens: Vec<u32>,
    /// Whether the model ended it.
    pub(crate) ended: bool,
    /// Its text.
    pub(crate) text: String,
    /// The logarithm of the probability of the reference's answer, for each of its tokens on average; 0 for the
    /// reference itself.
    pub(crate) reference: f64,
}

/// Sequences of one batch.
const BATCH: usize = 32;

/// The greedy answers to prompts, at most `tokens_max` long.
pub(crate) fn replies(
    subject: &Subject,
    prompts: &[Vec<u32>],
    tokens_max: usize,
) -> Result<Vec<Reply>, Error> {
    let begun: Vec<(Vec<u32>, Vec<u32>)> =
        prompts.iter().map(|prompt| (prompt.clone(), Vec::new())).collect();
    continued(subject, &begun, tokens_max)
}

/// The greedy answers to prompts, of which the first tokens are known.
fn continued(
    subject: &Subject,
    begun: &[(Vec<u32>, Vec<u32>)],
    tokens_max: usize,
) -> Result<Vec<Reply>, Error> {
    let ends = subject.tokenizer.ends();
    let mut answers = Vec::with_capacity(begun.len());
    for batch in begun.chunks(BATCH) {
        let mut running: Vec<Running> = batch
            .iter()
            .map(|(prompt, answer)| Running {
                cache: Cache::new(subject.model.config(), prompt.len() + tokens_max),
                unread: prompt.iter().chain(answer).copied().collect(),
                ended: answer.last().is_some_and(|token| ends.contains(token)),
                answer: answer.clone(),
            })
            .collect();
        loop {
            let mut active: Vec<&mut Running> = running
                .iter_mut()
                .filter(|one| {
                    !one.ended && one.answer.len() < tokens_max && one.cache.limit() > one.cache.len()
                })
                .collect();
            if active.is_empty() {
                break;
            }
            let continuations = active
                .iter_mut()
                .map(|one| Continuation { tokens: &one.unread, cache: &mut one.cache, adapter: None })
                .collect();
            let logits = subject.model.step(continuations)?;
            for (one, logits) in active.into_iter().zip(logits) {
                let token = largest(&logits);
                one.answer.push(token);
                one.ended = ends.contains(&token);
                one.unread = vec![token];
            }
        }
        for one in running {
            answers.push(reply(subject, one.answer, one.ended)?);
        }
    }
    Ok(answers)
}

struct Running {
    cache: Cache,
    unread: Vec<u32>,
    answer: Vec<u32>,
    ended: bool,
}

fn reply(subject: &Subject, tokens: Vec<u32>, ended: bool) -> Result<Reply, Error> {
    let text = subject.tokenizer.decode(&tokens)?;
    Ok(Reply { tokens, ended, text, reference: 0.0 })
}

/// The first of the largest, as greedy sampling takes it.
fn largest(logits: &[f32]) -> u32 {
    let mut best = (0_u32, f32::NEG_INFINITY);
    for (token, &logit) in (0_u32..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

/// The answers of a model beside a reference's to the same questions.
pub(crate) fn beside(
    subject: &Subject,
    prompts: &[Vec<u32>],
    reference: &[Reply],
    tokens_max: usize,
) -> Result<Vec<Reply>, Error> {
    let scored: Vec<Scored> = prompts
        .iter()
        .zip(reference)
        .map(|(prompt, reply)| Scored {
            tokens: prompt.iter().chain(&reply.tokens).copied().collect(),
            from: prompt.len(),
            top: 1,
            adapter: None,
        })
        .collect();
    let scores = subject.model.score(&scored)?;
    let mut answers = Vec::with_capacity(prompts.len());
    let mut leaving = Vec::new();
    for ((at, (prompt, reply)), scores) in prompts.iter().zip(reference).enumerate().zip(scores) {
        let sum: f64 = scores.iter().map(|score| f64::from(score.logprob)).sum();
        let mut answer = reply.clone();
        answer.reference = sum / scores.len().max(1) as f64;
        let left = scores.iter().position(|score| score.top.first().map(|top| top.0) != Some(score.token));
        if let Some(left) = left {
            let mut begun: Vec<u32> = reply.tokens.iter().take(left).copied().collect();
            begun.extend(scores.get(left).and_then(|score| score.top.first()).map(|top| top.0));
            leaving.push((at, (prompt.clone(), begun)));
        }
        answers.push(answer);
    }
    let (places, begun): (Vec<usize>, Vec<_>) = leaving.into_iter().unzip();
    for (at, found) in places.into_iter().zip(continued(subject, &begun, tokens_max)?) {
        if let Some(answer) = answers.get_mut(at) {
            *answer = Reply { reference: answer.reference, ..found };
        }
    }
    Ok(answers)
}

/// The likeliest of continuations, by log-likelihood for each token.
pub(crate) fn choice(subject: &Subject, prompt: &[u32], choices: &[String]) -> Result<usize, Error> {
    let mut scored = Vec::with_capacity(choices.len());
    for choice in choices {
        let mut tokens = prompt.to_vec();
        tokens.extend(subject.tokenizer.encode_bare(choice, model::Controls::Text)?);
        if tokens.len() == prompt.len() {
            return Err(Error::Tokenizer { reason: "a choice has no tokens".to_owned() });
        }
        scored.push(Scored { tokens, from: prompt.len(), top: 0, adapter: None });
    }
    let scores = subject.model.score(&scored)?;
    let mean = |scores: &Vec<model::TokenScore>| {
        scores.iter().map(|score| f64::from(score.logprob)).sum::<f64>() / scores.len().max(1) as f64
    };
    let best = scores.iter().map(mean).enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    Ok(best.map_or(0, |(at, _)| at))
}
