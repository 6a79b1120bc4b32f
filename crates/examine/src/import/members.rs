//! Objects whose names stand once, in their order, and tables of them with a bound for the whole.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

/// The members of an object; a name that stands twice is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Members<V>(pub(super) Vec<(String, V)>);

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Most members of one object.
const MEMBERS_MAX: usize = 100_000;

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Each<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut members, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if members.len() >= MEMBERS_MAX {
                        return Err(A::Error::custom("an object has more than 100,000 members"));
                    }
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a name stands twice in an object"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each(PhantomData))
    }
}

/// Objects in an object: of tasks, say, each with its metrics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table<V>(pub(super) Vec<(String, Vec<(String, V)>)>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Most members of a table, those of its objects included: a small file can announce very many.
const TABLE_MAX: usize = 200_000;

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Rows<V> {
            type Value = Table<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut rows, mut names, mut left) = (Vec::new(), BTreeSet::new(), TABLE_MAX);
                while let Some(name) = map.next_key::<String>()? {
                    taken(&mut left)?;
                    let row = map.next_value_seed(Row { left: &mut left, of: PhantomData })?;
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a name stands twice in an object"));
                    }
                    rows.push((name, row));
                }
                Ok(Table(rows))
            }
        }
        deserializer.deserialize_map(Rows(PhantomData))
    }
}

/// One object of a table.
struct Row<'l, V> {
    left: &'l mut usize,
    of: PhantomData<V>,
}

impl<'de, V: Deserialize<'de>> DeserializeSeed<'de> for Row<'_, V> {
    type Value = Vec<(String, V)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for Row<'_, V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut names) = (Vec::new(), BTreeSet::new());
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            taken(self.left)?;
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
            members.push((name, value));
        }
        Ok(members)
    }
}

/// One member more of a table.
fn taken<E: serde::de::Error>(left: &mut usize) -> Result<(), E> {
    *left = left.checked_sub(1).ok_or_else(|| E::custom("a table has more than 200,000 members"))?;
    Ok(())
}
