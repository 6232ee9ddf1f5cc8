//! Decides who may do what: every use case asks these few questions before it does anything.
//! It knows roles and departments; what an analyst may ask of data is decided by grants and the guard.

use obscura_policies::library::Library;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::chinese::in_chinese;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// Refuses unless the caller holds the role.
pub(crate) fn must_be(caller: &Caller, role: PersonRole) -> Result<(), AppError> {
    if caller.holds(role) { Ok(()) } else { Err(forbidden(role)) }
}

/// Refuses unless the caller holds one of the roles; the first is the one that it is for.
pub(crate) fn must_be_one_of(
    caller: &Caller,
    first: PersonRole,
    others: &[PersonRole],
) -> Result<(), AppError> {
    if others.iter().any(|role| caller.holds(*role)) { Ok(()) } else { must_be(caller, first) }
}

/// Refuses unless the caller may ask questions: an analyst, under grants; or a stranger, whom only open data answers.
pub(crate) fn may_ask(caller: &Caller) -> Result<(), AppError> {
    if caller.is_stranger() { Ok(()) } else { must_be(caller, PersonRole::Analyst) }
}

/// Refuses unless the caller is a steward of the department, or of a node above it.
pub(crate) fn must_steward(caller: &Caller, library: &Library, department: &str) -> Result<(), AppError> {
    must_be(caller, PersonRole::Steward)?;
    if is_steward(caller, library, department) {
        return Ok(());
    }
    let department: String = department.chars().take(64).collect();
    Err(PublicError::new(
        Class::Forbidden,
        "not-your-department",
        format!("you are not a steward of `{department}`"),
        format!("您不是 `{department}` 的数据管理员"),
    )
    .into())
}

/// Says whether the caller is a steward of the department, or of a node above it.
pub(crate) fn is_steward(caller: &Caller, library: &Library, department: &str) -> bool {
    lineage(library, department).iter().any(|node| caller.is_steward_of(node))
}

/// The department that answers for a dataset: its document's, or without one that of its name.
pub(crate) fn department_of<'a>(library: &'a Library, dataset: &'a DatasetId) -> &'a str {
    library.datasets().get(dataset).map_or_else(|| dataset.department(), |known| known.department.as_str())
}

/// A department and the nodes above it.
fn lineage(library: &Library, department: &str) -> Vec<String> {
    let mut nodes = vec![department.to_owned()];
    let mut next = department.to_owned();
    // Bounded, because documents that refer to each other in a circle must not hang us.
    for _ in 0..16 {
        let parent = library
            .departments()
            .values()
            .find(|node| node.metadata.id.as_str() == next)
            .and_then(|node| node.parent.as_ref());
        match parent {
            Some(parent) => {
                next = parent.to_string();
                nodes.push(next.clone());
            }
            None => break,
        }
    }
    nodes
}

fn forbidden(role: PersonRole) -> AppError {
    PublicError::new(
        Class::Forbidden,
        "role-missing",
        format!("this is for the role `{role}`, which you do not hold"),
        format!(
            "此操作需要{}角色（`{role}`），而您没有该角色",
            in_chinese(role.as_str()).unwrap_or_default()
        ),
    )
    .with_help("an admin adds persons with their roles", "人员及其角色由人员管理员添加")
    .into()
}
