//! Granting a steward's account the keys of columns, before they leave: the log says whose they are.

use serde_json::json;

use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::audit::unwraps::Account;
use crate::context::Caller;
use crate::error::AppError;
use crate::installation::Installation;
use crate::installation::records::Note;
use crate::storage::SealedVersion;

/// Says in the log which columns of a version an account is given the keys of. One grant is good for one line of the journal.
pub(crate) async fn grant_columns(
    installation: &Installation,
    caller: &Caller,
    account: &Account,
    version: &SealedVersion,
    columns: &[&str],
) -> Result<(), AppError> {
    let (dataset, number) = (version.dataset().to_string(), version.manifest().version);
    let granted = json!({ "dataset": dataset, "version": number, "columns": columns });
    let note = Note::new(Action::KeysGranted, ActorName::of(caller))
        .with("account", account.to_string())
        .with("datasets", vec![granted]);
    installation.append_one(note).await.map(|_receipt| ())
}
