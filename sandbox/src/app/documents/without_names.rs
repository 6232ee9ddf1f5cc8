//! Findings of documents, for callers who must not learn which other documents there are.

use obscura_policies::Text;
use obscura_policies::parse::DocumentError;

/// Errors without what they tell of documents that are not the asker's: whether a dataset of another department exists,
/// and what there is besides.
pub(crate) fn without_names(errors: Vec<DocumentError>) -> Vec<DocumentError> {
    let told = |error: DocumentError| match error.code.as_ref() {
        "dataset-not-found" | "not-the-owner" => DocumentError {
            code: "dataset-not-found".into(),
            message: Text::new(
                "there is no dataset of this name among those of the owner",
                "所属部门没有此名称的数据集",
            ),
            help: None,
            ..error
        },
        // Another document in force that would no longer fit.
        _ if error.file.as_deref() == Some("record") => DocumentError {
            code: "does-not-fit".into(),
            document: String::new(),
            field: String::new(),
            message: Text::new(
                "a document in force: it would no longer fit with these",
                "生效中的一份文档将与这些文档不再相符",
            ),
            help: None,
            position: None,
            ..error
        },
        _ => error,
    };
    let mut told: Vec<DocumentError> = errors.into_iter().map(told).collect();
    told.dedup();
    told
}
