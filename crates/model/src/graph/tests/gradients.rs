//! Gradients against finite differences: of every operation singly, and of whole models.

use std::collections::BTreeSet;

use super::super::differentiable::Differentiable;
use super::*;
use crate::decoder::{Attention, Causal, NormCall, Ops};
use crate::encoder::{EncoderConfig, EncoderLayer, Parameters, encode};

/// The operations that models are made of, in every variation in which some model uses them: what each test of this
/// file differentiates. [`models_use_no_other_operation`] runs all models and holds what they use against it.
const OPERATIONS: [&str; 27] = [
    "activate: Gelu",
    "activate: GeluTanh",
    "activate: Silu",
    "add",
    "attend: all",
    "attend: cap",
    "attend: groups",
    "attend: past",
    "attend: rotary Halves",
    "attend: rotary Neighbours",
    "attend: window",
    "cap",
    "embed",
    "embed_positions",
    "head_norm: root mean square",
    "head_norm: root mean square, one more",
    "linear",
    "linear: bias",
    "linear: factors",
    "linear: factors, Neighbours",
    "multiply",
    "norm: mean and variance",
    "norm: root mean square",
    "norm: root mean square, one more",
    "pick",
    "scale",
    "tied",
];

/// Operations that write down what is asked of them.
struct Listed<'a> {
    ops: Differentiable<'a>,
    seen: &'a mut BTreeSet<String>,
}

impl Listed<'_> {
    fn see(&mut self, operation: impl Into<String>) {
        self.seen.insert(operation.into());
    }
}

fn kind(call: NormCall) -> &'static str {
    match (call.centred, call.plus_one) {
        (true, _) => "mean and variance",
        (false, true) => "root mean square, one more",
        (false, false) => "root mean square",
    }
}

impl Ops for Listed<'_> {
    type Tensor = Tensor;
    type Matrix = Tensor;
    type Vector = Tensor;

    fn embed(&mut self, table: &Tensor) -> Result<Tensor, Error> {
        self.see("embed");
        self.ops.embed(table)
    }

    fn embed_positions(&mut self, table: &Tensor) -> Result<Tensor, Error> {
        self.see("embed_positions");
        self.ops.embed_positions(table)
    }

    fn scale(&mut self, x: Tensor, factor: f64) -> Result<Tensor, Error> {
        self.see("scale");
        self.ops.scale(x, factor)
    }

    fn add(&mut self, x: Tensor, y: &Tensor) -> Result<Tensor, Error> {
        self.see("add");
        self.ops.add(x, y)
    }

    fn multiply(&mut self, x: Tensor, y: &Tensor) -> Result<Tensor, Error> {
        self.see("multiply");
        self.ops.multiply(x, y)
    }

    fn activate(&mut self, x: Tensor, activation: Activation) -> Result<Tensor, Error> {
        self.see(format!("activate: {activation:?}"));
        self.ops.activate(x, activation)
    }

    fn cap(&mut self, x: Tensor, cap: f64) -> Result<Tensor, Error> {
        self.see("cap");
        self.ops.cap(x, cap)
    }

    fn norm(&mut self, x: &Tensor, norm: &Norm<Tensor>, call: NormCall) -> Result<Tensor, Error> {
        self.see(format!("norm: {}", kind(call)));
        self.ops.norm(x, norm, call)
    }

    fn head_norm(
        &mut self,
        x: Tensor,
        norm: &Norm<Tensor>,
        call: NormCall,
        head_len: usize,
    ) -> Result<Tensor, Error> {
        self.see(format!("head_norm: {}", kind(call)));
        self.ops.head_norm(x, norm, call, head_len)
    }

    fn linears<const N: usize>(
        &mut self,
        x: &Tensor,
        linears: [&Linear<Tensor, Tensor>; N],
    ) -> Result<[Tensor; N], Error> {
        for linear in linears {
            self.see("linear");
            if linear.bias.is_some() {
                self.see("linear: bias");
            }
            if self.ops.factors.contains_key(&linear.path) {
                let neighbours = linear.pairing == Pairing::Neighbours;
                self.see(if neighbours { "linear: factors, Neighbours" } else { "linear: factors" });
            }
        }
        self.ops.linears(x, linears)
    }

    fn tied(&mut self, x: &Tensor, table: &Tensor) -> Result<Tensor, Error> {
        self.see("tied");
        self.ops.tied(x, table)
    }

    fn attend(
        &mut self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        attention: &Attention,
        tap: &mut dyn Tap<Tensor>,
    ) -> Result<Tensor, Error> {
        let Attention { layer: _, heads, kv_heads, head_len: _, scale: _, cap, window, causal, rotary } =
            *attention;
        self.see(match causal {
            Causal::Past => "attend: past",
            Causal::All => "attend: all",
        });
        if heads != kv_heads {
            self.see("attend: groups");
        }
        if cap.is_some() {
            self.see("attend: cap");
        }
        if window.is_some() {
            self.see("attend: window");
        }
        if let Some((_, pairing)) = rotary {
            self.see(format!("attend: rotary {pairing:?}"));
        }
        self.ops.attend(queries, keys, values, attention, tap)
    }

    fn pick(&mut self, x: Tensor) -> Result<Tensor, Error> {
        self.see("pick");
        self.ops.pick(x)
    }
}

/// Numbers without a pattern, of about 0.7.
fn draw(seed: u64, shape: &[usize]) -> Tensor {
    let mut mix = Mix(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| f64::from(mix.normal()) * 0.7).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The derivative along every element of a random draw, by differences of second order.
#[track_caller]
fn check_gradient(name: &str, shape: &[usize], f: impl Fn(&Tensor) -> Tensor) {
    let start = draw(17, shape);
    let var = Var::from_tensor(&start).unwrap();
    let value = |x: &Tensor| {
        // A weighted sum, so that no direction cancels.
        let out = f(x);
        let weights: Vec<f64> =
            (0..out.elem_count()).map(|i| ((i * 7 + 3) % 11) as f64 / 11.0 - 0.4).collect();
        let weights = Tensor::from_vec(weights, out.shape(), &Device::Cpu).unwrap();
        (out * weights).unwrap().sum_all().unwrap()
    };
    let gradients = value(var.as_tensor()).backward().unwrap();
    let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name} stops gradients"));
    let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let at = |values: Vec<f64>| {
        value(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).to_scalar::<f64>().unwrap()
    };
    for i in 0..values.len() {
        let step = 1e-5;
        let (mut up, mut down) = (values.clone(), values.clone());
        up[i] += step;
        down[i] -= step;
        let expected = (at(up) - at(down)) / (2.0 * step);
        assert!(
            (gradient[i] - expected).abs() < 1e-6 * (1.0 + expected.abs()),
            "{name}: {} for {expected}",
            gradient[i]
        );
    }
}

/// Two sequences, the second shorter by one.
fn with_ops<T>(
    length: usize,
    factors: &BTreeMap<String, Factors>,
    run: impl FnOnce(&mut Differentiable<'_>) -> Result<T, Error>,
) -> T {
    let tokens: Vec<u32> = (0..2 * length).map(|i| (i * 3 % 5) as u32).collect();
    let tokens = Tensor::from_vec(tokens, 2 * length, &Device::Cpu).unwrap();
    let lengths = vec![length, length - 1];
    run(&mut Differentiable { tokens, batch: 2, length, lengths, factors }).unwrap()
}

fn ops<T>(run: impl FnOnce(&mut Differentiable<'_>) -> Result<T, Error>) -> T {
    with_ops(4, &BTreeMap::new(), run)
}

fn linear(weight: &Tensor, bias: Option<&Tensor>) -> Linear<Tensor, Tensor> {
    Linear {
        path: "layer".into(),
        first_row: 0,
        pairing: Pairing::Halves,
        head_len: None,
        weight: weight.clone(),
        bias: bias.cloned(),
    }
}

/// Two sequences of seven and four tokens.
fn over<'f>(tokens: &Tensor, factors: &'f BTreeMap<String, Factors>) -> Differentiable<'f> {
    Differentiable { tokens: tokens.clone(), batch: 2, length: 7, lengths: vec![7, 4], factors }
}

#[test]
fn models_use_no_other_operation() {
    let mut seen = BTreeSet::new();
    let sequences = sequences(5, &[7, 4]);
    let mut tokens: Vec<u32> = sequences.concat();
    tokens.resize(14, 0);
    let tokens = Tensor::from_vec(tokens, 14, &Device::Cpu).unwrap();
    for architecture in ALL {
        let targets = ["q_proj", "v_proj", "c_fc"].map(str::to_owned).to_vec();
        let trained = Trained::LowRank { rank: 2, alpha: 4.0, targets, seed: 3 };
        let graph = Graph::untrained(tiny(architecture), 21, &trained).unwrap();
        let mut ops = Listed { ops: over(&tokens, &graph.factors), seen: &mut seen };
        let hidden = decoder::hidden(&mut ops, &graph.config, &graph.decoder, &mut NoTap).unwrap();
        decoder::logits(&mut ops, &graph.config, &graph.decoder, &hidden, &mut NoTap).unwrap();
    }
    let factors = BTreeMap::new();
    for activation in [Activation::Gelu, Activation::GeluTanh] {
        let mut ops = Listed { ops: over(&tokens, &factors), seen: &mut seen };
        let (config, parameters) = (
            encoder(activation),
            encoder_parameters(&mut |seed, shape| draw(seed, shape).to_dtype(DType::F32).unwrap()),
        );
        encode(&mut ops, &config, &parameters, &mut NoTap).unwrap();
    }
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), OPERATIONS);
}

#[test]
fn gradients_of_elementwise_operations() {
    for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
        check_gradient("activate", &[9], |x| ops(|ops| ops.activate(x.clone(), activation)));
    }
    let other = draw(5, &[7]);
    check_gradient("add", &[7], |x| ops(|ops| ops.add(x.clone(), &other)));
    check_gradient("add, the other", &[7], |x| ops(|ops| ops.add(other.clone(), x)));
    check_gradient("add, both", &[7], |x| ops(|ops| ops.add(x.clone(), x)));
    check_gradient("multiply", &[7], |x| ops(|ops| ops.multiply(x.clone(), &other)));
    check_gradient("multiply, the other", &[7], |x| ops(|ops| ops.multiply(other.clone(), x)));
    check_gradient("multiply, both", &[7], |x| ops(|ops| ops.multiply(x.clone(), x)));
    check_gradient("cap", &[7], |x| ops(|ops| ops.cap(x.clone(), 1.5)));
    check_gradient("scale", &[7], |x| ops(|ops| ops.scale(x.clone(), -2.5)));
    check_gradient("pick", &[7], |x| ops(|ops| ops.pick(x.clone())));
}

#[test]
fn gradients_of_tables() {
    check_gradient("embed", &[5, 3], |table| ops(|ops| ops.embed(table)));
    check_gradient("embed_positions", &[6, 3], |table| ops(|ops| ops.embed_positions(table)));
    let (x, table) = (draw(7, &[2, 4, 3]), draw(8, &[5, 3]));
    check_gradient("tied", &[2, 4, 3], |x| ops(|ops| ops.tied(x, &table)));
    check_gradient("tied, its table", &[5, 3], |table| ops(|ops| ops.tied(&x, table)));
}

#[test]
fn gradients_of_norms() {
    let x = draw(9, &[2, 4, 6]);
    for (centred, plus_one) in [(false, false), (false, true), (true, false)] {
        let call = NormCall { centred, plus_one, epsilon: 1e-5 };
        let with = |weight: &Tensor, bias: &Tensor| Norm {
            path: String::new(),
            weight: weight.clone(),
            bias: centred.then(|| bias.clone()),
        };
        let (weight, bias) = (draw(10, &[6]), draw(11, &[6]));
        check_gradient("norm", &[2, 4, 6], |x| ops(|ops| ops.norm(x, &with(&weight, &bias), call)));
        check_gradient("norm, its weight", &[6], |w| ops(|ops| ops.norm(&x, &with(w, &bias), call)));
        if centred {
            check_gradient("norm, its bias", &[6], |b| ops(|ops| ops.norm(&x, &with(&weight, b), call)));
        }
        // Two heads of three.
        let (weight, bias) = (draw(12, &[3]), draw(13, &[3]));
        let heads = |x: &Tensor, w: &Tensor| ops(|ops| ops.head_norm(x.clone(), &with(w, &bias), call, 3));
        check_gradient("head_norm", &[2, 4, 6], |x| heads(x, &weight));
        check_gradient("head_norm, its weight", &[3], |w| heads(&x, w));
    }
}

#[test]
fn gradients_of_linear_layers() {
    let (x, w, b) = (draw(20, &[2, 4, 3]), draw(21, &[8, 3]), draw(22, &[8]));
    check_gradient("linear", &[2, 4, 3], |x| ops(|ops| ops.linear(x, &linear(&w, None))));
    check_gradient("linear, its weight", &[8, 3], |w| ops(|ops| ops.linear(&x, &linear(w, None))));
    check_gradient("linear with a bias", &[2, 4, 3], |x| ops(|ops| ops.linear(x, &linear(&w, Some(&b)))));
    check_gradient("linear, its bias", &[8], |b| ops(|ops| ops.linear(&x, &linear(&w, Some(b)))));
    check_gradient("linears, several", &[2, 4, 3], |x| {
        let (one, other) = (linear(&w, None), linear(&draw(23, &[4, 3]), None));
        let [one, other] = ops(|ops| ops.linears(x, [&one, &other]));
        Tensor::cat(&[one, other], 2).unwrap()
    });
    // Factors of a layer of 12 rows, of which the linear holds those from the fourth on.
    for pairing in [Pairing::Halves, Pairing::Neighbours] {
        let layer = Linear { first_row: 4, pairing, head_len: Some(4), ..linear(&w, None) };
        let with = |x: &Tensor, a: &Tensor, b: &Tensor| {
            let (a, b) = (Var::from_tensor(a).unwrap(), Var::from_tensor(b).unwrap());
            let factors = Factors { path: layer.path.clone(), a, b, scaling: 1.5 };
            with_ops(4, &[(layer.path.clone(), factors)].into(), |ops| ops.linear(x, &layer))
        };
        let (a, b) = (draw(24, &[2, 3]), draw(25, &[12, 2]));
        check_gradient("linear with factors", &[2, 4, 3], |x| with(x, &a, &b));
        // The factors are variables of the graph, so the gradient is asked of those.
        let factors = Factors {
            path: layer.path.clone(),
            a: Var::from_tensor(&a).unwrap(),
            b: Var::from_tensor(&b).unwrap(),
            scaling: 1.5,
        };
        for (which, var) in [("a", factors.a.clone()), ("b", factors.b.clone())] {
            check_variable(&format!("linear, its factor {which}"), &var, || {
                let factors = [(layer.path.clone(), factors.clone())].into();
                with_ops(4, &factors, |ops| ops.linear(&x, &layer))
            });
        }
    }
}

/// As [`check_gradient`], of a variable that the function holds.
#[track_caller]
fn check_variable(name: &str, var: &Var, f: impl Fn() -> Tensor) {
    let value = || {
        let out = f();
        let weights = draw(41, out.dims());
        (out * weights).unwrap().sum_all().unwrap()
    };
    let gradients = value().backward().unwrap();
    let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name} stops gradients"));
    let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let start = var.as_tensor().copy().unwrap();
    let values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let at = |i: usize, step: f64| {
        let mut moved = values.clone();
        moved[i] += step;
        var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
        let value = value().to_scalar::<f64>().unwrap();
        var.set(&start).unwrap();
        value
    };
    for (i, found) in gradient.into_iter().enumerate() {
        let expected = (at(i, 1e-5) - at(i, -1e-5)) / 2e-5;
        assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{name}: {found} for {expected}");
    }
}

#[test]
fn gradients_of_attention() {
    let plain = Attention {
        layer: 0,
        heads: 2,
        kv_heads: 2,
        head_len: 4,
        scale: 0.6,
        cap: None,
        window: None,
        causal: Causal::Past,
        rotary: None,
    };
    let turned = |pairing, stretch| Some((Rotary { base: 50.0, stretch }, pairing));
    let llama = Stretch::Llama3 { factor: 4.0, low: 1.0, high: 4.0, original: 16.0 };
    let variations = [
        ("past", plain),
        ("all", Attention { causal: Causal::All, ..plain }),
        ("cap", Attention { cap: Some(1.5), ..plain }),
        ("window", Attention { window: Some(2), ..plain }),
        ("groups", Attention { kv_heads: 1, ..plain }),
        ("halves", Attention { rotary: turned(Pairing::Halves, Stretch::None), ..plain }),
        ("neighbours", Attention { rotary: turned(Pairing::Neighbours, llama), ..plain }),
        (
            "together",
            Attention {
                kv_heads: 1,
                cap: Some(1.5),
                window: Some(2),
                rotary: turned(Pairing::Halves, Stretch::Linear { factor: 2.0 }),
                ..plain
            },
        ),
    ];
    for (name, attention) in variations {
        let (wide, narrow) = ([2, 3, 8], [2, 3, attention.kv_heads * 4]);
        let (queries, keys, values) = (draw(30, &wide), draw(31, &narrow), draw(32, &narrow));
        let attend = |q: &Tensor, k: &Tensor, v: &Tensor| {
            with_ops(3, &BTreeMap::new(), |ops| {
                ops.attend(q.clone(), k.clone(), v.clone(), &attention, &mut NoTap)
            })
        };
        check_gradient(&format!("attend, {name}: queries"), &wide, |x| attend(x, &keys, &values));
        check_gradient(&format!("attend, {name}: keys"), &narrow, |x| attend(&queries, x, &values));
        check_gradient(&format!("attend, {name}: values"), &narrow, |x| attend(&queries, &keys, x));
    }
}

#[test]
fn gradients_of_the_loss() {
    check_gradient("log softmax", &[3, 5], |x| log_softmax(x).unwrap());
    check_gradient("cross entropy", &[3, 5], |logits| {
        cross_entropy(logits, vec![1, 4, 0], vec![1.0, 0.5, 2.0], 3.5).unwrap()
    });
}

fn encoder(activation: Activation) -> EncoderConfig {
    EncoderConfig {
        vocabulary: 61,
        hidden: 8,
        layers: 2,
        heads: 2,
        inner: 6,
        context: 9,
        types: 1,
        norm_epsilon: 1e-5,
        activation,
    }
}

fn encoder_parameters(make: &mut dyn FnMut(u64, &[usize]) -> Tensor) -> Parameters<Tensor, Tensor> {
    let mut seed = 50;
    let mut next = |shape: &[usize]| {
        seed += 1;
        make(seed, shape)
    };
    let words = next(&[61, 8]);
    let positions = next(&[9, 8]);
    let mut linear_of = |rows, columns| {
        let (weight, bias) = (next(&[rows, columns]), next(&[rows]));
        linear(&weight, Some(&bias))
    };
    let squares = [(); 2].map(|()| [(); 4].map(|()| linear_of(8, 8)));
    let inner = [(); 2].map(|()| (linear_of(6, 8), linear_of(8, 6)));
    let mut norm = || Norm { path: String::new(), weight: next(&[8]), bias: Some(next(&[8])) };
    let layers = squares.into_iter().zip(inner).map(|([queries, keys, values, output], (up, down))| {
        EncoderLayer { queries, keys, values, output, attention_norm: norm(), up, down, mlp_norm: norm() }
    });
    let layers = layers.collect();
    Parameters { words, positions, norm: norm(), layers }
}

#[test]
fn gradients_of_a_whole_encoder_agree_with_differences() {
    for activation in [Activation::Gelu, Activation::GeluTanh] {
        let mut variables = Vec::new();
        let parameters = encoder_parameters(&mut |seed, shape| {
            let var = Var::from_tensor(&draw(seed, shape)).unwrap();
            variables.push(var.clone());
            var.as_tensor().clone()
        });
        // One direction for all variables together, in double precision.
        let directions: Vec<_> =
            variables.iter().zip(100..).map(|(var, seed)| draw(seed, var.dims())).collect();
        let starts: Vec<_> = variables.iter().map(|var| var.as_tensor().copy().unwrap()).collect();
        let value = || {
            let out = ops(|ops| encode(ops, &encoder(activation), &parameters, &mut NoTap));
            (&out * draw(99, out.dims())).unwrap().sum_all().unwrap()
        };
        let gradients = value().backward().unwrap();
        let mut expected = 0.0;
        for (var, direction) in variables.iter().zip(&directions) {
            let along = (gradients.get(var).expect("every variable has a gradient") * direction).unwrap();
            expected += along.sum_all().unwrap().to_scalar::<f64>().unwrap();
        }
        let at = |step: f64| {
            for ((var, start), direction) in variables.iter().zip(&starts).zip(&directions) {
                var.set(&(start + (direction * step).unwrap()).unwrap()).unwrap();
            }
            value().to_scalar::<f64>().unwrap()
        };
        let found = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}

#[test]
fn gradients_of_whole_models_agree_with_differences() {
    // In single precision: the loss's change along a random direction, for all variables together.
    for architecture in ALL {
        let graph = Graph::untrained(tiny(architecture), 21, &Trained::All).unwrap();
        let examples: Vec<Example> = sequences(22, &[11, 6])
            .into_iter()
            .map(|tokens| Example { weights: vec![1.0; tokens.len()], tokens })
            .collect();
        let gradients = graph.loss(&examples).unwrap().backward().unwrap();
        let mut mix = Mix(23);
        let mut expected = 0.0_f64;
        let mut moves = Vec::new();
        for var in graph.variables() {
            let gradient = gradients.get(var).expect("every variable has a gradient");
            let direction: Vec<f32> = (0..var.elem_count()).map(|_| mix.normal()).collect();
            let direction = Tensor::from_vec(direction, var.shape(), &Device::Cpu).unwrap();
            expected +=
                f64::from((gradient * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
            moves.push((var.clone(), var.as_tensor().copy().unwrap(), direction));
        }
        let step = 1e-3;
        let loss_at = |step: f64| {
            for (var, start, direction) in &moves {
                var.set(&(start + (direction * step).unwrap()).unwrap()).unwrap();
            }
            f64::from(graph.loss(&examples).unwrap().to_scalar::<f32>().unwrap())
        };
        let found = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        assert!(
            (found - expected).abs() < 0.02 * expected.abs().max(0.5),
            "{architecture:?}: {found} {expected}"
        );
    }
}
