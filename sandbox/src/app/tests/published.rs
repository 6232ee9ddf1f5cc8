//! Documents are judged before anything is held that others wait for.

use std::collections::BTreeSet;

use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::DocumentsRefused;
use crate::app::documents::publish_documents::publish_documents;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Person;
use crate::ids::PersonId;

fn operator() -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: "operator".parse().unwrap(),
        department: None,
        district: None,
        roles: BTreeSet::from([PersonRole::Operator]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

#[tokio::test]
async fn what_is_wrong_with_documents_is_told_while_somebody_else_changes_records() {
    let (_world, installation) = World::new().await;
    let file = |parent: &str| DocumentFile {
        name: "hz.yaml".to_owned(),
        text: format!(
            "api_version: obscura/v1\nkind: Department\nmetadata: {{id: hz, version: 1, title: {{zh: 杭州}}}}\nlevel: city\n{parent}"
        ),
    };
    let held = installation.change().await.unwrap();
    // A judgement under this right would wait here for ever.
    let refused = publish_documents(&installation, &operator(), &[file("parent: zj\n")]).await;
    let Err(DocumentsRefused::Documents(errors)) = refused else { unreachable!("it names no department") };
    assert_eq!(errors.first().unwrap().code, "department-not-found");
    drop(held);
    let published = publish_documents(&installation, &operator(), &[file("")]).await.unwrap();
    assert_eq!(published.len(), 1);
}
