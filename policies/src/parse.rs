//! From YAML text to documents, with the place of every field so that later findings can point at it.
//! It checks form only; references between documents are the `library`'s business.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_saphyr::Spanned;

use crate::document::Document;
use crate::document::Kind;

/// Most bytes that one file of documents may have.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// A value, and where its fields were written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    file: Option<String>,
    positions: BTreeMap<String, Position>,
}

/// Something wrong with a document: where, what, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// Stable code, in kebab case.
    pub code: Cow<'static, str>,
    /// The file, if the document came from one.
    pub file: Option<String>,
    /// The place in the file, if known.
    pub position: Option<Position>,
    /// Kind and identifier of the document, as far as known.
    pub document: String,
    /// The field, such as `content.columns[2].mask`.
    pub field: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would be accepted.
    pub help: Option<String>,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let Some(position) = self.position {
            write!(f, "{}:{}:", position.line, position.column)?;
        }
        if self.file.is_some() || self.position.is_some() {
            f.write_str(" ")?;
        }
        if !self.document.is_empty() {
            write!(f, "{}: ", self.document)?;
        }
        if !self.field.is_empty() {
            write!(f, "`{}`: ", self.field)?;
        }
        write!(f, "{} ({})", self.message, self.code)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DocumentError {}

impl<T> Located<T> {
    /// Wraps a value that no file is known of.
    #[must_use]
    pub const fn nowhere(value: T) -> Self {
        Self { value, file: None, positions: BTreeMap::new() }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The place of a field, or of the closest field around it.
    #[must_use]
    pub fn position(&self, field: &str) -> Option<Position> {
        let mut path = field;
        loop {
            if let Some(position) = self.positions.get(path) {
                return Some(*position);
            }
            if path.is_empty() {
                return None;
            }
            let end = path.rfind(['.', '[']).unwrap_or(0);
            path = path.get(..end).unwrap_or("");
        }
    }
}

/// Reads all documents of one file.
///
/// # Errors
/// Everything wrong with the form of any document; each finding names file, line, field and what would be accepted.
pub fn parse_documents(file_name: &str, text: &str) -> Result<Vec<Located<Document>>, Vec<DocumentError>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    if text.len() > FILE_BYTES_MAX {
        errors.push(finding(
            file_name,
            "file-too-large",
            format!("the file is larger than {FILE_BYTES_MAX} bytes"),
        ));
        return Err(errors);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for part in split(text) {
        match parse_one(file_name, &part) {
            Ok(document) => documents.push(document),
            Err(error) => errors.push(*error),
        }
    }
    if documents.is_empty() && errors.is_empty() {
        errors.push(finding(file_name, "document-missing", "the file holds no document".to_owned()));
    }
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

fn finding(file: &str, code: &'static str, message: String) -> DocumentError {
    DocumentError {
        code: code.into(),
        file: Some(file.to_owned()),
        position: None,
        document: String::new(),
        field: String::new(),
        message,
        help: None,
    }
}

/// Cuts a stream at its `---` lines; each part keeps its line numbers by leading empty lines.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut current = String::new();
    let mut has_content = false;
    for (number, line) in text.lines().enumerate() {
        let marker = line == "---" || line.starts_with("--- ") || line.starts_with("---\t");
        if marker {
            if has_content {
                parts.push(std::mem::take(&mut current));
            }
            current = "\n".repeat(number + 1);
            has_content = false;
            continue;
        }
        let trimmed = line.trim();
        has_content |= !trimmed.is_empty() && !trimmed.starts_with('#');
        current.push_str(line);
        current.push('\n');
    }
    if has_content {
        parts.push(current);
    }
    parts
}

fn parse_one(file: &str, text: &str) -> Result<Located<Document>, Box<DocumentError>> {
    let root: Spanned<Node> =
        serde_saphyr::from_str(text).map_err(|e| form_error(file, "", &BTreeMap::new(), &e))?;
    let mut positions = BTreeMap::new();
    root.value.collect(String::new(), position(&root), &mut positions);
    let Node::Map(fields) = &root.value else {
        let mut error = finding(file, "not-a-document", "a document is a map of fields".to_owned());
        error.position = position(&root);
        return Err(Box::new(error));
    };
    let word = fields.iter().find(|(key, _)| key.value == "kind").map(|(_, value)| &value.value);
    let kind = match word {
        Some(Node::Scalar(word)) => word.parse::<Kind>().map_err(|e| e.to_string()),
        _ => Err(format!("the field is missing; accepted: {}", kinds())),
    };
    let kind = kind.map_err(|message| {
        let mut error = finding(file, "unknown-kind", message);
        "kind".clone_into(&mut error.field);
        error.position = positions.get("kind").copied().or_else(|| position(&root));
        Box::new(error)
    })?;
    let name = kind.as_str();
    let value = match kind {
        Kind::GradeScheme => Document::GradeScheme(typed(file, name, text, &positions)?),
        Kind::Department => Document::Department(typed(file, name, text, &positions)?),
        Kind::Dataset => Document::Dataset(typed(file, name, text, &positions)?),
        Kind::Policy => Document::Policy(typed(file, name, text, &positions)?),
        Kind::Purpose => Document::Purpose(typed(file, name, text, &positions)?),
        Kind::Grant => Document::Grant(typed(file, name, text, &positions)?),
        Kind::Exception => Document::Exception(typed(file, name, text, &positions)?),
        Kind::Application => Document::Application(typed(file, name, text, &positions)?),
    };
    Ok(Located { value, file: Some(file.to_owned()), positions })
}

fn kinds() -> String {
    Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

fn typed<T: DeserializeOwned>(
    file: &str,
    document: &str,
    text: &str,
    positions: &BTreeMap<String, Position>,
) -> Result<T, Box<DocumentError>> {
    serde_saphyr::from_str(text).map_err(|e| form_error(file, document, positions, &e))
}

fn form_error(
    file: &str,
    document: &str,
    positions: &BTreeMap<String, Position>,
    error: &serde_saphyr::Error,
) -> Box<DocumentError> {
    let position = error.location().map(|location| Position {
        line: u32::try_from(location.line()).unwrap_or(u32::MAX),
        column: u32::try_from(location.column()).unwrap_or(u32::MAX),
    });
    // The field is the last one that begins at or before the place of the error.
    let field = position.and_then(|at| {
        let before = positions.iter().filter(|(_, start)| **start <= at);
        before.max_by_key(|(path, start)| (**start, path.len())).map(|(path, _)| path.clone())
    });
    let rendered = error.without_snippet().to_string();
    let message = rendered.lines().next().unwrap_or("the form is wrong");
    let message = message.split(" at line ").next().unwrap_or(message);
    let (message, help) =
        match message.split_once(", expected ").or_else(|| message.split_once("; accepted: ")) {
            Some((message, accepted)) => (message, Some(format!("accepted: {accepted}"))),
            None => (message, None),
        };
    Box::new(DocumentError {
        position,
        document: document.to_owned(),
        field: field.unwrap_or_default(),
        help,
        ..finding(file, "malformed", message.to_owned())
    })
}

fn position<T>(spanned: &Spanned<T>) -> Option<Position> {
    let location = spanned.referenced;
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some(Position { line, column: u32::try_from(location.column()).ok()? })
}

/// The shape of a document: only what is needed to know where each field stands.
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar(String),
}

impl Node {
    fn collect(&self, path: String, at: Option<Position>, positions: &mut BTreeMap<String, Position>) {
        match self {
            Self::Map(fields) => {
                for (key, value) in fields {
                    let name = &key.value;
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    value.value.collect(path, position(key), positions);
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.value.collect(format!("{path}[{index}]"), position(item), positions);
                }
            }
            Self::Scalar(_) => {}
        }
        if let Some(at) = at {
            positions.insert(path, at);
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Node::Map(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}

#[cfg(test)]
pub(crate) mod tests;
