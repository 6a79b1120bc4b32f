//! Which files with which digests: the statement that is signed.

mod serialization;

use std::collections::BTreeMap;

use statement::json::{self, Limits, Numbers, Value};
use statement::{Digest, STATEMENT_TYPE};

use super::name;
use crate::Error;
use crate::error::shown;
use crate::fingerprint::document::object;

pub use self::serialization::{HashType, Method, Serialization, Symlinks};

/// The predicate type of OMS 1.0.
pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
/// Largest statement, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// Most files and shards.
pub const RESOURCES_MAX: usize = 1_000_000;
/// Most paths that are left out.
const IGNORED_MAX: usize = 10_000;
/// The size of shards that `model_signing` uses.
pub const SHARD_BYTES: u64 = 1_000_000_000;
/// The one resource of a model that is a single file.
pub const SINGLE_FILE: &str = ".";
/// The predicate's member that is ours. Others ignore it, as OMS asks them to.
const OWN_MEMBER: &str = "countersign";

/// First byte of a shard, and one past its last; none for a whole file.
pub type Span = Option<(u64, u64)>;

/// A file, or a run of bytes of one, with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The file, relative to the model; [`SINGLE_FILE`] for a model that is one file.
    pub path: String,
    /// First byte, and one past the last; none for whole files.
    pub span: Span,
    /// The digest.
    pub digest: Vec<u8>,
}

impl Resource {
    /// The name in statements.
    pub fn name(&self) -> String {
        match self.span {
            None => self.path.clone(),
            Some((begin, end)) => format!("{}:{begin}:{end}", self.path),
        }
    }
}

/// A model's files as they are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    model: String,
    serialization: Serialization,
    resources: Vec<Resource>,
    unknown: Vec<String>,
    bound: Option<Digest>,
}

impl Manifest {
    /// A manifest of these resources, in any order.
    ///
    /// # Errors
    /// [`Error::ResourceName`], [`Error::Unsignable`], and what [`Error::Bundle`] says about digests and shards.
    pub fn new(
        model: &str,
        serialization: Serialization,
        mut resources: Vec<Resource>,
    ) -> Result<Self, Error> {
        resources.sort_by(|a, b| name::order(&a.path, &b.path).then(a.span.cmp(&b.span)));
        for path in &serialization.ignored {
            name::check(path)?;
        }
        let mut manifest =
            Self { model: model.to_owned(), serialization, resources, unknown: Vec::new(), bound: None };
        manifest.check()?;
        manifest.bound = Some(manifest.names()?);
        Ok(manifest)
    }

    /// Every name may stand, none twice, none is a folder of another; shards follow each other.
    fn check(&self) -> Result<(), Error> {
        if self.model.is_empty() || self.model.len() > 4096 || self.model.contains(char::is_control) {
            return Err(Error::ResourceName {
                name: shown(&self.model),
                reason: "the model's name is empty or unfit",
            });
        }
        if self.resources.is_empty() || self.resources.len() > RESOURCES_MAX {
            return Err(Error::Unsignable { reason: "it has no files, or more than a million" });
        }
        let mut spans: BTreeMap<Vec<&str>, Vec<Span>> = BTreeMap::new();
        for resource in &self.resources {
            if resource.path != SINGLE_FILE {
                name::check(&resource.path)?;
            }
            if resource.digest.len() != self.serialization.hash.bytes() {
                return Err(Error::bundle("predicate.resources", "a digest has the wrong length"));
            }
            spans.entry(resource.path.split('/').collect()).or_default().push(resource.span);
        }
        if spans.len() > 1 && spans.contains_key(&vec![SINGLE_FILE]) {
            let reason = "it means a model of one file, and there are several";
            return Err(Error::ResourceName { name: SINGLE_FILE.to_owned(), reason });
        }
        let mut before: Option<&Vec<&str>> = None;
        for (path, mut spans) in spans.iter().map(|(path, spans)| (path, spans.clone())) {
            let refused = |reason| Err(Error::ResourceName { name: shown(&path.join("/")), reason });
            if before.is_some_and(|before| path.starts_with(before)) {
                return refused("it stands in a folder that is also named as a file");
            }
            before = Some(path);
            spans.sort_unstable();
            match self.serialization.method {
                Method::Files if spans == [None] => {}
                Method::Files => return refused("it is named twice"),
                Method::Shards { bytes } if follow(&spans, bytes) => {}
                Method::Shards { .. } => {
                    return refused("its shards do not follow each other from its beginning");
                }
            }
        }
        Ok(())
    }

    /// What the folder was called when it was signed.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How the folder became this list.
    pub const fn serialization(&self) -> &Serialization {
        &self.serialization
    }

    /// The files and shards.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Members of the predicate that mean nothing here, as OMS wants them ignored.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether the bundle says the digest of names itself, so that one digest stands for all that was signed.
    pub const fn binds_names(&self) -> bool {
        self.bound.is_some()
    }

    /// The digest that OMS puts into the subject: SHA-256 of all digests in a row. It leaves out the names.
    pub fn subject_digest(&self) -> Digest {
        let digests: Vec<&[u8]> = self.resources.iter().map(|resource| resource.digest.as_slice()).collect();
        Digest::of_parts(&digests)
    }

    /// A digest of everything: SHA-256 of the canonical JSON of the model's name, `serialization` and `resources`.
    ///
    /// # Errors
    /// [`Error::SealForm`] where a shard's size does not fit JSON's integers.
    pub fn names(&self) -> Result<Digest, Error> {
        let all = object([
            ("model", Value::String(self.model.clone())),
            ("resources", self.resources_value()),
            ("serialization", self.serialization.to_value()?),
        ]);
        Ok(Digest::of(&json::encode(&all)))
    }

    fn resources_value(&self) -> Value {
        let algorithm = self.serialization.algorithm();
        let resource = |resource: &Resource| {
            object([
                ("algorithm", Value::String(algorithm.clone())),
                ("digest", Value::String(hex(&resource.digest))),
                ("name", Value::String(resource.name())),
            ])
        };
        Value::Array(self.resources.iter().map(resource).collect())
    }

    /// The statement: canonical JSON, what is signed in its pre-authentication encoding.
    ///
    /// # Errors
    /// As [`Manifest::names`].
    pub fn to_payload(&self) -> Result<Vec<u8>, Error> {
        let names = object([("names", Value::String(self.names()?.to_string()))]);
        let predicate = object([
            (OWN_MEMBER, names),
            ("resources", self.resources_value()),
            ("serialization", self.serialization.to_value()?),
        ]);
        let digest = object([("sha256", Value::String(self.subject_digest().to_string()))]);
        let subject = object([("digest", digest), ("name", Value::String(self.model.clone()))]);
        Ok(json::encode(&object([
            ("_type", Value::String(STATEMENT_TYPE.to_owned())),
            ("predicate", predicate),
            ("predicateType", Value::String(PREDICATE_TYPE.to_owned())),
            ("subject", Value::Array(vec![subject])),
        ])))
    }

    /// Reads a statement and checks it against itself.
    ///
    /// # Errors
    /// [`Error::Bundle`], [`Error::ResourceName`], [`Error::SubjectDigest`], [`Error::Names`].
    pub fn of_payload(bytes: &[u8]) -> Result<Self, Error> {
        let limits = Limits { bytes: PAYLOAD_BYTES_MAX, depth: 32, numbers: Numbers::Any };
        let value = json::parse(bytes, limits).map_err(|error| Error::bundle("payload", error))?;
        let wrong = |reason: &str| Error::bundle("payload", reason);
        let (Value::Object(outer), 4) = (&value, members_of(&value)) else {
            return Err(wrong("it is not a statement of four members"));
        };
        if outer.get("_type") != Some(&Value::String(STATEMENT_TYPE.to_owned())) {
            return Err(wrong("`_type` is not that of an in-toto statement v1"));
        }
        if outer.get("predicateType") != Some(&Value::String(PREDICATE_TYPE.to_owned())) {
            return Err(wrong("`predicateType` is not that of OMS 1.0"));
        }
        let (model, said) = subject(outer.get("subject"))
            .ok_or_else(|| wrong("`subject` is not one name with one `sha256` digest"))?;
        let Some(Value::Object(predicate)) = outer.get("predicate") else {
            return Err(wrong("`predicate` is not an object"));
        };
        let serialization = Serialization::of_value(predicate.get("serialization").unwrap_or(&Value::Null))?;
        let Some(Value::Array(items)) = predicate.get("resources") else {
            return Err(Error::bundle("predicate.resources", "it is not a list"));
        };
        let algorithm = serialization.algorithm();
        let resources = items
            .iter()
            .map(|item| resource(item, &serialization, &algorithm))
            .collect::<Result<Vec<_>, _>>()?;
        let known = ["resources", "serialization", OWN_MEMBER];
        let unknown =
            predicate.keys().filter(|name| !known.contains(&name.as_str())).map(|name| shown(name)).collect();
        let mut manifest = Self { model, serialization, resources, unknown, bound: None };
        manifest.check()?;
        let is = manifest.subject_digest();
        if is != said {
            return Err(Error::SubjectDigest { said, is });
        }
        if let Some(own) = predicate.get(OWN_MEMBER) {
            let said = match own {
                Value::Object(members) if members.len() == 1 => members.get("names"),
                _ => None,
            };
            let said: Digest = match said {
                Some(Value::String(text)) => text.parse().ok(),
                _ => None,
            }
            .ok_or_else(|| Error::bundle("predicate.countersign", "it is not the digest `names` alone"))?;
            let is = manifest.names()?;
            if is != said {
                return Err(Error::Names { said, is });
            }
            manifest.bound = Some(said);
        }
        Ok(manifest)
    }
}

fn members_of(value: &Value) -> usize {
    if let Value::Object(members) = value { members.len() } else { 0 }
}

/// Shards of `size` bytes each, the last perhaps shorter, from the first byte on.
fn follow(spans: &[Span], size: u64) -> bool {
    let mut reached = 0;
    for (place, span) in spans.iter().enumerate() {
        let Some((begin, end)) = *span else { return false };
        let is_last = place + 1 == spans.len();
        let fits = end > begin && if is_last { end - begin <= size } else { end - begin == size };
        if begin != reached || !fits {
            return false;
        }
        reached = end;
    }
    true
}

fn subject(value: Option<&Value>) -> Option<(String, Digest)> {
    let Some(Value::Array(subjects)) = value else { return None };
    let [one @ Value::Object(members)] = subjects.as_slice() else { return None };
    let (Some(Value::String(name)), Some(digest @ Value::Object(digests))) =
        (members.get("name"), members.get("digest"))
    else {
        return None;
    };
    let Some(Value::String(digest_text)) = digests.get("sha256") else { return None };
    if members_of(one) != 2 || members_of(digest) != 1 {
        return None;
    }
    Some((name.clone(), digest_text.parse().ok()?))
}

fn resource(value: &Value, serialization: &Serialization, algorithm: &str) -> Result<Resource, Error> {
    let wrong = |reason: &str| Error::bundle("predicate.resources", reason);
    let (Value::Object(members), 3) = (value, members_of(value)) else {
        return Err(wrong("a resource is not an object of three members"));
    };
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(wrong("a resource lacks `algorithm`, `digest` or `name`")),
    };
    if text("algorithm")? != algorithm {
        return Err(wrong("the `algorithm` of a resource is not that of `serialization`"));
    }
    let digest = unhex(text("digest")?).ok_or_else(|| wrong("a `digest` is not lower-case hexadecimal"))?;
    let full = text("name")?;
    match serialization.method {
        Method::Files => Ok(Resource { path: full.to_owned(), span: None, digest }),
        Method::Shards { .. } => {
            let mut parts = full.splitn(3, ':');
            let number = |part: Option<&str>| {
                let text = part.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
                // One spelling for each number.
                text.parse::<u64>().ok().filter(|number| number.to_string() == text)
            };
            let path = parts.next().unwrap_or_default().to_owned();
            let (Some(begin), Some(end)) = (number(parts.next()), number(parts.next())) else {
                return Err(Error::ResourceName { name: shown(full), reason: "it is not `path:begin:end`" });
            };
            Ok(Resource { path, span: Some((begin, end)), digest })
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests;
