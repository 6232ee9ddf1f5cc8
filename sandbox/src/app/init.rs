//! Use case: make an installation, with its keys, its log and its first person.
//! It asks for no token, because there are no persons yet; from here on nobody acts without one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use obscura_crypto::kms::KeyFile;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::kms::LocalKeyring;
use obscura_policies::vocabulary::PersonRole;

use crate::app::people::create_token::TokenKind;
use crate::app::people::create_token::new_token_while_changing;
use crate::audit::event::Action;
use crate::audit::event::ActorName;
use crate::catalog::Missing;
use crate::catalog::body::PersonBody;
use crate::clock::Clock;
use crate::clock::Random;
use crate::config::KeyringSecret;
use crate::config::Settings;
use crate::context::Caller;
use crate::context::Credential;
use crate::context::Door;
use crate::context::Person;
use crate::context::PersonName;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::ids::InstallationId;
use crate::ids::PersonId;
use crate::installation::Installation;
use crate::installation::Layout;
use crate::installation::MANIFEST_SIGNER;
use crate::installation::RELEASE_SIGNER;
use crate::installation::keyring_secret;
use crate::installation::records::Note;

/// The time that the first person's token is good.
const OPERATOR_TOKEN: SignedDuration = SignedDuration::from_hours(24 * 365);

/// An installation to make.
#[derive(Debug, Clone)]
pub struct Init {
    /// Name of the first person, who is operator and admin.
    pub operator: PersonName,
    /// The file to write their token to.
    pub token_file: PathBuf,
    /// The way the request came in.
    pub door: Door,
}

/// An installation that `init` has made.
#[derive(Debug)]
pub struct Initialised {
    /// The installation, open.
    pub installation: Installation,
    /// The first person.
    pub operator: Caller,
    /// A key file that was made and should be kept apart from the data directory.
    pub key_file: Option<PathBuf>,
    /// The public key the audit log is verified with.
    pub audit_key: String,
}

/// Makes an installation in an empty or missing data directory.
///
/// # Errors
/// Conflict when the directory or the token file holds something already; failure when a part cannot be made.
pub async fn init(
    settings: Settings,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    request: Init,
) -> Result<Initialised, AppError> {
    let layout = Layout::of(&settings.data_dir);
    must_be_free(&layout, &request.token_file)?;
    for folder in layout.folders() {
        make_private_folder(&folder).during("make the data directory")?;
    }
    let key_file = make_key_file(&settings.keyring)?;
    let secret = keyring_secret(&settings.keyring)?;
    let keyring = LocalKeyring::create(&layout.keyring(), &secret).map_err(|error| {
        AppError::from(PublicError::new(
            Class::Failure,
            "keyring-not-made",
            error.to_string(),
            "无法创建密钥环",
        ))
    })?;
    let keys: Arc<dyn KeyManagement> = Arc::new(keyring);
    let id = InstallationId::new(clock.as_ref(), random.as_ref()).during("name the installation")?;
    let signer = keys.signer(&id.to_string()).during("make the audit log's signing key")?;
    let audit_key = signer.verifier().to_string();
    fs::write(layout.audit_key(), format!("{audit_key}\n")).during("write the audit log's public key")?;

    for (name, path) in [(MANIFEST_SIGNER, layout.manifest_key()), (RELEASE_SIGNER, layout.release_key())] {
        let signer = keys.signer(name).during("make a signing key")?;
        fs::write(path, format!("{}\n", signer.verifier())).during("write a public key")?;
    }

    let installation = Installation::assemble(settings, layout, clock, random, keys, Missing::Create).await?;
    let program = ActorName::program(request.door);
    let begun = Note::new(Action::LogBegun, program.clone()).with("installation", id.to_string());
    installation.append_one(begun).await?;
    let operator = Person {
        id: PersonId::new(installation.clock.as_ref(), installation.random.as_ref())
            .during("name a person")?,
        name: request.operator,
        department: None,
        district: None,
        roles: BTreeSet::from([PersonRole::Operator, PersonRole::Admin]),
    };
    installation
        .begin(&PersonBody::of(&operator, None), Note::new(Action::PersonAdded, program.clone()))
        .await?;
    let first = TokenKind { good_for: OPERATOR_TOKEN, ends_by: None, by: None, made_with: None, roles: None };
    let changing = installation.change().await?;
    let (token, _expires) = new_token_while_changing(&installation, &operator.name, first, program).await?;
    drop(changing);
    token.write_new(&request.token_file).during("write the operator's token file")?;
    let operator = Caller::authenticated(operator, request.door, Credential::Founding);
    Ok(Initialised { installation, operator, key_file, audit_key })
}

fn must_be_free(layout: &Layout, token_file: &Path) -> Result<(), AppError> {
    let occupied = |path: &Path| {
        let path = path.display();
        AppError::from(
            PublicError::new(
                Class::Conflict,
                "already-there",
                format!("`{path}` is there already and was left alone"),
                format!("`{path}` 已存在，未作改动"),
            )
            .with_help(
                "name another place with `--data-dir` or `--token-file`",
                "请用 `--data-dir` 或 `--token-file` 指定其他位置",
            ),
        )
    };
    if token_file.exists() {
        return Err(occupied(token_file));
    }
    match fs::read_dir(layout.root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).during("look into the data directory"),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(occupied(layout.root())),
        },
    }
}

pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the key file where settings name one that is not there yet.
fn make_key_file(secret: &KeyringSecret) -> Result<Option<PathBuf>, AppError> {
    match secret {
        KeyringSecret::KeyFile(path) if !path.exists() => {
            KeyFile::create(path).during("make the key file")?;
            Ok(Some(path.clone()))
        }
        KeyringSecret::KeyFile(_) | KeyringSecret::PassphraseFile(_) => Ok(None),
    }
}
