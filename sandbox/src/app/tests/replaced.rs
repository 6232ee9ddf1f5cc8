//! A record takes another's place only where no record of its name is there yet; else both stay as they are.

use super::*;
use crate::catalog::body::AccessRequestBody;

#[tokio::test]
async fn a_request_stays_open_when_its_grant_is_there_already() {
    let (_world, installation) = World::new().await;
    let request = AccessRequestBody {
        id: "access_1".to_owned(),
        person: "lin".to_owned(),
        department: "hz-tax".to_owned(),
        text: "kind: Grant".to_owned(),
        reason: "a yearbook".to_owned(),
        requested: installation.now(),
    };
    let note = |action| Note::new(action, program());
    installation.begin(&request, note(Action::AccessRequested)).await.unwrap().unwrap();
    installation.begin(&grant(), note(Action::GrantCreated)).await.unwrap().unwrap();
    let closing = || (&request, note(Action::AccessDecided));
    let beginning = |grant| (grant, note(Action::GrantCreated));
    let size = || installation.audit.checkpoint().unwrap().checkpoint.size();
    let before = size();
    let taken = GrantBody { granted_by: "gu".to_owned(), ..grant() };
    assert!(!installation.replace_while_changing(closing(), beginning(&taken)).await.unwrap());
    assert_eq!(size(), before, "nothing has happened");
    let open = installation.all_in_force::<AccessRequestBody>().await.unwrap();
    assert_eq!(open, std::slice::from_ref(&request));
    let given = GrantBody { id: "grant-2".to_owned(), ..grant() };
    assert!(installation.replace_while_changing(closing(), beginning(&given)).await.unwrap());
    assert!(installation.all_in_force::<AccessRequestBody>().await.unwrap().is_empty());
    assert_eq!(installation.find_in_force::<GrantBody>("grant-2").await.unwrap(), Some(given));
}
