use super::*;

const BASE: [Filled<'static>; 3] =
    [("l.0.q.weight", &[2, 2], 1.0), ("l.0.v.weight", &[2, 2], 1.0), ("lm_head.weight", &[2, 2], 1.0)];

fn report(scope: &Scope, candidate: &[Filled<'_>]) -> ScopeReport {
    let (base, candidate) = (file(&BASE), file(candidate));
    let (base, candidate) = (SafeTensors::read(&base).unwrap(), SafeTensors::read(&candidate).unwrap());
    check_weights(scope, &base, &candidate)
}

#[test]
fn only_what_is_named_may_change_and_only_so_far() {
    let scope = Scope { modules: patterns(&["l.*.q"]), ..Scope::closed() };
    check(&report(&scope, &BASE), Verdict::Within, &[]);
    let mut twin = BASE;
    twin[0].2 = 1.01;
    let inside = report(&scope, &twin);
    check(&inside, Verdict::Within, &[]);
    assert_eq!((inside.measures["tensors_changed"], inside.measures["changed_ppm_max"]), (1, 1_000_000));
    twin[0].2 = 1.1;
    let at = "l.0.q.weight";
    check(&report(&scope, &twin), Verdict::Outside, &[(Rule::FrobeniusOver, at), (Rule::ElementOver, at)]);
    let mut twin = BASE;
    twin[1].2 = 1.01;
    check(&report(&scope, &twin), Verdict::Outside, &[(Rule::ModuleNotAllowed, "l.0.v")]);
    let mut twin = BASE;
    twin[2].2 = 1.01;
    let all = Scope { modules: patterns(&["**"]), ..Scope::closed() };
    check(&report(&all, &twin), Verdict::Outside, &[(Rule::EmbeddingNotAllowed, "lm_head")]);
    let low = Scope { rank_max: Some(1), embeddings_allowed: true, ..all };
    check(&report(&low, &twin), Verdict::Outside, &[(Rule::RankOver, "lm_head.weight")]);
}

#[test]
fn tensors_do_not_come_go_or_change_shape() {
    let scope = Scope { modules: patterns(&["**"]), embeddings_allowed: true, ..Scope::closed() };
    check(&report(&scope, &BASE[..2]), Verdict::Outside, &[(Rule::TensorRemoved, "lm_head.weight")]);
    let mut more = BASE.to_vec();
    more.push(("x", &[1], 0.0));
    check(&report(&scope, &more), Verdict::Outside, &[(Rule::TensorAdded, "x")]);
    let mut twin = BASE;
    twin[0].1 = &[4];
    check(&report(&scope, &twin), Verdict::Outside, &[(Rule::ShapeDiffers, "l.0.q.weight")]);
    twin[0] = ("l.0.q.weight", &[2, 2], f32::NAN);
    check(&report(&scope, &twin), Verdict::Outside, &[(Rule::ElementNotMeasurable, "l.0.q.weight")]);
}

#[test]
fn a_closed_scope_allows_not_even_the_same() {
    check(&report(&Scope::closed(), &BASE), Verdict::Outside, &[(Rule::KindNotInScope, "modules")]);
}
