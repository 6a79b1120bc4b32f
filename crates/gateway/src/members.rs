//! What a gateway reads of a request: the model, the user, whether the answer is streamed; and what it refuses.
//!
//! Everything else is passed on as it came, byte for byte. The text is looked at once and nothing of it is copied.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Refusal;
use crate::refusal::shown;

/// Members of a request at most.
const MEMBERS_MAX: usize = 128;

/// Members that would change what was approved, and how.
const ALTERING: &[(&str, &str)] = &[
    ("adapter", "it would load an adapter"),
    ("adapter_id", "it would load an adapter"),
    ("adapters", "it would load adapters"),
    ("add_generation_prompt", "it would change the template"),
    ("add_special_tokens", "it would change the template"),
    ("chat_template", "it would change the template"),
    ("chat_template_kwargs", "it would change the template"),
    ("continue_final_message", "it would change the template"),
    ("control_vectors", "it would steer the model"),
    ("documents", "it would change the template"),
    ("draft_model", "it would load a model"),
    ("kv_transfer_params", "it would load a state"),
    ("lora", "it would set adapters"),
    ("lora_adapters", "it would load adapters"),
    ("lora_path", "it would load an adapter"),
    ("lora_request", "it would load an adapter"),
    ("mm_processor_kwargs", "it would change the processor"),
    ("skip_special_tokens", "it would change the template"),
    ("vllm_xargs", "it would change the engine"),
];

/// Roles of messages that are no system prompts.
const ORDINARY_ROLES: [&str; 4] = ["user", "assistant", "tool", "function"];

/// What a gateway needs to know of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked<'b> {
    /// The model's name.
    pub(crate) model: Cow<'b, str>,
    /// The member `user`.
    pub(crate) user: Option<Cow<'b, str>>,
    /// Whether a message has a role that speaks for somebody else than the user, the model or a tool.
    pub(crate) system: bool,
}

/// Reads a request's body.
pub(crate) fn read(body: &[u8]) -> Result<Asked<'_>, Refusal> {
    // Texts that are skipped are not looked at, so whether they are text is asked first.
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::NotJson { reason: format!("byte {} is not UTF-8", error.valid_up_to()) })?;
    let top: Top<'_> =
        serde_json::from_str(text).map_err(|error| Refusal::NotJson { reason: shown(&error.to_string()) })?;
    if let Some(refusal) = top.refused {
        return Err(refusal);
    }
    let Some(Scalar::Text(model)) = top.model else {
        return Err(Refusal::Member { member: "model".to_owned(), expected: "a string" });
    };
    let user = match top.user {
        None | Some(Scalar::Null) => None,
        Some(Scalar::Text(user)) => Some(user),
        Some(Scalar::Other) => {
            return Err(Refusal::Member { member: "user".to_owned(), expected: "a string" });
        }
    };
    Ok(Asked { model, user, system: top.system })
}

/// The body with another model's name. Where the name stands is known from the text it was borrowed from.
pub(crate) fn renamed(body: &bytes::Bytes, asked: &str, name: &str) -> bytes::Bytes {
    if asked == name {
        return body.clone();
    }
    let quoted = serde_json::Value::from(name).to_string();
    // A name that was not borrowed lies elsewhere, and so outside of the body.
    if let Some(at) = (asked.as_ptr() as usize).checked_sub(body.as_ptr() as usize)
        && let (Some(before), Some(after)) = (at.checked_sub(1), at.checked_add(asked.len() + 1))
        && let (Some(head), Some(tail)) = (body.get(..before), body.get(after..))
    {
        return [head, quoted.as_bytes(), tail].concat().into();
    }
    // A name with escapes: rare, so the whole text is written anew.
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(body) else { return body.clone() };
    if let Some(members) = value.as_object_mut() {
        members.insert("model".to_owned(), serde_json::Value::from(name));
    }
    value.to_string().into()
}

/// The members at the top that are looked at.
struct Top<'b> {
    model: Option<Scalar<'b>>,
    user: Option<Scalar<'b>>,
    system: bool,
    refused: Option<Refusal>,
}

impl<'de: 'b, 'b> Deserialize<'de> for Top<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Top<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
                let mut top = Top { model: None, user: None, system: false, refused: None };
                let mut seen: Vec<Cow<'de, str>> = Vec::with_capacity(16);
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    if seen.contains(&key) || seen.len() >= MEMBERS_MAX {
                        let expected = "there once, of at most 128 members";
                        let member = shown(&key);
                        top.refused.get_or_insert(Refusal::Member { member, expected });
                    }
                    match key.as_ref() {
                        "model" => top.model = Some(map.next_value()?),
                        "user" => top.user = Some(map.next_value()?),
                        "messages" => top.system |= map.next_value::<Messages>()?.system,
                        name => match ALTERING.iter().find(|(member, _)| *member == name) {
                            None => {
                                map.next_value::<IgnoredAny>()?;
                            }
                            Some((member, reason)) => {
                                if map.next_value::<Scalar<'de>>()? != Scalar::Null {
                                    let member = (*member).to_owned();
                                    top.refused.get_or_insert(Refusal::AltersState { member, reason });
                                }
                            }
                        },
                    }
                    if seen.len() < MEMBERS_MAX {
                        seen.push(key);
                    }
                }
                Ok(top)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name, borrowed where it holds no escapes.
struct Key<'b>(Cow<'b, str>);

impl<'de: 'b, 'b> Deserialize<'de> for Key<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Self(text)),
            Scalar::Null | Scalar::Other => Err(serde::de::Error::custom("a name that is no string")),
        }
    }
}

/// A text, nothing, or something else.
#[derive(Debug, PartialEq, Eq)]
enum Scalar<'b> {
    Text(Cow<'b, str>),
    Null,
    Other,
}

impl<'de: 'b, 'b> Deserialize<'de> for Scalar<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Whether messages hold a system prompt. What is no list of objects is the engine's matter.
struct Messages {
    system: bool,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Messages, A::Error> {
                let mut system = false;
                while let Some(message) = seq.next_element::<Message>()? {
                    system |= message.system;
                }
                Ok(Messages { system })
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// A message, of which only the role is looked at.
struct Message {
    system: bool,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Message;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
                let mut system = false;
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    if key == "role" {
                        // Any of several roles counts: engines differ in which of them they take. Many templates write
                        // a role out as it stands, so that one that nobody knows can hold a whole other message.
                        let role = map.next_value::<Scalar<'de>>()?;
                        system |=
                            !matches!(&role, Scalar::Text(role) if ORDINARY_ROLES.contains(&role.as_ref()));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Message { system })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests;
