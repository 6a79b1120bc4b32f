//! From a strict [`Value`] to a Rust type, with an error that names the member and what is wrong with it.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Value;

/// Why a value does not have the shape of the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError {
    /// What is wrong.
    pub kind: ShapeErrorKind,
    /// The path of the member, dotted, from the outermost.
    pub path: String,
    /// What the type says about it.
    pub message: String,
}

/// What can be wrong with the shape of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeErrorKind {
    /// A member the type does not have.
    UnknownMember,
    /// A member the type needs is absent.
    MissingMember,
    /// A member or variant of another type or value than the type allows.
    WrongType,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "`{}`: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for ShapeError {}

impl ShapeError {
    fn new(kind: ShapeErrorKind, message: String) -> Self {
        Self { kind, path: String::new(), message }
    }

    /// A member the type does not have.
    pub fn unknown_member(name: &str) -> Self {
        Self::new(ShapeErrorKind::UnknownMember, format!("unknown member `{}`", name.escape_default()))
    }

    /// A member the type needs is absent.
    pub fn missing_member(name: &str) -> Self {
        Self::new(ShapeErrorKind::MissingMember, format!("missing member `{name}`"))
    }

    /// A member of another type or value than the type allows.
    pub fn wrong_type(message: &str) -> Self {
        Self::new(ShapeErrorKind::WrongType, message.to_owned())
    }

    fn within(mut self, step: &str) -> Self {
        self.path = if self.path.is_empty() { step.to_owned() } else { format!("{step}.{}", self.path) };
        self
    }
}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ShapeErrorKind::WrongType, message.to_string())
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::unknown_member(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing_member(field)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
        Self::wrong_type(&format!("`{}` is none of {}", word.escape_default(), known.join(", ")))
    }
}

/// Reads a `T` from a value. Types that derive `Deserialize` with `deny_unknown_fields` refuse unknown members.
pub fn from_value<T: de::DeserializeOwned>(value: &Value) -> Result<T, ShapeError> {
    T::deserialize(Reader(value))
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Integer(integer) => match u64::try_from(*integer) {
                Ok(unsigned) => visitor.visit_u64(unsigned),
                Err(_) => visitor.visit_i64(*integer),
            },
            Value::Float(float) => visitor.visit_f64(*float),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), position: 0 }),
            Value::Object(members) => visitor.visit_map(Members { members: members.iter(), pending: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        // Derived structs would read an array of their members in order as well: a second spelling.
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(de::Error::custom("expected an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Object(members) if members.len() == 1 => match members.iter().next() {
                Some((variant, content)) => visitor
                    .visit_enum(Variant { variant, content })
                    .map_err(|error: ShapeError| error.within(variant)),
                None => Err(de::Error::custom("an object of one member")),
            },
            _ => Err(de::Error::custom("expected a name, or an object of one member")),
        }
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Value>,
    position: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ShapeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ShapeError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let position = self.position;
        self.position += 1;
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.within(&position.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members<'a> {
    members: std::collections::btree_map::Iter<'a, String, Value>,
    pending: Option<(&'a String, &'a Value)>,
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        self.pending = self.members.next();
        match self.pending {
            Some((name, _)) => seed.deserialize(name.as_str().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        match self.pending.take() {
            Some((name, value)) => seed.deserialize(Reader(value)).map_err(|error| error.within(name)),
            None => Err(de::Error::custom("a value before its name")),
        }
    }
}

struct Variant<'a> {
    variant: &'a str,
    content: &'a Value,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = ShapeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ShapeError> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = ShapeError;

    fn unit_variant(self) -> Result<(), ShapeError> {
        Err(de::Error::custom("this name takes no content"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ShapeError> {
        seed.deserialize(Reader(self.content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ShapeError> {
        de::Deserializer::deserialize_any(Reader(self.content), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        de::Deserializer::deserialize_struct(Reader(self.content), "", members, visitor)
    }
}
