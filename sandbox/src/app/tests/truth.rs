//! The log decides in both directions: what it has in force has effect whatever its row says, and what it has in force
//! without a row that counts is not replaced by something older.

use obscura_policies::day::Day;

use super::*;
use crate::catalog::body::DatasetOpeningBody;
use crate::catalog::body::DatasetVersionBody;
use crate::catalog::body::DocumentBody;
use crate::error::AppError;
use crate::installation::library::documents_in_force;
use crate::installation::openings::Versions;
use crate::installation::openings::today;
use crate::installation::openings::versions_of;
use crate::installation::openings::versions_of_all;
use crate::installation::records::RecordStep;
use crate::installation::sealed::highest_ever;
use crate::installation::sealed::newest;

const DATASET: &str = "hz-health.visits";

fn document(version: u32) -> DocumentBody {
    let text = format!(
        "api_version: obscura/v1\nkind: Department\nmetadata: {{id: hz, version: {version}, title: {{en: City, zh: 市}}}}\nlevel: city\n"
    );
    DocumentBody {
        kind: "Department".to_owned(),
        id: "hz".to_owned(),
        version,
        text,
        published_by: None,
        proposed_by: None,
    }
}

fn sealed(version: u64) -> DatasetVersionBody {
    DatasetVersionBody {
        dataset: DATASET.to_owned(),
        version,
        manifest_sha256: "00".repeat(32),
        sealed_by: "shen".to_owned(),
    }
}

/// Seals a version that analysts see from some days on.
async fn seal_opening_in(installation: &Installation, version: u64, days: i32) {
    let opens = today(installation).checked_add_days(days).unwrap();
    let opening = DatasetOpeningBody { dataset: DATASET.to_owned(), version, opens, since: opens };
    let note = Note::new(Action::DatasetSealed, program());
    let opened = Note::new(Action::DatasetOpened, program());
    let steps = vec![
        RecordStep::begin(&sealed(version), note).unwrap(),
        RecordStep::begin(&opening, opened).unwrap(),
    ];
    let _changing = installation.change().await.unwrap();
    installation.change_while_changing(steps).await.unwrap().unwrap();
}

async fn seal(installation: &Installation, version: u64) {
    seal_opening_in(installation, version, 0).await;
}

/// Two versions of a document and of a dataset, and a grant after them.
async fn world() -> (World, Installation) {
    let (world, installation) = World::new().await;
    for version in 1..=2 {
        let note = Note::new(Action::DocumentPublished, program());
        installation.begin(&document(version), note).await.unwrap();
        seal(&installation, version.into()).await;
    }
    installation.begin(&grant(), Note::new(Action::GrantCreated, program())).await.unwrap();
    (world, installation)
}

async fn alter(installation: &Installation, sql: &'static str) {
    let done = sqlx::query(sql).execute(installation.catalog.pool()).await.unwrap();
    assert_ne!(done.rows_affected(), 0, "{sql}");
}

async fn document_in_force(installation: &Installation) -> Result<u32, AppError> {
    let documents = documents_in_force(installation).await?;
    Ok(documents.get(&("Department".to_owned(), "hz".to_owned())).map_or(0, |it| it.value.version()))
}

async fn version_in_force(installation: &Installation) -> Result<u64, AppError> {
    newest(installation, &DATASET.parse().unwrap()).await.map(|body| body.map_or(0, |body| body.version))
}

async fn version_in_list(installation: &Installation) -> Result<u64, AppError> {
    let number = |versions: &Versions| versions.opened.as_ref().map_or(0, |body| body.version);
    versions_of_all(installation).await.map(|all| all.get(DATASET).map_or(0, number))
}

async fn problems(installation: &Installation) -> Vec<(String, &'static str)> {
    let layout = installation.layout();
    let verification = verify_log(&LogCopy::of(layout), &LogAgainst::default()).unwrap();
    let found = reconcile(layout, &verification).await.unwrap().into_iter();
    // These versions never lay on disk.
    found.filter(|it| !it.problem.contains("on disk")).map(|it| (it.key, it.problem)).collect()
}

fn operator_log(installation: &Installation) -> String {
    std::fs::read_to_string(installation.operator_log.path()).unwrap_or_default()
}

#[tokio::test]
async fn what_the_log_has_in_force_has_effect_though_its_row_is_staged() {
    let (_world, installation) = world().await;
    for marked in [
        "UPDATE record SET state = 'staged' WHERE key LIKE '%@2' OR key = 'grant-1'",
        "UPDATE record SET event_index = NULL WHERE key LIKE '%@2' OR key = 'grant-1'",
    ] {
        alter(&installation, marked).await;
        assert_eq!(document_in_force(&installation).await.unwrap(), 2);
        assert_eq!(version_in_force(&installation).await.unwrap(), 2);
        assert_eq!(installation.find_in_force::<GrantBody>("grant-1").await.unwrap(), Some(grant()));
    }
}

#[tokio::test]
async fn a_staged_row_is_a_finding_unless_a_crash_could_have_left_it() {
    let (_world, installation) = world().await;
    assert_eq!(problems(&installation).await, []);
    // The newest change, as a process leaves it that is killed between log and database.
    alter(&installation, "UPDATE record SET state = 'staged', event_index = NULL WHERE key = 'grant-1'")
        .await;
    assert_eq!(problems(&installation).await, []);
    // A state that no process leaves: staged, with the event that is only known afterwards.
    alter(&installation, "UPDATE record SET event_index = 1 WHERE key = 'grant-1'").await;
    assert_eq!(problems(&installation).await.len(), 1);
    // Every change settles what was left before it, so that nothing older than the newest is staged.
    alter(&installation, "UPDATE record SET state = 'staged', event_index = NULL WHERE key LIKE '%@2'").await;
    let keys: Vec<String> = problems(&installation).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["hz-health.visits@2", "hz-health.visits@2", "Department/hz@2", "grant-1"]);
}

#[tokio::test]
async fn a_staged_row_is_ended_like_any_other() {
    let (_world, installation) = world().await;
    alter(&installation, "UPDATE record SET state = 'staged', event_index = NULL WHERE key = 'grant-1'")
        .await;
    installation.end(&grant(), Note::new(Action::GrantRevoked, program())).await.unwrap();
    assert!(installation.find_in_force::<GrantBody>("grant-1").await.unwrap().is_none());
    assert_eq!(problems(&installation).await, []);
}

#[tokio::test]
async fn nothing_older_takes_the_place_of_a_row_that_does_not_count() {
    for altered in [
        "DELETE FROM record WHERE key LIKE '%@2'",
        "UPDATE record SET body = replace(body, '2', '3') WHERE key LIKE '%@2'",
        "UPDATE record SET event_index = event_index + 1 WHERE key LIKE '%@2'",
        "UPDATE record SET state = 'ended', ended_index = 4 WHERE key LIKE '%@2'",
        "UPDATE record SET key = replace(key, '@2', '@3') WHERE key LIKE '%@2'",
        "UPDATE record SET state = 'staged', event_index = NULL, body = replace(body, '2', '1') WHERE key LIKE '%@2'",
    ] {
        let (_world, installation) = world().await;
        alter(&installation, altered).await;
        for failed in [
            document_in_force(&installation).await.unwrap_err(),
            version_in_force(&installation).await.unwrap_err(),
            version_in_list(&installation).await.unwrap_err(),
            versions_of(&installation, &DATASET.parse().unwrap()).await.unwrap_err(),
        ] {
            assert!(matches!(failed, AppError::Internal(_)), "{altered}: {failed:?}");
        }
        let told = operator_log(&installation);
        for subject in ["document `Department/hz@2`", "dataset-version `hz-health.visits@2`"] {
            assert!(told.contains(subject), "{altered}: {told}");
        }
        assert!(problems(&installation).await.len() >= 2, "{altered}");
        // The number of a version is not given a second time, and what there is of it can be followed by another.
        let dataset = DATASET.parse().unwrap();
        assert_eq!(highest_ever(&installation, &dataset).await.unwrap().map(|it| it >= 2), Some(true));
    }
}

#[tokio::test]
async fn analysts_are_not_shown_an_older_version_because_an_opening_has_no_row() {
    let (_world, installation) = world().await;
    alter(&installation, "DELETE FROM record WHERE kind = 'dataset-opening' AND key LIKE '%@2'").await;
    version_in_list(&installation).await.unwrap_err();
    versions_of(&installation, &DATASET.parse().unwrap()).await.unwrap_err();
    assert!(operator_log(&installation).contains("dataset-opening `hz-health.visits@2`"));
    assert_eq!(problems(&installation).await.len(), 1);
    assert_eq!(version_in_force(&installation).await.unwrap(), 2);
}

#[tokio::test]
async fn a_newer_version_that_counts_makes_up_for_an_older_row_that_is_gone() {
    let (_world, installation) = world().await;
    alter(&installation, "DELETE FROM record WHERE key LIKE '%@1'").await;
    assert_eq!(document_in_force(&installation).await.unwrap(), 2);
    assert_eq!(version_in_force(&installation).await.unwrap(), 2);
    alter(&installation, "DELETE FROM record WHERE key = 'hz-health.visits@2'").await;
    version_in_force(&installation).await.unwrap_err();
    seal(&installation, 3).await;
    assert_eq!(version_in_force(&installation).await.unwrap(), 3);
}

#[tokio::test]
async fn a_person_or_grant_whose_row_is_gone_is_simply_not_there() {
    let (_world, installation) = world().await;
    alter(&installation, "DELETE FROM record WHERE key = 'grant-1'").await;
    assert!(installation.find_in_force::<GrantBody>("grant-1").await.unwrap().is_none());
    assert_eq!(installation.all_in_force::<GrantBody>().await.unwrap(), []);
    assert_eq!(
        problems(&installation).await,
        [("grant-1".to_owned(), "the log has it, the database does not")]
    );
}

#[tokio::test]
async fn what_others_change_meanwhile_is_never_taken_for_a_row_that_is_gone() {
    let (world, installation) = world().await;
    let other = world.open().await;
    let change = async {
        for version in 3..40_u32 {
            let note = Note::new(Action::DocumentPublished, program());
            other.begin(&document(version), note).await.unwrap();
            seal(&other, version.into()).await;
            let note = Note::new(Action::DatasetDropped, program());
            other.end(&sealed(u64::from(version) - 1), note).await.unwrap();
        }
    };
    let mut seen = 0;
    let look = async {
        while seen < 39 {
            seen = version_in_force(&installation).await.unwrap();
            assert!(version_in_list(&installation).await.unwrap() >= seen);
            assert!(document_in_force(&installation).await.unwrap() >= 2);
            assert_eq!(problems(&installation).await, []);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(change, look);
    assert_eq!(operator_log(&installation), "");
}

#[tokio::test]
async fn sealed_data_is_removed_only_when_the_log_knows_of_none() {
    let (world, installation) = world().await;
    let dataset = DATASET.parse().unwrap();
    let folder = |version| installation.data.version(&dataset, version);
    for version in 1..=4 {
        std::fs::create_dir_all(folder(version)).unwrap();
    }
    // The third was dropped, of the fourth the log knows nothing, and the row of the second is gone.
    seal(&installation, 3).await;
    installation.end(&sealed(3), Note::new(Action::DatasetDropped, program())).await.unwrap();
    alter(&installation, "DELETE FROM record WHERE key = 'hz-health.visits@2'").await;
    let next = world.open().await;
    assert_eq!(recover(&next).await.unwrap(), Recovered { versions_removed: 2, ..Recovered::default() });
    assert_eq!([1, 2, 3, 4].map(|version| folder(version).exists()), [true, true, false, false]);
    assert!(operator_log(&next).contains("dataset-version `hz-health.visits@2`"));
    alter(&next, "DELETE FROM record WHERE kind = 'dataset-version'").await;
    assert_eq!(recover(&next).await.unwrap(), Recovered::default());
    assert_eq!(highest_ever(&next, &dataset).await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_version_is_seen_from_its_day_on_and_while_it_is_in_force() {
    let (_world, installation) = World::new().await;
    let dataset = DATASET.parse().unwrap();
    let versions = async || {
        let versions = versions_of(&installation, &dataset).await.unwrap();
        let all = versions_of_all(&installation).await.unwrap();
        assert_eq!(all.get(DATASET).cloned().unwrap_or_default(), versions);
        let opens = |day: Day| day.epoch_days() - today(&installation).epoch_days();
        let waiting = versions.waiting.map(|waiting| (waiting.version, waiting.opens.map(opens)));
        (versions.opened.map(|body| body.version), waiting)
    };
    assert_eq!(versions().await, (None, None));
    seal(&installation, 1).await;
    assert_eq!(versions().await, (Some(1), None));
    seal_opening_in(&installation, 2, 20).await;
    assert_eq!(versions().await, (Some(1), Some((2, Some(20)))));
    installation.begin(&sealed(3), Note::new(Action::DatasetSealed, program())).await.unwrap();
    assert_eq!(versions().await, (Some(1), Some((3, None))));
    seal(&installation, 4).await;
    assert_eq!(versions().await, (Some(4), None));
    installation.end(&sealed(4), Note::new(Action::DatasetDropped, program())).await.unwrap();
    assert_eq!(versions().await, (Some(1), Some((3, None))));
}

#[tokio::test]
async fn of_a_dataset_that_was_sealed_before_there_were_openings_the_newest_opens() {
    let (world, installation) = World::new().await;
    for version in 1..=3 {
        installation.begin(&sealed(version), Note::new(Action::DatasetSealed, program())).await.unwrap();
        std::fs::create_dir_all(installation.data.version(&DATASET.parse().unwrap(), version)).unwrap();
    }
    installation.end(&sealed(3), Note::new(Action::DatasetDropped, program())).await.unwrap();
    assert_eq!(version_in_list(&installation).await.unwrap(), 0);
    let next = world.open().await;
    recover(&next).await.unwrap();
    assert_eq!(version_in_list(&next).await.unwrap(), 2);
    // A version that waits is opened by no start.
    next.begin(&sealed(4), Note::new(Action::DatasetSealed, program())).await.unwrap();
    recover(&world.open().await).await.unwrap();
    assert_eq!(version_in_list(&next).await.unwrap(), 2);
}
