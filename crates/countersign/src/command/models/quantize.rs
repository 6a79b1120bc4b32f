//! `countersign quantize`: a model's weights in fewer bits, the same bytes from the same weights wherever it is run.

mod folder;
mod output;
mod plan;
mod source;

use std::path::Path;
use std::time::Duration;

use quant::Kind;
use quant::bitsandbytes::{self, Backend};
use quant::mixture::Importance;
use scan::ReadIn;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use statement::Digest;
use tensor::gguf::{GgmlType, TensorInfo};
use tensor::imatrix::{self, Matrix};
use tensor::safetensors::Dtype;

use self::folder::Whole;
use self::output::{Output, Written};
use self::plan::{Plan, Target, Treatment};
use self::source::{Opened, Source, Weights, plain_dtype};
use super::work::{self, Allowance, Answer, Contents, Handed, Mouth};
use super::{told_with, with_place};
use crate::busy::while_busy;
use crate::cli::{QuantizeArgs, QuantizeBackend, QuantizeChoice};
use crate::command::Setting;
use crate::failure::{Done, Failure};
use crate::text::line;

pub(crate) use self::folder::{WholeTask, whole};

/// What is quantised, and how.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// As the user named it.
    path: String,
    /// The number of the file.
    model: u32,
    /// The number of the importance matrix, and as the user named it.
    imatrix: Option<(u32, String)>,
    to: String,
    choice: QuantizeChoice,
    again: Again,
    backend: QuantizeBackend,
    blocksize: usize,
}

/// Whether weights that are quantised already are quantised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Again {
    Refused,
    Allowed,
}

/// What became of the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// The weights had been quantised before.
    derived: bool,
    tensors: Vec<Report>,
}

/// A tensor is held in single precision, twice; a file as bitsandbytes keeps it, whole. What was packed to two bits can
/// be written in sixteen.
const ALLOWANCE: Allowance =
    Allowance { memory_for_each: 16, time: Duration::from_hours(6), answer_for_each: 8 };

/// Reads, quantises, writes, and tells how far each tensor has moved.
pub(crate) fn quantize(setting: &Setting, args: &QuantizeArgs) -> Done {
    let target: Target = args.to.parse()?;
    let whole = whole_of(args, target)?;
    let mut handed = Handed::default();
    let model = handed.file(whole.as_ref().map_or(args.path.as_path(), Whole::path))?;
    let matrix = |path: &std::path::PathBuf| -> Done<(u32, String)> {
        Ok((handed.file(path)?, path.display().to_string()))
    };
    let task = Task {
        path: args.path.display().to_string(),
        model,
        imatrix: args.imatrix.as_ref().map(matrix).transpose()?,
        to: args.to.clone(),
        choice: args.choice(),
        again: if args.requantize { Again::Allowed } else { Again::Refused },
        backend: args.backend,
        blocksize: args.blocksize,
    };
    let output = Output::begin(&args.out)?;
    let (answer, read_in) = while_busy("quantising weights", || {
        let task = work::Task::Quantize(task);
        work::perform(args.isolation, &handed, task, ALLOWANCE, &mut |heard| output.hear(heard))
    })?;
    let Answer::Quantised(told) = answer else { return Err(work::another()) };
    told.check().map_err(work::lie)?;
    tell(setting, args, target, &told, &output.publish()?, &read_in);
    Ok(())
}

/// Reads an importance matrix.
fn importance_matrix(path: &Path, bytes: &[u8]) -> Done<Matrix> {
    Matrix::read(bytes).map_err(|error| match error {
        imatrix::Error::Gguf(error) => Failure::from(error).of_file(path),
        other => Failure::not_a("importance matrix", path, other.to_string()),
    })
}

/// The file that is made of a folder first; none where a file was named.
fn whole_of(args: &QuantizeArgs, target: Target) -> Done<Option<Whole>> {
    if !args.path.is_dir() {
        return Ok(None);
    }
    match target {
        Target::Mixture(_) | Target::Kind(_) => {
            let whole = Whole::write(&args.path, &args.out, args.isolation);
            whole.map(Some).map_err(|failure| failure.of_file(&args.path))
        }
        Target::FourBit(_) | Target::Int8 => {
            let message =
                format!("`{}` is a folder, and `{}` is made of one file", args.path.display(), args.to);
            Err(Failure::new(
                "CS-CLI-033",
                message,
                "name the .safetensors file in it; of several, each by itself",
            ))
        }
    }
}

/// Quantises, wherever that is done.
pub(super) fn quantised(task: &Task, contents: &Contents, mouth: &Mouth<'_>) -> Done<Told> {
    let target: Target = task.to.parse()?;
    let path = Path::new(&task.path);
    let opened = Opened::read(contents.number(task.model)?).map_err(|failure| failure.of_file(path))?;
    let source = Source::of(path, &opened)?;
    let matrix = task.imatrix.as_ref().map(|(number, path)| {
        let bytes = contents.number(*number)?;
        importance_matrix(Path::new(path), bytes)
    });
    let matrix = matrix.transpose()?;
    let importance = if matrix.is_some() { Importance::Given } else { Importance::Absent };
    let plan = Plan::make(target, task.choice, &source, importance)?;
    let derived = plan.requantises(&source);
    if derived && task.again == Again::Refused {
        let message = format!("`{}` is quantised already", task.path);
        let hint = "quantise the weights it came from, or give `--requantize` and call the result derived";
        return Err(Failure::new("CS-CLI-030", message, hint));
    }
    let tensors = match target {
        Target::Mixture(_) | Target::Kind(_) => to_gguf(&source, &plan, matrix.as_ref(), mouth)?,
        Target::FourBit(_) | Target::Int8 => to_safetensors(task, &source, &plan, mouth)?,
    };
    Ok(Told { derived, tensors })
}

/// What became of one tensor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    name: String,
    from: String,
    to: String,
    elements: usize,
    /// Root of the mean squared difference; nothing for what was copied.
    rmse: Option<f64>,
    largest: f64,
    digest: Digest,
}

impl Told {
    /// Whether a worker can have done this. Whether it is true is told by reading the file that was written.
    fn check(&self) -> Result<(), &'static str> {
        let text = |text: &String| text.len() <= 64 << 10;
        let number = |value: f64| value >= 0.0;
        let fits = |report: &Report| {
            [&report.name, &report.from, &report.to].into_iter().all(text)
                && report.rmse.is_none_or(number)
                && number(report.largest)
        };
        if self.tensors.iter().all(fits) { Ok(()) } else { Err("what it says of a tensor is none of one") }
    }
}

fn to_gguf(
    source: &Source<'_>,
    plan: &Plan,
    matrix: Option<&Matrix>,
    mouth: &Mouth<'_>,
) -> Done<Vec<Report>> {
    let infos: Vec<TensorInfo<'_>> = source
        .tensors
        .iter()
        .zip(&plan.treatments)
        .map(|(weights, treatment)| TensorInfo {
            name: weights.name,
            kind: treatment.ggml_type(weights),
            shape: &weights.shape,
        })
        .collect();
    let metadata = source.metadata(plan.file_type());
    let mut reports = Vec::new();
    let mut writer = tensor::gguf::Writer::begin(&metadata, &infos, |bytes: &[u8]| mouth.data(bytes))?;
    for (weights, treatment) in source.tensors.iter().zip(&plan.treatments) {
        let (bytes, report) = treat(weights, *treatment, matrix)?;
        writer.data(&bytes)?;
        reports.push(report);
    }
    writer.finish()?;
    Ok(reports)
}

/// The tensor's bytes in the output, and how far they are from the input's weights.
fn treat(weights: &Weights<'_>, treatment: Treatment, matrix: Option<&Matrix>) -> Done<(Vec<u8>, Report)> {
    let mut report = Report {
        name: weights.name.to_owned(),
        from: weights.kind.name().to_owned(),
        to: treatment.ggml_type(weights).name().to_owned(),
        elements: weights.elements(),
        rmse: None,
        largest: 0.0,
        digest: Digest::of(b""),
    };
    let bytes = match treatment {
        Treatment::Keep | Treatment::Pack => weights.data.to_vec(),
        Treatment::Half => {
            let values = weights.floats()?;
            let halves: Vec<u16> = values.iter().map(|value| quant::half_bits(*value)).collect();
            let rounded: Vec<f32> = halves.iter().map(|bits| quant::half(*bits)).collect();
            if let Some(index) = rounded.iter().position(|value| !value.is_finite()) {
                return Err(named(weights.name, &quant::Error::NotFinite { index }));
            }
            measure(&mut report, &values, &rounded);
            halves.iter().flat_map(|bits| bits.to_le_bytes()).collect()
        }
        Treatment::Quantise(kind) => {
            let values = weights.floats()?;
            let bytes = in_slices(weights, kind, &values, matrix)?;
            quant::check(kind, &bytes).map_err(|error| named(weights.name, &error))?;
            let mut back = vec![0.0; values.len()];
            quant::dequantize(kind, &bytes, &mut back)?;
            measure(&mut report, &values, &back);
            bytes
        }
    };
    report.digest = Digest::of(&bytes);
    Ok((bytes, report))
}

/// A tensor with experts has an importance matrix for each.
fn in_slices(weights: &Weights<'_>, kind: Kind, values: &[f32], matrix: Option<&Matrix>) -> Done<Vec<u8>> {
    let row_len = weights.row_len();
    let refused = |error| named(weights.name, &error);
    let Some(entries) = matrix.and_then(|matrix| matrix.of(weights.name)) else {
        return quant::quantize(kind, values, row_len, None).map_err(refused);
    };
    let slices = weights.slices();
    if entries.len() != row_len * slices {
        return Err(refused(quant::Error::ImportanceLength {
            given: entries.len(),
            row_len: row_len * slices,
        }));
    }
    let mut bytes = Vec::new();
    for (values, entries) in values.chunks(values.len() / slices).zip(entries.chunks(row_len)) {
        bytes.extend(quant::quantize(kind, values, row_len, Some(entries)).map_err(refused)?);
    }
    Ok(bytes)
}

fn measure(report: &mut Report, before: &[f32], after: &[f32]) {
    let mut sum = 0.0_f64;
    for (before, after) in before.iter().zip(after) {
        let difference = f64::from(*before) - f64::from(*after);
        sum += difference * difference;
        report.largest = report.largest.max(difference.abs());
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of elements, for a mean")]
    let elements = before.len().max(1) as f64;
    report.rmse = Some((sum / elements).sqrt());
}

/// A refusal of a tensor by its name.
fn named(tensor: &str, error: &quant::Error) -> Failure {
    Failure::new(error.code(), format!("tensor `{tensor}`: {error}"), error.hint())
}

fn unwritable(weights: &Weights<'_>) -> Failure {
    let message = format!("tensor `{}` is of type `{}`", weights.name, weights.kind.name());
    Failure::new("CS-CLI-031", message, "quantise a copy of the model in F32, F16 or BF16")
}

/// A tensor of a safetensors file.
type Plain = (String, Dtype, Vec<usize>, Vec<u8>);

fn to_safetensors(task: &Task, source: &Source<'_>, plan: &Plan, mouth: &Mouth<'_>) -> Done<Vec<Report>> {
    let mut tensors: Vec<Plain> = Vec::new();
    let mut reports = Vec::new();
    for (weights, treatment) in source.tensors.iter().zip(&plan.treatments) {
        let mut report = Report {
            name: weights.name.to_owned(),
            from: weights.kind.name().to_owned(),
            to: weights.kind.name().to_owned(),
            elements: weights.elements(),
            rmse: None,
            largest: 0.0,
            digest: Digest::of(weights.data),
        };
        if *treatment == Treatment::Keep {
            let dtype = plain_dtype(weights.kind).ok_or_else(|| unwritable(weights))?;
            tensors.push((weights.name.to_owned(), dtype, weights.shape.clone(), weights.data.to_vec()));
        } else {
            let values = weights.floats()?;
            let back = bitsandbytes_tensor(task, plan.target, weights, &values, &mut tensors)?;
            measure(&mut report, &values, &back);
            plan.target.name().clone_into(&mut report.to);
            if let Some((.., bytes)) = tensors.iter().rev().find(|(name, ..)| name == weights.name) {
                report.digest = Digest::of(bytes);
            }
        }
        reports.push(report);
    }
    let views: Vec<(&str, Dtype, &[usize], &[u8])> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, shape.as_slice(), bytes.as_slice()))
        .collect();
    mouth.data(&tensor::safetensors::write(&views)?);
    Ok(reports)
}

/// Adds the tensors that bitsandbytes keeps for one weight, and answers the weight turned back.
fn bitsandbytes_tensor(
    task: &Task,
    target: Target,
    weights: &Weights<'_>,
    values: &[f32],
    tensors: &mut Vec<Plain>,
) -> Done<Vec<f32>> {
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let refused = |error| named(weights.name, &error);
    let mut back = vec![0.0; values.len()];
    let name = weights.name;
    if let Target::FourBit(table) = target {
        let backend = Backend::from(task.backend);
        let blocks = bitsandbytes::quantize_4bit(table, backend, values, task.blocksize).map_err(refused)?;
        let packed = &blocks.packed;
        bitsandbytes::dequantize_4bit(table, backend, packed, &blocks.absmax, task.blocksize, &mut back)?;
        let kind = target.name().to_ascii_lowercase();
        let state = json!({
            "quant_type": kind,
            "blocksize": task.blocksize,
            "dtype": torch_name(weights.kind),
            "shape": weights.shape,
        });
        let state = state.to_string().into_bytes();
        let count = blocks.absmax.len();
        tensors.push((format!("{name}.absmax"), Dtype::F32, vec![count], floats(&blocks.absmax)));
        tensors.push((format!("{name}.quant_map"), Dtype::F32, vec![16], floats(&table.levels())));
        let key = format!("{name}.quant_state.bitsandbytes__{kind}");
        tensors.push((key, Dtype::U8, vec![state.len()], state));
        tensors.push((name.to_owned(), Dtype::U8, vec![blocks.packed.len(), 1], blocks.packed));
    } else {
        // The library rounds a layer's weights to half precision first.
        let halves: Vec<f32> = values.iter().map(|value| quant::half(quant::half_bits(*value))).collect();
        let rows = bitsandbytes::quantize_int8(&halves, weights.row_len(), None).map_err(refused)?;
        bitsandbytes::dequantize_int8(&rows.values, &rows.row_absmax, weights.row_len(), &mut back)?;
        let bytes = rows.values.iter().map(|value| value.cast_unsigned()).collect();
        let scales = name.strip_suffix("weight").unwrap_or(name);
        tensors.push((
            format!("{scales}SCB"),
            Dtype::F32,
            vec![rows.row_absmax.len()],
            floats(&rows.row_absmax),
        ));
        tensors.push((name.to_owned(), Dtype::I8, weights.shape.clone(), bytes));
    }
    Ok(back)
}

fn tell(
    setting: &Setting,
    args: &QuantizeArgs,
    target: Target,
    told: &Told,
    written: &Written,
    read_in: &ReadIn,
) {
    let (derived, reports) = (told.derived, &told.tensors);
    let tensors: Vec<Json> = reports
        .iter()
        .map(|report| {
            json!({
                "name": report.name,
                "from": report.from,
                "to": report.to,
                "elements": report.elements,
                "rmse": report.rmse,
                "largest": report.rmse.map(|_| report.largest),
                "sha256": report.digest,
            })
        })
        .collect();
    let value = json!({
        "out": args.out,
        "sha256": written.digest,
        "bytes": written.bytes,
        "to": target.name(),
        "derived": derived,
        "tensors": tensors,
    });
    let mut text = String::new();
    let changed = reports.iter().filter(|report| report.rmse.is_some());
    line(&mut text, &format!("{:<44} {:>6} {:>6} {:>12} {:>11}", "tensor", "from", "to", "elements", "rmse"));
    for report in changed.clone() {
        let rmse = report.rmse.unwrap_or_default();
        let Report { name, from, to, elements, .. } = report;
        line(&mut text, &format!("{name:<44} {from:>6} {to:>6} {elements:>12} {rmse:>11.3e}"));
    }
    let kept = reports.len() - changed.count();
    line(&mut text, &format!("{kept} tensors kept as they were"));
    if derived {
        line(&mut text, "derived: the weights had been quantised before, and were turned back first");
    }
    line(
        &mut text,
        &format!("`{}`: {} bytes, SHA-256 {}", args.out.display(), written.bytes, written.digest),
    );
    setting.print(&told_with(value, read_in), &with_place(text, read_in));
}

/// What PyTorch calls the type that a weight is turned back into.
fn torch_name(kind: GgmlType) -> &'static str {
    match kind {
        GgmlType::F16 => "float16",
        GgmlType::BF16 => "bfloat16",
        _ => "float32",
    }
}

impl From<QuantizeBackend> for Backend {
    fn from(backend: QuantizeBackend) -> Self {
        match backend {
            QuantizeBackend::Midpoints => Self::Midpoints,
            QuantizeBackend::Argmin => Self::Argmin,
            QuantizeBackend::Cuda => Self::Cuda,
        }
    }
}

impl Treatment {
    /// The type in a GGUF file.
    fn ggml_type(self, weights: &Weights<'_>) -> GgmlType {
        match self {
            Self::Keep | Self::Pack => weights.kind,
            Self::Half => GgmlType::F16,
            // INVARIANT: every kind is one of ggml's types; a test of `quant` compares the numbers.
            Self::Quantise(kind) => GgmlType::from_number(kind.ggml_type()).unwrap_or(GgmlType::F32),
        }
    }
}
