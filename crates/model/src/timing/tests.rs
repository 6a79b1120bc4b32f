use super::*;
use crate::config::Architecture;
use crate::graph::tests::tiny;
use crate::{Cache, Continuation, Model};

#[test]
fn a_timed_pass_computes_the_same_and_accounts_for_every_operation() {
    let model = Model::untrained(tiny(Architecture::Llama), 1).unwrap();
    let (mut plain, mut timed) = (Cache::new(model.config(), 16), Cache::new(model.config(), 16));
    let tokens = [1, 5, 3];
    let expected = model.next(Continuation { tokens: &tokens, cache: &mut plain, adapter: None }).unwrap();
    // A clock that advances by one at each look: what is spent on a kind is the number of its operations.
    let mut now = 0.0;
    let mut clock = || {
        now += 1.0;
        now
    };
    let continuation = Continuation { tokens: &tokens, cache: &mut timed, adapter: None };
    let (logits, spent) = model.next_timed(continuation, &mut clock).unwrap();
    assert_eq!(logits, expected);
    assert_eq!(timed.len(), plain.len());
    let layers = model.config().layers as f64;
    assert_eq!(spent[&Work::Attention], layers);
    assert_eq!(spent[&Work::AttentionProducts], 2.0 * layers);
    assert_eq!(spent[&Work::MlpProducts], 2.0 * layers);
    assert_eq!(spent[&Work::OutputProduct], 1.0);
    assert_eq!(spent[&Work::Norms], 2.0 * layers + 1.0);
}
