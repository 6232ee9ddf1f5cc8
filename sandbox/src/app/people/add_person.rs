//! Use cases: an admin adds a person with their roles, removes one, lists them.
//! A person's roles never change: whoever needs others is added under another name, so that the log reads plainly.

use std::collections::BTreeSet;

use obscura_policies::vocabulary::PersonRole;

use crate::app::people::authorise::must_be;
use crate::app::people::authorise::must_be_one_of;
use crate::app::people::in_force::no_such_person;
use crate::app::people::link_person::end_links_while_changing;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::body::PersonBody;
use crate::context::Caller;
use crate::context::Person;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::PersonId;
use crate::installation::Installation;
use crate::installation::records::Note;

/// The person to add.
#[derive(Debug, Clone)]
pub struct AddPerson {
    /// Their name.
    pub name: PersonName,
    /// Their roles; at least one.
    pub roles: BTreeSet<PersonRole>,
    /// Their department; analysts and stewards have one.
    pub department: Option<String>,
    /// Their district, if they work for one.
    pub district: Option<String>,
}

/// Adds a person.
///
/// # Errors
/// Forbidden for all but admins; usage when roles do not go together or a department is missing; conflict when the
/// name was ever used.
pub async fn add_person(
    installation: &Installation,
    caller: &Caller,
    request: AddPerson,
) -> Result<Person, AppError> {
    must_be(caller, PersonRole::Admin)?;
    check_roles(&request)?;
    let person = Person {
        id: PersonId::new(installation.clock.as_ref(), installation.random.as_ref())
            .during("name a person")?,
        name: request.name,
        department: request.department,
        district: request.district,
        roles: request.roles,
    };
    let body = PersonBody::of(&person, Some(caller.person().name.as_str()));
    let note = Note::new(Action::PersonAdded, ActorName::of(caller));
    match installation.begin(&body, note).await? {
        Some(_) => Ok(person),
        None => Err(name_taken(&person.name)),
    }
}

/// Removes a person: their tokens and their link are worth nothing from then on, and their name is never used again.
///
/// # Errors
/// Forbidden for all but admins, and for admins on themselves; not found when there is no such person.
pub async fn remove_person(
    installation: &Installation,
    caller: &Caller,
    name: &PersonName,
) -> Result<(), AppError> {
    must_be(caller, PersonRole::Admin)?;
    if caller.person().name == *name {
        return Err(PublicError::new(
            Class::Forbidden,
            "not-oneself",
            "nobody removes themself",
            "不能移除自己",
        )
        .into());
    }
    let _guard = installation.change().await?;
    let Some(body) = installation.find_in_force::<PersonBody>(name.as_str()).await? else {
        return Err(no_such_person(name));
    };
    // Their links end first, so that no account is ever linked to a person who is not there.
    end_links_while_changing(installation, caller, name).await?;
    installation.end_while_changing(&body, Note::new(Action::PersonRemoved, ActorName::of(caller))).await?;
    Ok(())
}

/// Lists all persons by name.
///
/// # Errors
/// Forbidden for all but admins, operators and auditors.
pub async fn list_persons(installation: &Installation, caller: &Caller) -> Result<Vec<Person>, AppError> {
    must_be_one_of(caller, PersonRole::Admin, &[PersonRole::Operator, PersonRole::Auditor])?;
    let bodies = installation.all_in_force::<PersonBody>().await?;
    bodies.iter().map(PersonBody::person).collect::<Result<_, _>>().during("read a person")
}

fn check_roles(request: &AddPerson) -> Result<(), AppError> {
    let usage = |code, en: &str, zh: &str| Err(PublicError::new(Class::Usage, code, en, zh).into());
    if request.roles.is_empty() {
        return usage("role-needed", "a person has at least one role", "人员至少需要一个角色");
    }
    if !go_together(&request.roles) {
        return usage(
            "roles-apart",
            "an admin, operator or auditor neither asks nor grants, and an auditor holds no other role",
            "人员管理员、运维人员和审计员不得兼任分析人员或数据管理员，审计员不得兼任任何其他角色",
        );
    }
    let works_with_data =
        [PersonRole::Analyst, PersonRole::Steward].iter().any(|role| request.roles.contains(role));
    if works_with_data && request.department.is_none() {
        return usage(
            "department-needed",
            "an analyst or steward belongs to a department",
            "分析人员和数据管理员必须属于某个部门",
        );
    }
    for node in [&request.department, &request.district].into_iter().flatten() {
        if !obscura_policies::vocabulary::is_code(node) {
            return usage(
                "department-malformed",
                "a department or district is a code such as `hz-health`",
                "部门或区县须为代码，例如 `hz-health`",
            );
        }
    }
    Ok(())
}

/// Separation of duties: whoever keeps the machines, says who may act, or checks the history neither asks nor grants, and
/// whoever checks the history has made none of it.
fn go_together(roles: &BTreeSet<PersonRole>) -> bool {
    let asks_or_grants = [PersonRole::Analyst, PersonRole::Steward];
    let keeps = [PersonRole::Operator, PersonRole::Admin];
    [&asks_or_grants[..], &keeps[..], &[PersonRole::Auditor]]
        .iter()
        .any(|together| roles.iter().all(|role| together.contains(role)))
}

fn name_taken(name: &PersonName) -> AppError {
    PublicError::new(
        Class::Conflict,
        "name-taken",
        format!("the name `{name}` belongs or belonged to somebody"),
        format!("名称 `{name}` 已被使用过"),
    )
    .with_help("names are never given to another person; choose a new one", "名称不会转给他人，请另选一个")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_check_each_other_stay_apart() {
        for one in PersonRole::ALL {
            for other in PersonRole::ALL {
                let both = BTreeSet::from([*one, *other]);
                let names: Vec<&str> = both.iter().map(|role| role.as_str()).collect();
                let expected =
                    one == other || matches!(names[..], ["analyst", "steward"] | ["operator", "admin"]);
                assert_eq!(go_together(&both), expected, "{names:?}");
            }
        }
        assert!(!go_together(&PersonRole::ALL.iter().copied().collect()));
    }
}
