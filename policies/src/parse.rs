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
use serde_saphyr::Location;
use serde_saphyr::Spanned;

use crate::document::Document;
use crate::document::Kind;
use crate::form::accepted_in_chinese;
use crate::vocabulary::Text;

mod malformed;

/// Most bytes that one file of documents may have.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most documents that one file may hold.
pub const DOCUMENTS_MAX: usize = 1000;
/// Most findings that are told at once.
pub const ERRORS_MAX: usize = 50;
/// Most bytes of text that the aliases of one document may grow to.
const SCALAR_BYTES_MAX: usize = 4 * FILE_BYTES_MAX;
/// Longest path of a field whose place is remembered; what lies deeper is told by the field around it.
const PATH_BYTES_MAX: usize = 256;
/// Most fields of one document whose places are remembered.
const POSITIONS_MAX: usize = 50_000;

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
    /// The fault, in one sentence.
    pub message: Text,
    /// A form that would be accepted.
    pub help: Option<Text>,
}

impl DocumentError {
    /// The whole finding on one line, in one language: `zh`, or English for everything else.
    #[must_use]
    pub fn in_language(&self, language: &str) -> String {
        let place = self.place();
        let (message, code) = (self.message.in_language(language), &self.code);
        let help = self.help.as_ref().map(|help| help.in_language(language));
        match (language.starts_with("zh"), help) {
            (true, Some(help)) => format!("{place}{message}（{code}）；{help}"),
            (true, None) => format!("{place}{message}（{code}）"),
            (false, Some(help)) => format!("{place}{message} ({code}); {help}"),
            (false, None) => format!("{place}{message} ({code})"),
        }
    }

    /// File, line, column, document and field, as far as known: the same in every language.
    fn place(&self) -> String {
        let mut place = String::new();
        if let Some(file) = &self.file {
            place.push_str(&format!("{file}:"));
        }
        if let Some(position) = self.position {
            place.push_str(&format!("{}:{}:", position.line, position.column));
        }
        if self.file.is_some() || self.position.is_some() {
            place.push(' ');
        }
        if !self.document.is_empty() {
            place.push_str(&format!("{}: ", self.document));
        }
        if !self.field.is_empty() {
            place.push_str(&format!("`{}`: ", self.field));
        }
        place
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_language("en"))
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

    /// True if the text of the document has the field.
    #[must_use]
    pub(crate) fn is_written(&self, field: &str) -> bool {
        self.positions.contains_key(field)
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
            Text::new(
                format!("the file is larger than {FILE_BYTES_MAX} bytes"),
                format!("文件超过 {FILE_BYTES_MAX} 字节"),
            ),
        ));
        return Err(errors);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (nth, part) in Parts::of(text).enumerate() {
        if nth == DOCUMENTS_MAX {
            errors.push(too_many(file_name));
        }
        // One finding more than is told says that there are more.
        if nth == DOCUMENTS_MAX || errors.len() > ERRORS_MAX {
            break;
        }
        match parse_one(file_name, &part) {
            Ok(document) => documents.push(document),
            Err(error) => errors.push(*error),
        }
    }
    if documents.is_empty() && errors.is_empty() {
        let message = Text::new("the file holds no document", "文件中没有文档");
        errors.push(finding(file_name, "document-missing", message));
    }
    if errors.is_empty() { Ok(documents) } else { Err(first_errors(errors)) }
}

/// The first findings, and that there are more where there are: what a small file can do wrong is no reason for a large
/// answer.
#[must_use]
pub fn first_errors(mut errors: Vec<DocumentError>) -> Vec<DocumentError> {
    if errors.len() > ERRORS_MAX {
        errors.truncate(ERRORS_MAX);
        errors.push(DocumentError {
            file: None,
            help: Some(Text::new(
                format!("correct the first {ERRORS_MAX} and look again"),
                format!("请先改正前 {ERRORS_MAX} 处，再重新检查"),
            )),
            ..finding("", "more-errors", Text::new("there is more that is wrong", "还有更多问题"))
        });
    }
    errors
}

/// More documents than one file may hold.
fn too_many(file: &str) -> DocumentError {
    let message = Text::new(
        format!("the file holds more than {DOCUMENTS_MAX} documents"),
        format!("文件中的文档超过 {DOCUMENTS_MAX} 个"),
    );
    DocumentError {
        help: Some(Text::new("put them into several files", "请分成多个文件")),
        ..finding(file, "too-many-documents", message)
    }
}

/// A finding about a whole file.
fn finding(file: &str, code: &'static str, message: Text) -> DocumentError {
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

/// One document of a stream, and how many lines lie before it.
struct Part {
    text: String,
    lines_before: u32,
}

/// A stream, cut at its `---` lines.
struct Parts<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    lines_before: usize,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        Self { lines: text.lines().enumerate(), lines_before: 0 }
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let mut text = String::new();
        let mut has_content = false;
        for (number, line) in self.lines.by_ref() {
            let marker = line == "---" || line.starts_with("--- ") || line.starts_with("---\t");
            if marker {
                let lines_before = std::mem::replace(&mut self.lines_before, number + 1);
                if has_content {
                    return Some(Part::new(text, lines_before));
                }
                text.clear();
                continue;
            }
            let trimmed = line.trim();
            has_content |= !trimmed.is_empty() && !trimmed.starts_with('#');
            text.push_str(line);
            text.push('\n');
        }
        has_content.then(|| Part::new(text, self.lines_before))
    }
}

impl Part {
    fn new(text: String, lines_before: usize) -> Self {
        Self { text, lines_before: u32::try_from(lines_before).unwrap_or(u32::MAX) }
    }

    /// Reads the part as YAML, within bounds.
    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_saphyr::Error> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_total_scalar_bytes: SCALAR_BYTES_MAX },
        };
        serde_saphyr::from_str_with_options(&self.text, options)
    }

    /// The place in the file of a place in the part.
    fn position(&self, line: u64, column: u64) -> Position {
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(self.lines_before);
        Position { line, column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The place in the file of a value; nothing when the reader does not know it.
    fn position_of<T>(&self, spanned: &Spanned<T>) -> Option<Position> {
        let location = spanned.referenced;
        (location.line() > 0).then(|| self.position(location.line(), location.column()))
    }
}

fn parse_one(file: &str, part: &Part) -> Result<Located<Document>, Box<DocumentError>> {
    let root: Spanned<Node> = part.read().map_err(|e| form_error(file, "", part, &BTreeMap::new(), &e))?;
    let mut positions = BTreeMap::new();
    root.value.collect(String::new(), part.position_of(&root), part, &mut positions);
    if let Some(empty) = root.value.first_empty() {
        return Err(Box::new(without_value(file, part, &empty, &positions)));
    }
    let Node::Map(fields) = &root.value else {
        let message = Text::new("a document is a map of fields", "文档须为由字段组成的映射");
        let mut error = finding(file, "not-a-document", message);
        error.position = part.position_of(&root);
        return Err(Box::new(error));
    };
    let word = fields.iter().find(|(key, _)| key.value == "kind").map(|(_, value)| &value.value);
    let kind = match word {
        Some(Node::Scalar(word)) => word.parse::<Kind>().map_err(|e| Text::new(e.to_string(), e.chinese())),
        _ => Err(Text::new(
            format!("the field is missing; accepted: {}", kinds(", ")),
            format!("缺少此字段；可用：{}", kinds("、")),
        )),
    };
    let kind = kind.map_err(|message| {
        let mut error = finding(file, "unknown-kind", message);
        "kind".clone_into(&mut error.field);
        error.position = positions.get("kind").copied().or_else(|| part.position_of(&root));
        Box::new(error)
    })?;
    let name = kind.as_str();
    let value = match kind {
        Kind::GradeScheme => Document::GradeScheme(typed(file, name, part, &positions)?),
        Kind::Department => Document::Department(typed(file, name, part, &positions)?),
        Kind::Dataset => Document::Dataset(typed(file, name, part, &positions)?),
        Kind::Policy => Document::Policy(typed(file, name, part, &positions)?),
        Kind::Purpose => Document::Purpose(typed(file, name, part, &positions)?),
        Kind::Grant => Document::Grant(typed(file, name, part, &positions)?),
        Kind::Exception => Document::Exception(typed(file, name, part, &positions)?),
        Kind::Application => Document::Application(typed(file, name, part, &positions)?),
    };
    Ok(Located { value, file: Some(file.to_owned()), positions })
}

/// Every kind of document, with a comma between.
fn kinds(comma: &str) -> String {
    Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(comma)
}

fn typed<T: DeserializeOwned>(
    file: &str,
    document: &str,
    part: &Part,
    positions: &BTreeMap<String, Position>,
) -> Result<T, Box<DocumentError>> {
    part.read().map_err(|e| form_error(file, document, part, positions, &e))
}

fn form_error(
    file: &str,
    document: &str,
    part: &Part,
    positions: &BTreeMap<String, Position>,
    error: &serde_saphyr::Error,
) -> Box<DocumentError> {
    let position = error.location().map(|location| part.position(location.line(), location.column()));
    // The field is the last one that begins at or before the place of the error.
    let field = position.and_then(|at| {
        let before = positions.iter().filter(|(_, start)| **start <= at);
        before.max_by_key(|(path, start)| (**start, path.len())).map(|(path, _)| path.clone())
    });
    let rendered = error.without_snippet().to_string();
    let message = rendered.lines().next().unwrap_or("the form is wrong");
    let message = message.split(" at line ").next().unwrap_or(message);
    let (message, accepted) =
        match message.split_once(", expected ").or_else(|| message.split_once("; accepted: ")) {
            Some((message, accepted)) => (message, Some(accepted)),
            None => (message, None),
        };
    let help = accepted.map(|accepted| {
        Text::new(format!("accepted: {accepted}"), format!("可用：{}", accepted_in_chinese(accepted)))
    });
    Box::new(DocumentError {
        position,
        document: document.to_owned(),
        field: field.unwrap_or_default(),
        help,
        ..finding(file, "malformed", Text::new(message, malformed::in_chinese(message)))
    })
}

/// A field that is written down and has no value.
///
/// A YAML reader takes it for a field that is left out. `mask:` whose mask was deleted, or `columns:` of a grant whose list
/// was, would then allow everything that the mask or the list kept away. Who means it writes `null`.
fn without_value(
    file: &str,
    part: &Part,
    empty: &Empty,
    positions: &BTreeMap<String, Position>,
) -> DocumentError {
    let name = empty.path();
    let message = match name.is_empty() {
        true => Text::new("a field has no value", "有字段没有取值"),
        false => Text::new(format!("`{name}` has no value"), format!("`{name}` 没有取值")),
    };
    DocumentError {
        position: positions
            .get(&name)
            .copied()
            .or_else(|| Some(part.position(empty.at.line(), empty.at.column()))),
        field: name,
        help: Some(Text::new(
            "accepted: a value, or a document without the field",
            "可用：写明取值，或删去该字段",
        )),
        ..finding(file, "value-missing", message)
    }
}

/// The place of a value that is not there, and the steps to it, innermost first.
struct Empty {
    at: Location,
    steps: Vec<String>,
}

/// The shape of a document: only what is needed to know where each field stands.
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar(String),
    /// `null`, or nothing at all.
    Nothing,
}

impl Node {
    fn collect(
        &self,
        path: String,
        at: Option<Position>,
        part: &Part,
        positions: &mut BTreeMap<String, Position>,
    ) {
        if path.len() > PATH_BYTES_MAX || positions.len() >= POSITIONS_MAX {
            return;
        }
        match self {
            Self::Map(fields) => {
                for (key, value) in fields {
                    let name = &key.value;
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    value.value.collect(path, part.position_of(key), part, positions);
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    item.value.collect(path, part.position_of(item), part, positions);
                }
            }
            Self::Scalar(_) | Self::Nothing => {}
        }
        if let Some(at) = at {
            positions.insert(path, at);
        }
    }

    /// The first field or entry that is written down without a value. Its path is made on the way back: that of every node would
    /// be a long text for each of many aliases.
    fn first_empty(&self) -> Option<Empty> {
        let below = |value: &Spanned<Self>| match &value.value {
            Self::Nothing => {
                is_empty(&value.defined).then_some(Empty { at: value.defined, steps: Vec::new() })
            }
            other => other.first_empty(),
        };
        match self {
            Self::Map(fields) => {
                fields.iter().find_map(|(key, value)| Some(below(value)?.within(&key.value)))
            }
            Self::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| Some(below(item)?.within(&format!("[{index}]")))),
            Self::Scalar(_) | Self::Nothing => None,
        }
    }
}

impl Empty {
    /// Adds the step that led to it.
    fn within(mut self, step: &str) -> Self {
        self.steps.push(step.to_owned());
        self
    }

    /// The path of the field, or of the closest field around it whose path is remembered.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            let dot = if path.is_empty() || step.starts_with('[') { "" } else { "." };
            if path.len() + dot.len() + step.len() > PATH_BYTES_MAX {
                break;
            }
            path.push_str(dot);
            path.push_str(step);
        }
        path
    }
}

/// True if a value is known to have no text: `null` has some.
fn is_empty(at: &Location) -> bool {
    at.line() > 0 && at.span().is_empty()
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
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}

#[cfg(test)]
pub(crate) mod tests;
