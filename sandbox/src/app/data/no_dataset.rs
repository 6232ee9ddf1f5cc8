//! The answer for a dataset that is not there, in the words for one that is hidden.

use obscura_policies::vocabulary::DatasetId;

use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// There is no such dataset, or it is hidden; the name is left out, where an answer must not show if it is well-formed.
pub(crate) fn no_dataset() -> AppError {
    PublicError::new(Class::NotFound, "dataset-not-found", "there is no such dataset", "没有该数据集").into()
}

/// As [`no_dataset`], to a person who has written the name themself.
pub(crate) fn no_dataset_named(id: &DatasetId) -> AppError {
    PublicError::new(
        Class::NotFound,
        "dataset-not-found",
        format!("there is no dataset `{id}`"),
        format!("数据集 `{id}` 不存在"),
    )
    .with_help(
        "`obscura dataset list` shows those you may see",
        "可用 `obscura dataset list` 查看您可见的数据集",
    )
    .into()
}
