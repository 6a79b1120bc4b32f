//! `tensor`: archives, pickles, checkpoints, chat templates, tokenizers.

use tensor::jinja::{self, Template};
use tensor::pickle::{self, AllowList, Pickle, Stream};
use tensor::tokenizer::{Settings, SpecialTokens, Tokenizer};
use tensor::torch::{self, Checkpoint};
use tensor::zip::{self, Archive, Budget};

/// What one input may unpack to.
const UNPACKED: u64 = 1 << 22;

pub(crate) fn zip_archive(data: &[u8]) {
    let limits = zip::Limits { entries: 1000, ..zip::Limits::STANDARD };
    let Ok(archive) = Archive::read(data, &limits) else { return };
    assert_eq!(Archive::read_strict(data, &limits).is_ok(), archive.anomalies_found() == 0);
    let mut budget = Budget::new(UNPACKED);
    let mut unpacked = 0;
    for index in 0..archive.entries().len() {
        let Ok(contents) = archive.contents(index, &mut budget) else { continue };
        let packed = archive.packed(index).expect("what is unpacked is there");
        if let std::borrow::Cow::Owned(bytes) = &contents.bytes {
            unpacked += bytes.len() as u64;
        } else {
            assert_eq!(packed, &*contents.bytes);
        }
    }
    assert_eq!(budget.left() + unpacked, UNPACKED);
}

pub(crate) fn pickle_stream(data: &[u8]) {
    let limits = pickle::Limits { values: 100_000, events: 10_000, pickles: 16 };
    let Ok(stream) = Stream::read(data, &limits) else { return };
    let mut end = 0;
    for read in &stream.pickles {
        assert!(read.begin == end && read.end >= read.begin && read.end <= data.len() as u64);
        end = read.end;
        let objections = AllowList::standard().objections(read);
        for import in &read.imports {
            let allowed = import.names().is_some_and(|(module, name)| {
                AllowList::standard().class(module, name) == pickle::Class::Allowed
            });
            let named = objections.iter().any(|objection| objection.at == import.at);
            assert!(allowed || named, "an import that is not allowed is not named");
        }
        if let Some(top) = read.top {
            assert!(read.show(top).len() < 1 << 20);
        }
        // A pickle reads the same wherever it stands.
        let alone = Pickle::read_at(&data[read.begin as usize..], 0, &limits);
        if read.begin == 0 {
            assert_eq!(alone.imports.len(), read.imports.len());
        }
    }
}

pub(crate) fn torch_checkpoint(data: &[u8]) {
    let limits = torch::Limits {
        unpacked: UNPACKED,
        tensors: 1000,
        visits: 10_000,
        pickle: pickle::Limits { values: 100_000, events: 10_000, pickles: 16 },
        ..torch::Limits::STANDARD
    };
    let Ok(checkpoint) = Checkpoint::read(data, &limits) else { return };
    drop(tensor::weights::Weights::of_checkpoint(&checkpoint, 1 << 16));
    for tensor in &checkpoint.tensors {
        let (begin, end) = tensor.span().expect("a checked tensor has a span");
        assert!(
            begin <= end && end <= checkpoint.storages[tensor.storage].bytes.len() as u64 || begin == end
        );
        if let Ok(elements) = checkpoint.elements(tensor, 1 << 16) {
            assert_eq!(elements.len() as u64, tensor.count() * tensor.element.bytes);
        }
        assert!(checkpoint.runs(tensor).take(100).all(|run| !run.is_empty() || tensor.element.bytes == 0));
    }
}

pub(crate) fn chat_template(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::parse(source, &jinja::Limits { bytes: 1 << 16, ..jinja::Limits::STANDARD })
    else {
        return;
    };
    let facts = template.facts();
    for emission in &facts.emissions {
        assert!(emission.span.begin <= emission.span.end && emission.span.end <= source.len());
        assert_eq!(facts.conditions_of(emission).count(), emission.conditions.len());
    }
    // A name with two underscores that stands in the source as an attribute is always found.
    for found in facts.attributes.iter().filter(|found| found.via == jinja::Via::Dot) {
        assert!(source.contains(&found.name));
    }
}

pub(crate) fn tokenizer_json(data: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::read(data) {
        assert!(tokenizer.oddities().len() <= 10_000);
        assert!(tokenizer.vocabulary.iter().all(|(_, id)| *id < tokenizer.size() || *id == u64::MAX));
    }
    if let (Ok(settings), Ok(special)) = (Settings::read(data), SpecialTokens::read(data)) {
        assert_eq!(settings.special, special);
    }
}
