//! The one way closed vocabularies are spelt: an enum, its words in documents, and an error that lists them.
//! Open vocabularies (codes that stewards invent) are newtypes in `vocabulary`.

use std::collections::BTreeSet;

use crate::form::accepted_in_chinese;

/// A word that is not in a closed vocabulary, with the words that are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{word}`; accepted: {accepted}")]
pub struct WordError {
    what: &'static str,
    word: String,
    accepted: String,
}

impl WordError {
    /// Makes the error for a word of one vocabulary.
    #[must_use]
    pub(crate) fn new(what: &'static str, word: &str, accepted: &[&str]) -> Self {
        let word: String = word.chars().take(64).collect();
        let accepted = accepted.iter().copied().collect::<BTreeSet<_>>();
        let accepted = accepted.into_iter().collect::<Vec<_>>().join(", ");
        Self { what, word, accepted }
    }

    /// The same in Chinese. The field or the argument says which vocabulary it is.
    #[must_use]
    pub fn chinese(&self) -> String {
        format!("取值 `{}` 无效；可用：{}", self.word, accepted_in_chinese(&self.accepted))
    }
}

/// Declares a closed vocabulary: enum, words, parsing, printing and document form.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
        pub enum $name {
            $( $(#[$variant_meta])* #[schemars(rename = $word)] $variant ),+
        }

        impl $name {
            /// Every member, in order.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The word that documents use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::WordError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err($crate::words::WordError::new($what, word, &[$( $word ),+])),
                }
            }
        }

        $crate::words::text_form!($name);
    };
}

/// Gives a type with `Display` and `FromStr` its document form: the text itself.
macro_rules! text_form {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_form;
pub(crate) use words;
