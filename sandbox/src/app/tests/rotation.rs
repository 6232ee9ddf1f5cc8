//! Rotations that are cut short: nothing that was sealed is lost.

use std::collections::BTreeSet;

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
use obscura_policies::vocabulary::PersonRole;

use super::*;
use crate::app::results::Asked;
use crate::app::results::open_query;
use crate::app::results::seal_query;
use crate::app::rotate_key::rotate_key;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Person;
use crate::ids::PersonId;

fn caller(role: PersonRole) -> Caller {
    let person = Person {
        id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
        name: "shen".parse().unwrap(),
        department: Some("hz-health".to_owned()),
        district: None,
        roles: BTreeSet::from([role]),
    };
    Caller::authenticated(person, Door::CommandLine, Credential::Founding)
}

async fn rotate(installation: &Installation, key: &str) -> Result<u64, String> {
    let rotated = rotate_key(installation, &caller(PersonRole::Operator), &key.parse().unwrap()).await;
    rotated.map(|it| it.rewrapped).map_err(|error| error.public().code().to_owned())
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

fn question(installation: &Installation) -> (JobId, Asked) {
    let id = JobId::new(installation.clock.as_ref(), &SystemRandom).unwrap();
    (id, Asked::new(installation, "select 1").unwrap())
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
