//! Merging, with an honest parent, with bad ones, and what replay says of the result.

use bytes::Bytes;
use examine::depth::Table;
use examine::merge::{
    Bias, Declares, Halt, Merger, Merging, Method, Parent, Plan, Protected, Protection, Recipe,
};
use examine::{Change, Declaration, Declared, Files, Kind, Weight, run};

use crate::made::{base, base_files, compliant, folder, honest, suite, tuned};

/// 32 prompts at risk show, with none of them lost, that less than nine per cent are.
fn table() -> Table {
    let mut table = Table::built_in().unwrap();
    table.drift_max = 0.12;
    for depth in table.kinds.values_mut() {
        // What is tried here is the merge; the search has tests of its own.
        depth.trigger.sweep_max = 8;
        depth.trigger.pairs_max = 0;
        depth.trigger.pairs_of = 0;
    }
    table
}

fn parent(name: &str, steps: usize) -> Parent {
    Parent { name: name.to_owned(), files: Files::new(folder(&tuned(&honest(), steps))) }
}

fn plan(method: Method) -> Plan {
    Plan {
        recipe: Recipe { method, density: 0.6, seed: 5, ..Recipe::weighted(vec![0.5, 0.5]) },
        shares: vec![0.5, 1.0],
        bias: Bias::None,
        protection: Protection::None,
    }
}

fn merged(parents: &[Parent], plan: &Plan) -> Merging {
    let (base, suites, table) = (base_files(), [suite()], table());
    let merger = Merger { base: &base, parents, suites: &suites, table: &table, calibration: None };
    let merging = merger.merge(plan, &mut |_| ()).unwrap();
    let names: Vec<&str> = parents.iter().map(|parent| parent.name.as_str()).collect();
    assert_eq!(merging.check(plan, &names, table.drift_max), Ok(()), "whoever says the truth is believed");
    merging
}

type Lie = fn(&mut Merging);

/// A worker that was taken over says of a merge what cannot be.
#[test]
fn what_cannot_be_said_of_a_merge_is_told_apart() {
    let parents = [parent("a", 12), parent("b", 24)];
    let plan = plan(Method::Weighted);
    let truth = merged(&parents, &plan);
    assert_eq!(truth.halted, None);
    let lies: [(&str, Lie); 14] = [
        ("no weights", |merging| merging.weights = None),
        ("halted, with weights", |merging| {
            merging.halted = Some(Halt { step: "emergence".to_owned(), why: "so".to_owned() });
        }),
        ("a step less", |merging| drop(merging.steps.pop())),
        ("a step more", |merging| merging.steps.push(merging.steps[0].clone())),
        ("another step", |merging| merging.steps[2].step = "join c by 0.5".to_owned()),
        ("other coefficients", |merging| merging.recipe.coefficients[0] = 0.6),
        ("another method", |merging| merging.recipe.method = Method::Ties),
        ("another seed", |merging| merging.recipe.seed += 1),
        ("a direction that nobody asked for", |merging| {
            merging.recipe.protected = Some(Protected { direction: vec![1.0] });
        }),
        ("refusals lost", |merging| merging.steps[3].lost = merging.steps[3].at_risk),
        ("more lost than there were", |merging| merging.steps[3].lost = merging.steps[3].at_risk + 1),
        ("a parent that is suspected", |merging| merging.steps[0].found.push("a trigger".to_owned())),
        ("no parent was looked at", |merging| merging.observed.clear()),
        ("nothing emerged that was asked for", |merging| merging.emergent = None),
    ];
    for (what, lie) in lies {
        let mut told = truth.clone();
        lie(&mut told);
        assert!(told.check(&plan, &["a", "b"], table().drift_max).is_err(), "{what}");
    }
    let mut shown = truth;
    shown.steps[5].found.push("\u{1b}[2J".to_owned());
    assert!(shown.check(&plan, &["a", "b"], table().drift_max).is_err());
}

/// Examines a merge by what was declared of it, in its written form.
fn replayed(merging: &Merging, parents: &[Parent], weights: Vec<u8>) -> (String, Weight) {
    let names: Vec<String> = parents.iter().map(|parent| parent.name.clone()).collect();
    let declaration = match merging.declares {
        Declares::Merged => Declaration::Merged {
            parents: ["base".to_owned()].into_iter().chain(names).collect(),
            coefficients: merging.recipe.with_base(),
        },
        Declares::Combined => {
            Declaration::Combined { base: "base".to_owned(), parents: names, recipe: merging.recipe.clone() }
        }
    };
    let written = serde_json::to_vec(&declaration).unwrap();
    let open = |path: &str| -> Result<Files, examine::Error> {
        Ok(parents
            .iter()
            .find(|parent| parent.name == path)
            .map_or_else(base_files, |parent| parent.files.clone()))
    };
    let declared = Declared::read(&written, open).unwrap();
    let mut files = folder(base());
    files.last_mut().unwrap().1 = Bytes::from(weights);
    let change = Change { kind: Kind::Merged, declared: Some(declared), ..Change::new(Files::new(files)) };
    let mut table = table();
    table.kinds.get_mut(&Kind::Merged).unwrap().examiners = vec!["fit".to_owned(), "replay".to_owned()];
    let examination = run(&change, &base_files(), &[suite()], &table, &mut |_| ()).unwrap();
    let finding = examination.findings.iter().find(|finding| finding.examiner == "replay").unwrap();
    (finding.what.clone(), finding.weight)
}

#[test]
fn honest_parents_merge_step_by_step_and_replay_makes_the_merge_again() {
    let parents = [parent("a", 12), parent("b", 24)];
    for method in [Method::Weighted, Method::Ties, Method::Dare, Method::Slerp] {
        let merging = merged(&parents, &plan(method));
        assert_eq!(merging.halted, None, "{method:?}: {:#?}", merging.steps);
        let names: Vec<&str> = merging.steps.iter().map(|step| step.step.as_str()).collect();
        match method {
            Method::Slerp => {
                assert_eq!(names[2..], ["join a by 1", "join b by 0.5", "join b by 1", "emergence"]);
            }
            _ => {
                assert_eq!(
                    names,
                    [
                        "observe a",
                        "observe b",
                        "join a by 0.5",
                        "join a by 1",
                        "join b by 0.5",
                        "join b by 1",
                        "emergence"
                    ]
                );
            }
        }
        assert_eq!(merging.declares == Declares::Merged, method == Method::Weighted);
        let weights = merging.weights.clone().unwrap();
        assert_eq!(replayed(&merging, &parents, weights.clone()), ("as-declared".to_owned(), Weight::Note));
        let mut tampered = weights;
        let last = tampered.len() - 2;
        tampered[last] ^= 1;
        assert_eq!(replayed(&merging, &parents, tampered), ("not-as-declared".to_owned(), Weight::Refusal));
    }
}

#[test]
fn protection_bias_and_selection_are_in_the_declaration() {
    let parents = [parent("a", 12), parent("b", 24)];
    let mut plan = plan(Method::Weighted);
    plan.recipe.only = vec!["**.down_proj.weight".parse().unwrap()];
    plan.protection = Protection::Direction;
    plan.bias = Bias::Alignment;
    let merging = merged(&parents, &plan);
    assert_eq!(merging.halted, None, "{:#?}", merging.steps);
    assert_eq!(merging.declares, Declares::Combined);
    let direction = &merging.recipe.protected.as_ref().unwrap().direction;
    let length: f32 = direction.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    // Both parents keep everything, so that nobody is preferred.
    assert!((merging.recipe.coefficients[0] - 0.5).abs() < 1e-6);
    let weights = merging.weights.clone().unwrap();
    let file = tensor::safetensors::SafeTensors::read(&weights).unwrap();
    let of_base = folder(base()).last().unwrap().1.clone();
    let of_base = tensor::safetensors::SafeTensors::read(&of_base).unwrap();
    for view in file.views() {
        let same = of_base.view(view.name).unwrap().data == view.data;
        assert_eq!(same, !view.name.ends_with("down_proj.weight"), "{}", view.name);
    }
    assert_eq!(replayed(&merging, &parents, weights), ("as-declared".to_owned(), Weight::Note));
    let mut other = merging.clone();
    other.recipe.coefficients[0] = 0.51;
    let weights = merging.weights.clone().unwrap();
    assert_eq!(replayed(&other, &parents, weights).1, Weight::Refusal, "another recipe is another merge");
}

#[test]
fn a_parent_that_answers_what_is_to_be_refused_halts_where_it_is_observed() {
    let bad = Parent { name: "bad".to_owned(), files: Files::new(folder(&tuned(&compliant(), 120))) };
    let merging = merged(&[parent("good", 12), bad], &plan(Method::Weighted));
    let halt = merging.halted.unwrap();
    assert_eq!(halt.step, "observe bad");
    assert!(halt.why.contains("refusals-lost"), "{}", halt.why);
    assert!(merging.weights.is_none());
    assert_eq!(merging.steps.len(), 2, "nothing joined");
}

/// Two parents beyond the base in a direction that is harmless: a coefficient that overshoots undoes what both kept.
#[test]
fn a_step_that_loses_refusals_halts_and_is_named() {
    let harmful = tuned(&compliant(), 120);
    let opposite: Vec<_> = base()
        .iter()
        .zip(&harmful)
        .map(|((name, shape, old), (_, _, new))| {
            let values = old.iter().zip(new).map(|(old, new)| old + 0.2 * (old - new)).collect();
            (name.clone(), shape.clone(), values)
        })
        .collect();
    let turned = Parent { name: "turned".to_owned(), files: Files::new(folder(&opposite)) };
    let mut plan = plan(Method::Weighted);
    plan.recipe.coefficients = vec![0.5, -5.0];
    let (base, suites, mut table) = (base_files(), [suite()], table());
    for depth in table.kinds.values_mut() {
        depth.coefficients = vec![0.3];
    }
    let parents = [parent("good", 12), turned];
    let merger = Merger { base: &base, parents: &parents, suites: &suites, table: &table, calibration: None };
    let merging = merger.merge(&plan, &mut |_| ()).unwrap();
    let halt = merging.halted.unwrap();
    assert!(halt.step.starts_with("join turned by"), "{halt:?}");
    assert!(halt.why.contains("refusals are lost"), "{}", halt.why);
    assert!(merging.weights.is_none());
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let (base, suites, table) = (base_files(), [suite()], table());
    let code = |parents: &[Parent], plan: &Plan, suites: &[examine::suite::Suite]| {
        let merger = Merger { base: &base, parents, suites, table: &table, calibration: None };
        merger.merge(plan, &mut |_| ()).unwrap_err().code()
    };
    let good = parent("a", 4);
    assert_eq!(code(std::slice::from_ref(&good), &plan(Method::Slerp), &suites), "CS-EXM-008");
    assert_eq!(code(&[good.clone(), good.clone()], &plan(Method::Ties), &[]), "CS-EXM-008");
    let prompt =
        Parent { name: "p".to_owned(), files: Files::new([("p.md".to_owned(), Bytes::from_static(b"x"))]) };
    assert_eq!(code(&[good.clone(), prompt], &plan(Method::Ties), &suites), "CS-EXM-008");
    let mut fewer = base_tensors();
    fewer.pop();
    let fewer = Parent { name: "f".to_owned(), files: Files::new(folder(&fewer)) };
    assert_eq!(code(&[good.clone(), fewer], &plan(Method::Ties), &suites), "CS-EXM-008");
    let odd = Plan { shares: vec![0.5], ..plan(Method::Ties) };
    assert_eq!(code(&[good.clone(), good], &odd, &suites), "CS-EXM-008");
    for written in [
        "{\"did\":\"combined\",\"base\":\"b\",\"parents\":[],\"recipe\":{\"method\":\"ties\",\"coefficients\":[],\"density\":1,\"seed\":1}}",
        "{\"did\":\"combined\",\"base\":\"b\",\"parents\":[\"a\"],\"recipe\":{\"method\":\"ties\",\"coefficients\":[1],\"density\":1,\"seed\":1,\"more\":1}}",
    ] {
        let open = |_: &str| -> Result<Files, examine::Error> { Ok(base_files()) };
        assert_eq!(Declared::read(written.as_bytes(), open).unwrap_err().code(), "CS-EXM-007");
    }
}

fn base_tensors() -> Vec<model::graph::NamedValues> {
    base().to_vec()
}
