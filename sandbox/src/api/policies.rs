//! Documents and their versions on the wire.

use obscura_policies::library::LoweredGrade;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::DocumentKindWord;
use crate::app::documents::publish_documents::DocumentSummary;
use crate::app::documents::publish_documents::DocumentWarning;
use crate::app::documents::publish_documents::Outcome;
use crate::app::documents::publish_documents::ProposalSummary;
use crate::app::documents::show_document::ShownDocument;
use crate::app::query::verdict::TextView;

/// A document and what came of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentView {
    /// Kind.
    #[schema(value_type = DocumentKindWord)]
    pub(crate) kind: String,
    /// Identifier.
    pub(crate) id: String,
    /// Version.
    pub(crate) version: u32,
    /// Its state.
    pub(crate) state: DocumentState,
    /// The person who proposed it, where it waits for a second person.
    pub(crate) proposed_by: Option<String>,
    /// Grades that it lowers by a mask; who activates it answers for each.
    pub(crate) lowers: Vec<LoweredGradeView>,
    /// The values of it that do not count as they are written, when it was checked or published just now.
    #[serde(default)]
    pub(crate) warnings: Vec<WarningView>,
}

/// Something in a document that does not count as it is written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DocumentWarning)]
pub(crate) struct WarningView {
    /// Stable code.
    pub(crate) code: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// Line, from 1.
    pub(crate) line: Option<u32>,
    /// Column, from 1.
    pub(crate) column: Option<u32>,
    /// The field.
    pub(crate) field: String,
    /// The value that counts, and the text to write instead.
    pub(crate) text: TextView,
}

impl WarningView {
    fn of(warning: DocumentWarning) -> Self {
        let DocumentWarning { file, position, warning } = warning;
        Self {
            code: warning.code.to_owned(),
            file,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            field: warning.field,
            text: warning.text.into(),
        }
    }
}

/// A grade that a policy lowers by a mask.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LoweredGrade)]
pub(crate) struct LoweredGradeView {
    /// The dataset.
    pub(crate) dataset: String,
    /// Its column.
    pub(crate) column: String,
    /// Grade of the column.
    pub(crate) from: String,
    /// Grade that counts once the mask has been applied.
    pub(crate) to: String,
    /// The mask.
    pub(crate) mask: String,
    /// The same in one sentence.
    pub(crate) text: TextView,
}

impl LoweredGradeView {
    fn of(lowered: &LoweredGrade) -> Self {
        Self {
            dataset: lowered.dataset.to_string(),
            column: lowered.column.to_string(),
            from: lowered.from.to_string(),
            to: lowered.to.to_string(),
            mask: lowered.mask.to_owned(),
            text: lowered.text().into(),
        }
    }
}

/// The state of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DocumentState {
    /// Without errors, and only looked at.
    Sound,
    /// In force, and not by this request.
    InForce,
    /// In force now.
    Published,
    /// It waits for a second person.
    Proposed,
}

impl DocumentView {
    pub(crate) fn of(summary: DocumentSummary) -> Self {
        let state = match summary.outcome {
            Outcome::Sound => DocumentState::Sound,
            Outcome::Unchanged => DocumentState::InForce,
            Outcome::Published => DocumentState::Published,
            Outcome::Proposed => DocumentState::Proposed,
        };
        let DocumentSummary { kind, id, version, lowers, warnings, .. } = summary;
        let lowers = lowers.iter().map(LoweredGradeView::of).collect();
        let warnings = warnings.into_iter().map(WarningView::of).collect();
        Self { kind: kind.as_str().to_owned(), id, version, state, proposed_by: None, lowers, warnings }
    }

    pub(crate) fn waiting(proposal: ProposalSummary) -> Self {
        Self {
            kind: proposal.kind.as_str().to_owned(),
            id: proposal.policy,
            version: proposal.version,
            state: DocumentState::Proposed,
            proposed_by: Some(proposal.proposed_by),
            lowers: proposal.lowers.iter().map(LoweredGradeView::of).collect(),
            warnings: proposal.warnings.into_iter().map(WarningView::of).collect(),
        }
    }
}

/// Documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DocumentList {
    /// The documents.
    pub(crate) documents: Vec<DocumentView>,
}

/// Documents in files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentFiles {
    /// The files.
    pub(crate) files: Vec<DocumentFileView>,
}

/// A file of documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DocumentFile)]
pub(crate) struct DocumentFileView {
    /// The name that errors give it.
    pub(crate) name: String,
    /// The documents, in YAML.
    pub(crate) text: String,
}

/// A document as it was written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DocumentText)]
pub(crate) struct DocumentTextView {
    /// Kind.
    #[schema(value_type = DocumentKindWord)]
    pub(crate) kind: String,
    /// Identifier.
    pub(crate) id: String,
    /// Version.
    pub(crate) version: u32,
    /// Its state: `in_force` or `proposed`.
    pub(crate) state: DocumentState,
    /// Its author, where that is known.
    pub(crate) proposed_by: Option<String>,
    /// The person who put it in force.
    pub(crate) published_by: Option<String>,
    /// The document, in YAML.
    pub(crate) text: String,
}

impl DocumentTextView {
    pub(crate) fn of(shown: ShownDocument) -> Self {
        let state = if shown.is_proposed { DocumentState::Proposed } else { DocumentState::InForce };
        let ShownDocument { kind, id, version, proposed_by, published_by, text, .. } = shown;
        Self { kind, id, version, state, proposed_by, published_by, text }
    }
}

/// One version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersion {
    /// Version.
    pub(crate) version: u32,
    /// The person who put it in force.
    pub(crate) published_by: Option<String>,
    /// The person who wrote it.
    pub(crate) proposed_by: Option<String>,
    /// The policy, in YAML.
    pub(crate) text: String,
}

/// The versions of a policy, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersions {
    /// The versions.
    pub(crate) versions: Vec<PolicyVersion>,
}

/// The choice of a proposed version of a policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionWish {
    /// The version that waits.
    pub(crate) version: u32,
}
