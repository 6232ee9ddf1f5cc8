//! `demo`: seals the city and tells its story. Every step is the same use case that a person's own command would call.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::io::Read;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use obscura_policies::vocabulary::PersonRole;

use crate::app::add_person::AddPerson;
use crate::app::add_person::add_person;
use crate::app::authenticate::authenticate;
use crate::app::create_token::CreateToken;
use crate::app::create_token::create_token;
use crate::app::grants::create_grants;
use crate::app::init::Init;
use crate::app::init::init;
use crate::app::installation::Installation;
use crate::app::publish_documents::DocumentFile;
use crate::app::publish_documents::activate_policy;
use crate::app::publish_documents::list_proposals;
use crate::app::publish_documents::publish_documents;
use crate::app::seal_dataset::SealDataset;
use crate::app::seal_dataset::seal_dataset;
use crate::app::submit_query::SubmitQuery;
use crate::app::submit_query::Submitted;
use crate::app::submit_query::submit_query;
use crate::app::verify_audit::LogAgainst;
use crate::app::verify_audit::LogCopy;
use crate::app::verify_audit::prove_entry;
use crate::app::verify_audit::verify_entry_proof;
use crate::app::verify_audit::verify_log;
use crate::city::City;
use crate::city::CityDataset;
use crate::city::documents;
use crate::city::story;
use crate::city::story::CHARACTERS;
use crate::city::story::Expectation;
use crate::city::story::Passage;
use crate::city::story::Scene;
use crate::cli::args::DemoArgs;
use crate::cli::commands::ask::show_submitted;
use crate::cli::commands::data::Watch;
use crate::cli::commands::data::plain_options;
use crate::cli::commands::serve::answer;
use crate::cli::commands::serve::listen;
use crate::cli::commands::verify::show_verification;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::config::KeyringSecret;
use crate::config::Language;
use crate::context::Caller;
use crate::context::Door;
use crate::error::Class;
use crate::error::PublicError;
use crate::storage::Format;
use crate::storage::Input;
use crate::storage::SealMode;

/// Width of a passage.
const COLUMNS: usize = 92;
/// Name of the city's operator.
const OPERATOR: &str = "operator";

pub(in crate::cli) async fn demo(session: &mut Session<'_>, args: DemoArgs) -> Result<Exit, Ending> {
    let residents = args.residents.unwrap_or(City::RESIDENTS_DEMO);
    if args.dir.join("data").exists() {
        return Err(PublicError::new(
            Class::Conflict,
            "already-there",
            format!("a city stands in `{}` already", args.dir.display()),
            format!("`{}` 中已有一座城市", args.dir.display()),
        )
        .with_help("remove it, or name another folder with `--dir`", "请先删除，或用 `--dir` 指定其他目录")
        .into());
    }
    let mut stage = Stage { language: told_in(session.screen.language), once: args.once };
    stage.tell(&mut session.screen, &story::OPENING)?;
    let (installation, operator) = found(session, &args.dir).await?;
    let people = People::arrive(&installation, &operator, &args.dir).await?;
    settle(session, &installation, &operator, &people, residents).await?;
    let mut exit = Exit::Done;
    for scene in story::scenes() {
        if !stage.play(session, &installation, &people, scene).await? {
            exit = Exit::Failure;
        }
    }
    if !stage.prove(session, &installation)? {
        exit = Exit::VerificationFailed;
    }
    farewell(&mut session.screen, &args.dir)?;
    if !args.once {
        stay(session, installation, &args.dir).await?;
    }
    Ok(exit)
}

/// Serves the city, and says how to ask it with curl.
async fn stay(session: &mut Session<'_>, installation: Arc<Installation>, dir: &Path) -> Result<(), Ending> {
    let wanted = session.loaded.settings.listen;
    let listener = match listen(wanted).await {
        Ok(listener) => listener,
        // Something else listens there; a demonstration takes any place.
        Err(_) => listen(SocketAddr::new(wanted.ip(), 0)).await?,
    };
    let (address, dir) = (listener.local_addr()?, dir.display());
    session.screen.tell("")?;
    session.screen.say("Or over HTTP, from another terminal:", "也可以在另一个终端通过 HTTP 提问：")?;
    for line in [
        format!("  token=$(cat {dir}/lin.token); url=http://{address}/api/v1"),
        "  curl -s -H \"Authorization: Bearer $token\" $url/datasets".to_owned(),
        "  curl -s -H \"Authorization: Bearer $token\" -H 'Prefer: wait=30' $url/jobs -d '{\"sql\": \"SELECT ...\", \"purpose\": \"traffic-management\"}'"
            .to_owned(),
    ] {
        session.screen.tell(&line)?;
    }
    answer(session, installation, listener, None, None).await
}

/// Makes the installation that the city lives in.
async fn found(session: &mut Session<'_>, dir: &Path) -> Result<(Arc<Installation>, Caller), Ending> {
    let mut settings = session.loaded.settings.clone();
    settings.data_dir = dir.join("data");
    settings.keyring = KeyringSecret::KeyFile(dir.join("keyring.key"));
    std::fs::create_dir_all(dir)?;
    let operator = OPERATOR.parse().map_err(|_| broken("the operator has no name"))?;
    let request = Init { operator, token_file: token_file(dir, OPERATOR), door: Door::Demo };
    let made = init(settings, Arc::clone(&session.clock), Arc::clone(&session.random), request).await?;
    Ok((session.keep(made.installation), made.operator))
}

/// Everybody who acts, each recognised by a token of their own.
struct People {
    callers: Vec<Caller>,
}

impl People {
    async fn arrive(installation: &Installation, operator: &Caller, dir: &Path) -> Result<Self, Ending> {
        let mut callers = Vec::new();
        for character in &CHARACTERS {
            let name = character.id.parse().map_err(|_| broken("a character has no name"))?;
            let keeps = matches!(character.role, PersonRole::Auditor | PersonRole::Operator);
            let request = AddPerson {
                name,
                roles: BTreeSet::from([character.role]),
                department: (!keeps).then(|| character.department.to_owned()),
                district: None,
            };
            let person = add_person(installation, operator, request).await?;
            let file = token_file(dir, character.id);
            let request = CreateToken { person: person.name, days: 30, roles: None };
            create_token(installation, operator, request).await?.text.write_new(&file)?;
            callers.push(authenticate(installation, Some(&file), Door::Demo).await?);
        }
        Ok(Self { callers })
    }

    fn named(&self, name: &str) -> Result<&Caller, Ending> {
        let found = self.callers.iter().find(|caller| caller.person().name.as_str() == name);
        found.ok_or_else(|| broken("a character is missing"))
    }

    /// Those who hold a role, in the order in which they arrived.
    fn with(&self, role: PersonRole) -> impl Iterator<Item = &Caller> {
        self.callers.iter().filter(move |caller| caller.holds(role))
    }
}

/// Publishes the documents, seals every dataset, gives the grants.
async fn settle(
    session: &mut Session<'_>,
    installation: &Arc<Installation>,
    operator: &Caller,
    people: &People,
    residents: u32,
) -> Result<(), Ending> {
    let mut stewards = people.with(PersonRole::Steward);
    let (Some(steward), Some(second)) = (stewards.next(), stewards.next()) else {
        return Err(broken("a policy needs two stewards"));
    };
    let files = |wanted: fn(&str) -> bool| -> Vec<DocumentFile> {
        let chosen = documents().iter().filter(|(_, text)| text.split("---").any(wanted));
        chosen
            .map(|(name, text)| DocumentFile { name: (*name).to_owned(), text: (*text).to_owned() })
            .collect()
    };
    publish_in_parts(installation, operator, steward, second).await?;
    // Made once and lived in until the process ends: sealing reads it from another thread.
    let city: &'static City = Box::leak(Box::new(City::new(City::SEED_DEMO, residents)));
    let count = CityDataset::ALL.len();
    session.screen.say(
        &format!("{count} datasets of {residents} residents are being sealed."),
        &format!("正在封存 {residents} 名居民的 {count} 个数据集。"),
    )?;
    for (number, dataset) in CityDataset::ALL.into_iter().enumerate() {
        let id = dataset.id().parse().map_err(|_| broken("a dataset has no identifier"))?;
        let mut options = plain_options();
        options.format = Some(Format::Csv);
        let input: Box<dyn Read + Send> = Box::new(city.csv(dataset));
        let request = SealDataset {
            dataset: id,
            input: Input::Stream(input),
            options,
            mode: SealMode::First,
            observer: Arc::new(Watch::new(&session.screen, Path::new("-"))),
        };
        let sealed = seal_dataset(installation, steward, request).await?;
        let line =
            format!("  {:>2}/{count}  {:<32} {:>10}", number + 1, sealed.dataset.to_string(), sealed.rows);
        session.screen.tell(&session.screen.paint(&line, Paint::Faint).clone())?;
    }
    for file in files(|part| part.contains("kind: Grant\n")) {
        create_grants(installation, steward, &file).await?;
    }
    session.screen.tell("")?;
    Ok(())
}

/// Departments and purposes are the operator's to publish, the rest the steward's, policies with a second pair of eyes; a
/// file may hold both.
async fn publish_in_parts(
    installation: &Installation,
    operator: &Caller,
    steward: &Caller,
    second: &Caller,
) -> Result<(), Ending> {
    let mut by_operator = Vec::new();
    let mut by_steward = Vec::new();
    for (name, text) in documents() {
        for (number, part) in text.split("\n---\n").enumerate() {
            let file = DocumentFile { name: format!("{name}#{}", number + 1), text: part.to_owned() };
            let kind = part.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap_or_default();
            match kind.trim() {
                "Department" | "Purpose" | "GradeScheme" => by_operator.push(file),
                "Grant" => {}
                _ => by_steward.push(file),
            }
        }
    }
    publish_documents(installation, operator, &by_operator).await?;
    publish_documents(installation, steward, &by_steward).await?;
    for proposal in list_proposals(installation, second).await? {
        activate_policy(installation, second, &proposal.policy, proposal.version).await?;
    }
    Ok(())
}

/// How the story is told.
struct Stage {
    language: story::Language,
    once: bool,
}

impl Stage {
    fn tell(&mut self, screen: &mut Screen<'_>, passage: &Passage) -> std::io::Result<()> {
        screen.tell("")?;
        for line in story::lines(passage.tell(self.language), COLUMNS) {
            screen.tell(&line)?;
        }
        screen.tell("")
    }

    fn head(&mut self, screen: &mut Screen<'_>, title: &Passage) -> std::io::Result<()> {
        let title = screen.paint(&format!("── {} ", title.tell(self.language)), Paint::Title);
        screen.tell("")?;
        screen.tell(&title)
    }

    /// Plays one scene and says whether it came out as the story has it.
    async fn play(
        &mut self,
        session: &mut Session<'_>,
        installation: &Installation,
        people: &People,
        scene: &Scene,
    ) -> Result<bool, Ending> {
        self.head(&mut session.screen, &scene.title)?;
        self.tell(&mut session.screen, &scene.narration)?;
        let sql = scene.sql(self.language);
        let submitted = self.ask(session, installation, people, scene, &sql).await?;
        let mut came_as_told = came(&submitted) == expected(scene.expectation);
        let fix = match &submitted {
            Submitted::Refused { verdict, .. } => verdict.rewrites.first().map(|rewrite| rewrite.sql.clone()),
            _ => None,
        };
        show_submitted(&mut session.screen, &sql, submitted)?;
        if scene.expectation == Expectation::RefusedWithFix {
            match fix {
                Some(sql) => {
                    session
                        .screen
                        .say("\nAsked again, as the guard proposes:", "\n按守卫的建议再问一次：")?;
                    let mended = self.ask(session, installation, people, scene, &sql).await?;
                    came_as_told = came_as_told && came(&mended) == Came::Answered;
                    show_submitted(&mut session.screen, &sql, mended)?;
                }
                None => came_as_told = false,
            }
        }
        self.tell(&mut session.screen, &scene.remark)?;
        if !came_as_told {
            session
                .screen
                .say("This scene did not come out as the story has it.", "这一幕的结果与剧本不符。")?;
        }
        self.wait(&mut session.screen)?;
        Ok(came_as_told)
    }

    async fn ask(
        &mut self,
        session: &mut Session<'_>,
        installation: &Installation,
        people: &People,
        scene: &Scene,
        sql: &str,
    ) -> Result<Submitted, Ending> {
        for line in sql.lines() {
            session.screen.tell(&format!("  │ {line}"))?;
        }
        session.screen.tell("")?;
        let question = SubmitQuery::once(sql, scene.purpose);
        let caller = people.named(scene.analyst)?;
        Ok(submit_query(installation, caller, question, &|_progress| {}).await?)
    }

    /// The audit log is copied away and verified with its public key alone, and one entry is proven.
    fn prove(&mut self, session: &mut Session<'_>, installation: &Installation) -> Result<bool, Ending> {
        self.head(&mut session.screen, &story::AUDIT_TITLE)?;
        self.tell(&mut session.screen, &story::AUDIT_NARRATION)?;
        let copy = installation.layout().root().with_file_name("copy-of-audit");
        copy_folder(&installation.layout().audit(), &copy)?;
        let log = LogCopy { folder: copy, key_file: installation.layout().audit_key() };
        let verification = verify_log(&log, &LogAgainst::default())?;
        let exit = show_verification(&mut session.screen, &verification)?;
        let newest = verification.size.saturating_sub(1);
        let proof = prove_entry(&log, newest)?;
        let proven = verify_entry_proof(&log.key_file, &proof)?;
        session.screen.say(
            &format!(
                "Entry {newest} (`{}`) is proven by {} bytes of text.",
                proven.event.action,
                proof.len()
            ),
            &format!("第 {newest} 条（`{}`）由 {} 字节的文本证明。", proven.event.action, proof.len()),
        )?;
        self.tell(&mut session.screen, &story::AUDIT_REMARK)?;
        Ok(exit == Exit::Done)
    }

    /// Lets the reader read, where somebody reads.
    fn wait(&mut self, screen: &mut Screen<'_>) -> std::io::Result<()> {
        if self.once || !screen.is_terminal {
            return Ok(());
        }
        screen.say("[Enter]", "[回车继续]")?;
        std::io::stdin().read_line(&mut String::new()).map(drop)
    }
}

/// What came of a question, as far as the story cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Answered,
    Refused,
    Otherwise,
}

fn came(submitted: &Submitted) -> Came {
    match submitted {
        Submitted::Released(_) => Came::Answered,
        Submitted::Refused { .. } => Came::Refused,
        Submitted::Explained(_)
        | Submitted::Withheld { .. }
        | Submitted::Failed { .. }
        | Submitted::Cancelled { .. } => Came::Otherwise,
    }
}

fn expected(expectation: Expectation) -> Came {
    match expectation {
        Expectation::Answered | Expectation::Suppressed => Came::Answered,
        Expectation::RefusedWithFix | Expectation::RefusedSinglingOut => Came::Refused,
    }
}

fn told_in(language: Language) -> story::Language {
    match language {
        Language::En => story::Language::English,
        Language::Zh => story::Language::Chinese,
    }
}

fn token_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.token"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let mut left = VecDeque::from([(from.to_owned(), to.to_owned())]);
    while let Some((from, to)) = left.pop_front() {
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                std::fs::create_dir_all(&target)?;
                left.push_back((entry.path(), target));
            } else {
                let mut copy = std::fs::File::create(&target)?;
                copy.write_all(&std::fs::read(entry.path())?)?;
            }
        }
    }
    Ok(())
}

fn farewell(screen: &mut Screen<'_>, dir: &Path) -> std::io::Result<()> {
    let dir = dir.display();
    screen.say(
        &format!("The city stays in {dir}. Ask a question of your own:"),
        &format!("这座城市保留在 {dir}。您也可以自己提问："),
    )?;
    screen.tell(&format!(
        "  export OBSCURA_DATA_DIR={dir}/data OBSCURA_KEYRING_KEY_FILE={dir}/keyring.key OBSCURA_TOKEN_FILE={dir}/lin.token"
    ))?;
    screen.tell("  obscura dataset list")?;
    screen.tell("  obscura query --purpose traffic-management 'SELECT ...'")?;
    screen.tell(&format!("  obscura audit verify --log {dir}/copy-of-audit --key {dir}/data/audit.pub"))
}

fn broken(what: &str) -> Ending {
    PublicError::new(Class::Failure, "story-broken", what, "演示剧本有误").into()
}
