//! A cosigned checkpoint is not kept when it is of another log, or cosigned at a time that cannot be right.

use std::collections::BTreeSet;
use std::fs;

use obscura_crypto::cosignature::Cosigner;
use obscura_crypto::sign::Signer;
use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::log::cosign::keep_cosigned;
use crate::app::query::shred_question::shred_question;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Person;
use crate::ids::PersonId;

const NOW: u64 = 1_800_000_000;

fn caller(role: PersonRole) -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: "gu".parse().unwrap(),
        department: None,
        district: None,
        roles: BTreeSet::from([role]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

/// An installation that believes one witness.
async fn witnessed() -> (World, Installation, Cosigner) {
    let (mut world, installation) = World::new().await;
    installation.close().await;
    let witness = Cosigner::new(Signer::generate("witness.example").unwrap());
    let keys = world.folder.path().join("witnesses");
    fs::write(&keys, witness.key().to_string()).unwrap();
    world.settings.witness_keys_file = Some(keys);
    let installation = world.open().await;
    (world, installation, witness)
}

fn cosigned(installation: &Installation, witness: &Cosigner, time: u64) -> String {
    let note = installation.audit.checkpoint().unwrap().note;
    witness.cosign(&note, installation.audit.verifier(), time).unwrap().to_string()
}

async fn code(installation: &Installation, text: &str) -> Option<String> {
    let kept = keep_cosigned(installation, &caller(PersonRole::Auditor), text).await;
    kept.err().map(|error| error.public().code().to_owned())
}

#[tokio::test]
async fn cosignature_of_an_impossible_time_is_not_kept() {
    let (world, installation, witness) = witnessed().await;
    for time in [NOW + 301, NOW - 301, 1, u64::try_from(i64::MAX).unwrap()] {
        let text = cosigned(&installation, &witness, time);
        assert_eq!(code(&installation, &text).await.as_deref(), Some("cosignature-time-wrong"), "{time}");
    }
    for time in [NOW - 299, NOW, NOW + 299] {
        assert_eq!(code(&installation, &cosigned(&installation, &witness, time)).await, None, "{time}");
    }
    drop(world);
}

#[tokio::test]
async fn checkpoint_that_the_log_does_not_continue_is_not_kept() {
    let (world, installation, witness) = witnessed().await;
    let folder = installation.layout().audit();
    let before = world.folder.path().join("before");
    copy(&folder, &before);
    let note = Note::new(Action::JobFailed, program());
    installation.append_one(note.clone()).await.unwrap();
    let text = cosigned(&installation, &witness, NOW);
    installation.close().await;
    fs::remove_dir_all(&folder).unwrap();
    copy(&before, &folder);
    let shorter = world.open().await;
    assert_eq!(code(&shorter, &text).await.as_deref(), Some("checkpoint-of-another-log"));
    for _ in 0..3 {
        shorter.append_one(note.clone()).await.unwrap();
    }
    assert_eq!(
        code(&shorter, &text).await.as_deref(),
        Some("checkpoint-of-another-log"),
        "it went another way"
    );
    assert!(!folder.join("checkpoint.cosigned").exists());
}

#[tokio::test]
async fn shredding_killed_between_log_and_database_is_reported_and_goes_on_when_asked_again() {
    let (world, installation) = World::new().await;
    let job = running_job(&installation).await;
    let operator = caller(PersonRole::Operator);
    let early = shred_question(&installation, &operator, job, "a name").await.unwrap_err();
    assert_eq!(early.public().code(), "job-not-over");
    let failure = crate::jobs::JobFailure::Interrupted;
    crate::app::query::end::fail_job(&installation, Door::CommandLine, job, failure, installation.now())
        .await
        .unwrap();
    let event = Note::new(Action::QuestionShredded, program()).of_job(job);
    installation.append_one(event).await.unwrap();
    let layout = installation.layout().clone();
    let found = || async {
        let verification = verify_log(&LogCopy::of(&layout), &LogAgainst::default()).unwrap();
        reconcile(&layout, &verification).await.unwrap()
    };
    assert_eq!(found().await.len(), 1);
    shred_question(&installation, &operator, job, "a name").await.unwrap();
    assert_eq!(found().await, []);
    drop(world);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
