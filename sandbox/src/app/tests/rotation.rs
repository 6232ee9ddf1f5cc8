//! Keys that are wrapped while a rotation is under way, and rotations that are cut short: nothing that was sealed is lost.

use std::io::Write as _;
use std::sync::Mutex;

use obscura_crypto::keys::DataKey;
use obscura_crypto::kms::KekId;
use obscura_crypto::kms::KekVersion;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::KmsError;
use obscura_crypto::kms::WrapContext;
use obscura_crypto::kms::WrappedKey;
use obscura_crypto::sign::Signer;
use obscura_crypto::tokens::SubjectHashKey;
use obscura_crypto::tokens::Tokenizer;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::*;
use crate::app::data::datasets::verify_dataset;
use crate::app::data::rotate_key::rotate_key;
use crate::app::data::seal_dataset::SealDataset;
use crate::app::data::seal_dataset::seal_dataset;
use crate::installation::results::QuestionText;
use crate::installation::results::open_query;
use crate::installation::results::seal_query;
use crate::installation::rotation_lock;
use crate::storage::Confirmation;
use crate::storage::Direction;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::Progress;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::Stage;
use crate::storage::UnitKeys;

const WARDS: (&str, &str, &str) = (
    "Dataset",
    "hz-health.wards",
    "api_version: obscura/v1\nkind: Dataset\n\
         metadata: {id: hz-health.wards, version: 1, title: {en: Wards, zh: 病区}}\n\
         department: hz-health\nscheme: db33t2351-2021\nunits: none\nunits_reason: each row is a ward\nopening: limited\nsharing: conditional\n\
         columns:\n  - {name: ward, type: text, role: dimension, grade: L2}\n",
);

fn wards() -> DatasetId {
    "hz-health.wards".parse().unwrap()
}

async fn rotate(installation: &Installation, key: &str) -> Result<u64, String> {
    let rotated = rotate_key(installation, &caller(PersonRole::Operator), &key.parse().unwrap()).await;
    rotated.map(|it| it.rewrapped).map_err(|error| error.public().code().to_owned())
}

/// An installation with a dataset that was never sealed.
async fn world() -> (World, Arc<Installation>) {
    let (world, installation) = World::new().await;
    publish(&installation, &[HEALTH, WARDS]).await;
    (world, Arc::new(installation))
}

async fn seal(
    world: &World,
    installation: &Arc<Installation>,
    mode: SealMode,
    observer: Arc<dyn SealObserver + Send + Sync>,
) -> Result<u64, String> {
    let file = world.folder.path().join("wards.csv");
    std::fs::File::create(&file).unwrap().write_all(b"ward\nnorth\nsouth\n").unwrap();
    let request = SealDataset {
        dataset: wards(),
        input: Input::Path(file),
        options: InputOptions::strict(1 << 20),
        mode,
        unit_keys: UnitKeys::Ask,
        confirmation: Confirmation::Given,
        observer,
    };
    let sealed = seal_dataset(installation, &caller(PersonRole::Steward), request).await;
    sealed.map(|it| it.version).map_err(|error| error.public().code().to_owned())
}

/// Rotates the dataset's key when all its files are written, and keeps what came of it.
struct RotatesMeanwhile {
    installation: Arc<Installation>,
    came: Mutex<Vec<Result<u64, String>>>,
}

impl SealObserver for RotatesMeanwhile {
    fn reached(&self, progress: Progress) -> Direction {
        if progress.stage == Stage::FilesWritten {
            let rotated = Handle::current().block_on(rotate(&self.installation, "hz-health/L2"));
            self.came.lock().unwrap().push(rotated);
        }
        Direction::Continue
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_rotated_while_a_dataset_is_sealed() {
    let (world, installation) = world().await;
    let observer =
        Arc::new(RotatesMeanwhile { installation: Arc::clone(&installation), came: Mutex::default() });
    for (mode, version) in [(SealMode::First, 1), (SealMode::Append, 2), (SealMode::Replace, 3)] {
        let sealed = seal(&world, &installation, mode, Arc::clone(&observer) as _).await;
        assert_eq!(sealed, Ok(version));
        let steward = caller(PersonRole::Steward);
        assert_eq!(verify_dataset(&installation, &steward, &wards()).await.unwrap().version, version);
    }
    let rotating = rotation_lock::rotating(&installation).unwrap().unwrap();
    let sealed = seal(&world, &installation, SealMode::Replace, Arc::new(crate::storage::Unobserved)).await;
    assert_eq!(sealed, Err("rotation-in-progress".to_owned()));
    assert_eq!(rotate(&installation, "hz-health/L2").await, Err("sealing-in-progress".to_owned()));
    drop(rotating);
    let busy = Err("sealing-in-progress".to_owned());
    assert_eq!(*observer.came.lock().unwrap(), [busy.clone(), busy.clone(), busy]);
    rotate(&installation, "hz-health/L2").await.unwrap();
    assert_eq!(
        seal(&world, &installation, SealMode::Append, Arc::new(crate::storage::Unobserved)).await,
        Ok(4)
    );
    verify_dataset(&installation, &caller(PersonRole::Steward), &wards()).await.unwrap();
}

/// A key service that looks in, or gives up, before older versions are destroyed.
struct BeforeRetiring {
    keys: Arc<dyn KeyManagement>,
    look: Box<dyn Fn() -> Result<(), KmsError> + Send + Sync>,
}

impl KeyManagement for BeforeRetiring {
    fn retire(&self, kek: &KekId, oldest_kept: KekVersion) -> Result<(), KmsError> {
        (self.look)()?;
        self.keys.retire(kek, oldest_kept)
    }
    fn ensure_key(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
        self.keys.ensure_key(kek)
    }
    fn versions(&self, kek: &KekId) -> Result<Vec<KekVersion>, KmsError> {
        self.keys.versions(kek)
    }
    fn wrap(&self, kek: &KekId, key: &DataKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
        self.keys.wrap(kek, key, context)
    }
    fn unwrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<DataKey, KmsError> {
        self.keys.unwrap(wrapped, context)
    }
    fn rotate(&self, kek: &KekId) -> Result<KekVersion, KmsError> {
        self.keys.rotate(kek)
    }
    fn rewrap(&self, wrapped: &WrappedKey, context: &WrapContext) -> Result<WrappedKey, KmsError> {
        self.keys.rewrap(wrapped, context)
    }
    fn destroy(&self, kek: &KekId) -> Result<(), KmsError> {
        self.keys.destroy(kek)
    }
    fn tokenizer(&self, unit: &str) -> Result<Tokenizer, KmsError> {
        self.keys.tokenizer(unit)
    }
    fn hash_key(&self, purpose: &str) -> Result<SubjectHashKey, KmsError> {
        self.keys.hash_key(purpose)
    }
    fn signer(&self, name: &str) -> Result<Signer, KmsError> {
        self.keys.signer(name)
    }
    fn unwraps(&self) -> BTreeMap<KekId, u64> {
        self.keys.unwraps()
    }
}

/// Takes in a job whose question is sealed with this key.
async fn receive(installation: &Installation, id: JobId, sql_key: String) {
    let new = NewJob {
        id,
        person: "lin".to_owned(),
        purpose: "official-statistics".to_owned(),
        door: "test",
        received: installation.now(),
        sql_key,
        repeatable: None,
    };
    installation.jobs.receive(new).await.unwrap();
}

async fn opens(installation: &Installation, id: JobId, sealed: &[u8]) -> bool {
    let key = installation.jobs.job(id).await.unwrap().unwrap().sql_key.unwrap();
    open_query(installation, id, &key, sealed, true).is_ok_and(|asked| asked.sql == "select 1")
}

fn question(installation: &Installation) -> (JobId, QuestionText) {
    let id = JobId::new(installation.clock.as_ref(), &SystemRandom).unwrap();
    (id, QuestionText::new(installation, "select 1").unwrap())
}

#[tokio::test]
async fn a_rotation_cut_short_before_retiring_is_in_the_log_and_loses_nothing() {
    let (world, mut installation) = World::new().await;
    let (id, asked) = question(&installation);
    let object = seal_query(&installation, id, &asked).unwrap();
    receive(&installation, id, object.key.to_string()).await;
    let sealed = object.sealed.clone();
    drop(object);
    let keys = Arc::clone(&installation.keys);
    installation.keys = Arc::new(BeforeRetiring { keys, look: Box::new(|| Err(KmsError::Refused)) });
    assert_eq!(rotate(&installation, "_queries/L9").await, Err("internal-error".to_owned()));
    let next = world.open().await;
    let size = next.audit.checkpoint().unwrap().checkpoint.size();
    assert_eq!(next.audit.event(size - 1).unwrap().action, "key.rotated");
    assert_eq!(next.keys.versions(&"_queries/L9".parse().unwrap()).unwrap().len(), 2);
    assert!(opens(&next, id, &sealed).await);
    assert_eq!(rotate(&next, "_queries/L9").await, Ok(1));
    assert_eq!(next.keys.versions(&"_queries/L9".parse().unwrap()).unwrap().len(), 1);
    assert!(opens(&next, id, &sealed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_for_keys_that_were_wrapped_and_are_not_recorded_yet() {
    let (world, installation) = World::new().await;
    let (id, asked) = question(&installation);
    let object = seal_query(&installation, id, &asked).unwrap();
    let other = world.open().await;
    let kek: KekId = "_queries/L9".parse().unwrap();
    let mut rotating = JoinSet::new();
    rotating.spawn(async move { rotate(&other, "_queries/L9").await });
    while installation.keys.versions(&kek).unwrap().last().unwrap().number() < 2 {
        tokio::task::yield_now().await;
    }
    // Other questions go on meanwhile, under the new version, and wait for no lock.
    let (later, asked) = question(&installation);
    let second = seal_query(&installation, later, &asked).unwrap();
    assert_eq!(second.key.version().number(), 2);
    receive(&installation, later, second.key.to_string()).await;
    assert!(rotating.try_join_next().is_none(), "it waits");
    receive(&installation, id, object.key.to_string()).await;
    let (sealed, second_sealed) = (object.sealed.clone(), second.sealed.clone());
    drop(object);
    assert_eq!(rotating.join_next().await.unwrap().unwrap(), Ok(1));
    drop(second);
    assert_eq!(installation.keys.versions(&kek).unwrap().len(), 1);
    assert!(opens(&installation, id, &sealed).await);
    assert!(opens(&installation, later, &second_sealed).await);
}
