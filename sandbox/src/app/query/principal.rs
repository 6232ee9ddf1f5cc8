//! The asker of a question, as policies and the guard know them.

use obscura_policies::document::Grant;
use obscura_policies::evaluate::Principal;

use crate::context::Caller;
use crate::context::Person;
use crate::error::AppError;
use crate::error::During as _;

/// On whose behalf a question is judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum QueryPrincipal {
    /// A person, under their grants.
    Person {
        /// The person as policies know them.
        principal: Principal,
        /// Their grants.
        grants: Vec<Grant>,
    },
    /// A caller without an account: only open data answers.
    Anonymous,
}

/// The caller as policies know them.
pub(crate) fn principal(caller: &Caller) -> Result<Principal, AppError> {
    principal_of(caller.person())
}

/// A person as policies know them.
pub(crate) fn principal_of(person: &Person) -> Result<Principal, AppError> {
    let department = person.department.as_deref().unwrap_or_default();
    Ok(Principal {
        person: person.name.to_string(),
        roles: person.roles.clone(),
        department: department.parse().during("read a person's department")?,
        district: person
            .district
            .as_deref()
            .map(str::parse)
            .transpose()
            .during("read a person's district")?,
    })
}
