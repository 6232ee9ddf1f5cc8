//! Checks that a document's references hold and its numbers make sense, with the place of every finding.
//! It changes nothing; a document that passes is used as it is.

use std::collections::BTreeMap;

use crate::day::Day;
use crate::document::Document;
use crate::document::PrintError;
use crate::library::Library;
use crate::parse::DocumentError;
use crate::parse::ERRORS_MAX;
use crate::parse::Located;
use crate::vocabulary::Text;

mod dataset;
mod forgotten;
mod lapses;
mod lowered;
mod other;
mod policy;
mod scheme;
mod unheld;

/// Most names that a help line lists.
const NAMES_MAX: usize = 5;

/// Collects what is wrong with one document.
struct Findings<'a> {
    located: &'a Located<Document>,
    errors: &'a mut Vec<DocumentError>,
}

impl Findings<'_> {
    /// Adds a finding at a field; `None` where nothing helps.
    fn add(&mut self, code: &'static str, field: &str, message: Text, help: impl Into<Option<Text>>) {
        // One more than is told says that there are more.
        if self.errors.len() > ERRORS_MAX {
            return;
        }
        self.errors.push(DocumentError {
            code: code.into(),
            file: self.located.file().map(str::to_owned),
            position: self.located.position(field),
            document: name_of(&self.located.value),
            field: field.to_owned(),
            message,
            help: help.into(),
        });
    }

    /// Looks up the document that a field names; without one, adds a finding with the names that there are.
    fn found<'l, K: Ord + ToString, V>(
        &mut self,
        kind: Kind,
        documents: &'l BTreeMap<K, V>,
        name: &K,
        field: &str,
    ) -> Option<&'l V> {
        let document = documents.get(name);
        if document.is_none() {
            let (Kind { code, en, zh }, name) = (kind, name.to_string());
            let message = Text::new(format!("there is no {en} `{name}`"), format!("{zh} `{name}` 不存在"));
            self.add(code, field, message, accepted(documents.keys().map(ToString::to_string)));
        }
        document
    }
}

/// A kind of document that others name: the code of the finding where there is none, and the noun.
#[derive(Debug, Clone, Copy)]
struct Kind {
    code: &'static str,
    en: &'static str,
    zh: &'static str,
}

const DATASET: Kind = Kind { code: "dataset-not-found", en: "dataset", zh: "数据集" };
const DEPARTMENT: Kind = Kind { code: "department-not-found", en: "department", zh: "部门" };
const PURPOSE: Kind = Kind { code: "purpose-not-found", en: "purpose", zh: "用途" };
const GRADE_SCHEME: Kind = Kind { code: "scheme-not-found", en: "grade scheme", zh: "分级标准" };

/// Checks one document against all that are in force.
pub(crate) fn check(library: &Library, located: &Located<Document>, errors: &mut Vec<DocumentError>) {
    let mut findings = Findings { located, errors };
    if located.value.version() == 0 {
        findings.add(
            "version-zero",
            "metadata.version",
            Text::new("versions count from 1", "版本号从 1 开始"),
            Text::new("accepted: 1 and more", "可用：1 及以上"),
        );
    }
    if located.value.title().en.trim().is_empty() || located.value.title().zh.trim().is_empty() {
        findings.add(
            "title-missing",
            "metadata.title",
            Text::new("the title is empty", "标题为空"),
            Text::new("accepted: a text in zh, en or both", "可用：zh、en 或两者皆有的文本"),
        );
    }
    match &located.value {
        Document::GradeScheme(scheme) => scheme::check(library, scheme, &mut findings),
        Document::Department(department) => other::check_department(library, department, &mut findings),
        Document::Dataset(dataset) => dataset::check(library, dataset, &mut findings),
        Document::Policy(policy) => policy::check(library, policy, &mut findings),
        Document::Purpose(purpose) => other::check_purpose(purpose, &mut findings),
        Document::Grant(grant) => other::check_grant(library, grant, &mut findings),
        Document::Exception(exception) => other::check_exception(library, exception, &mut findings),
        Document::Application(application) => other::check_application(library, application, &mut findings),
    }
}

/// Checks a document that is about to be published for controls that would have no effect, or were forgotten.
pub(crate) fn check_new(
    library: &Library,
    located: &Located<Document>,
    today: Day,
    errors: &mut Vec<DocumentError>,
) {
    check_forgotten(library, located, errors);
    if let Document::Policy(policy) = &located.value {
        let mut findings = Findings { located, errors };
        lowered::check(library, policy, &mut findings);
        unheld::check(library, policy, &mut findings);
        lapses::check(library, policy, today, &mut findings);
    }
}

/// Checks that nothing in a document that is about to be published was left out, emptied or set to zero by oversight.
pub(crate) fn check_forgotten(
    library: &Library,
    located: &Located<Document>,
    errors: &mut Vec<DocumentError>,
) {
    forgotten::check(library, &mut Findings { located, errors });
}

/// Finds the rules of a policy that cover no column that they are about.
pub(crate) fn uncovered_rules(library: &Library, located: &Located<Document>) -> Vec<DocumentError> {
    let mut errors = Vec::new();
    if let Document::Policy(policy) = &located.value {
        unheld::check_coverage(library, policy, &mut Findings { located, errors: &mut errors });
    }
    errors
}

/// Two documents of one kind have the same identifier.
pub(crate) fn duplicate(located: &Located<Document>, present: u32) -> DocumentError {
    let mut errors = Vec::new();
    let message = Text::new(
        format!("version {present} of the same document is in force already"),
        format!("同一文档的版本 {present} 已经生效"),
    );
    let help = Text::new(
        "accepted: one version of each document; a new version needs a higher number",
        "可用：每个文档一个版本；新版本须使用更高的版本号",
    );
    Findings { located, errors: &mut errors }.add("document-twice", "metadata.id", message, help);
    errors.remove(0)
}

/// A document cannot be written down, so it has no hash.
pub(crate) fn unprintable(document: &Document, error: &PrintError) -> DocumentError {
    DocumentError {
        code: "malformed".into(),
        file: None,
        position: None,
        document: name_of(document),
        field: String::new(),
        message: Text::new(error.to_string(), "无法写出该文档"),
        help: None,
    }
}

fn name_of(document: &Document) -> String {
    format!("{} {}", document.kind(), document.id())
}

/// A help line that lists at most five names.
fn accepted<T: ToString>(names: impl IntoIterator<Item = T>) -> Text {
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let (en, zh) = (names.join(", "), names.join("、"));
    match (en.is_empty(), more) {
        (true, _) => Text::new("accepted: nothing here yet", "可用：此处暂无"),
        (false, 0) => Text::new(format!("accepted: {en}"), format!("可用：{zh}")),
        (false, more) => {
            Text::new(format!("accepted: {en} and {more} more"), format!("可用：{zh} 等，另有 {more} 个"))
        }
    }
}
