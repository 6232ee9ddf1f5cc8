//! `demo`: seals the city, opens its server, and tells its story there. A person could run every step by a command of their
//! own.

use std::io::Read;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::app::data::seal_dataset::SealDataset;
use crate::app::data::seal_dataset::seal_dataset;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::publish_documents::publish_documents;
use crate::app::init::Init;
use crate::app::init::init;
use crate::city::City;
use crate::city::CityDataset;
use crate::city::documents;
use crate::city::story;
use crate::cli::args::DemoArgs;
use crate::cli::commands::data::Watch;
use crate::cli::commands::data::plain_options;
use crate::cli::commands::serve::listen;
use crate::cli::commands::serve::serving;
use crate::cli::commands::serve::told_to_stop;
use crate::cli::exit::Exit;
use crate::cli::screen::Paint;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::config::KeyringSecret;
use crate::config::server::ServerAddress;
use crate::context::Caller;
use crate::context::Door;
use crate::error::Class;
use crate::error::PublicError;
use crate::http::Service;
use crate::http::server;
use crate::http::server::is_private;
use crate::installation::Installation;
use crate::storage::Confirmation;
use crate::storage::Format;
use crate::storage::Input;
use crate::storage::SealMode;
use crate::storage::UnitKeys;

mod people;
mod stage;

use people::People;
use people::token_file;
use stage::Stage;

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
    let mut stage = Stage::new(session.screen.language, args.once);
    stage.tell(&mut session.screen, &story::OPENING)?;
    let city = City::new(City::SEED_DEMO, residents);
    begin(&mut session.screen, "Keys and an empty audit log", "密钥与空的审计日志")?;
    let (installation, operator) = found(session, &args.dir).await?;
    let door = CityDoor::open(session, &installation, args.once).await?;
    let server = door.address()?;
    begin(&mut session.screen, "People, each with a token of their own", "人员，每人一枚自己的令牌")?;
    let to = (&server, &session.screen);
    let people = People::arrive(&installation, &operator, &args.dir, to).await?;
    settle(session, &installation, &operator, &people, city).await?;
    let mut exit = Exit::Done;
    for scene in story::scenes() {
        if !stage.play(session, &people, scene).await? {
            exit = Exit::Failure;
        }
    }
    if !stage.prove(session, installation.layout(), &people).await? {
        exit = Exit::VerificationFailed;
    }
    farewell(&mut session.screen, &args.dir, (!args.once).then_some(&server))?;
    if !args.once {
        told_to_stop().await;
    }
    door.close().await?;
    Ok(exit)
}

/// The city's server, which this process runs beside the story.
struct CityDoor {
    at: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinSet<std::io::Result<()>>,
}

impl CityDoor {
    async fn open(
        session: &Session<'_>,
        installation: &Arc<Installation>,
        once: bool,
    ) -> Result<Self, Ending> {
        let listener = match place(session, once).await {
            Some(listener) => listener,
            // Something else listens there; a demonstration takes any place.
            None => listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?,
        };
        let at = listener.local_addr()?;
        let (stop, told) = oneshot::channel();
        let held = serving(installation)?;
        let service = Service::new(Arc::clone(installation))?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let served = server::serve(service, listener, None, None, async {
                // A sender that is gone means the same.
                let _gone = told.await;
            });
            let served = served.await;
            drop(held);
            served
        });
        Ok(Self { at, stop, serving })
    }

    fn address(&self) -> Result<ServerAddress, Ending> {
        ServerAddress::parse(&format!("http://{}", self.at), None)
            .ok_or_else(|| broken("a server is not here"))
    }

    /// Lets requests under way end, and then the server.
    async fn close(mut self) -> Result<(), Ending> {
        drop(self.stop);
        while let Some(ended) = self.serving.join_next().await {
            ended.map_err(std::io::Error::other)??;
        }
        Ok(())
    }
}

/// The address of the settings, if that is free and on this machine: without TLS a demonstration stays there.
async fn place(session: &Session<'_>, once: bool) -> Option<TcpListener> {
    let wanted = session.loaded.settings.listen;
    if once || !is_private(wanted) {
        return None;
    }
    listen(wanted).await.ok()
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

/// Publishes the documents, seals every dataset, gives the grants.
async fn settle(
    session: &mut Session<'_>,
    installation: &Arc<Installation>,
    operator: &Caller,
    people: &People,
    city: City,
) -> Result<(), Ending> {
    begin(&mut session.screen, "Documents: departments, datasets, policies", "文档：部门、数据集、策略")?;
    publish_in_parts(installation, operator, people).await?;
    let (steward, _) = people.stewards()?;
    // Made once and lived in until the process ends: sealing reads it from another thread.
    let city: &'static City = Box::leak(Box::new(city));
    let (count, residents) = (CityDataset::ALL.len(), city.residents());
    begin(
        &mut session.screen,
        &format!("{count} datasets of {residents} residents, sealed one by one"),
        &format!("{residents} 名居民的 {count} 个数据集，逐个封存"),
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
            unit_keys: UnitKeys::Ask,
            confirmation: Confirmation::Ask,
            observer: Arc::new(Watch::new(&session.screen, Path::new("-"))),
        };
        let sealed = seal_dataset(installation, &steward.caller, request).await?;
        let line =
            format!("  {:>2}/{count}  {:<32} {:>10}", number + 1, sealed.dataset.to_string(), sealed.rows);
        let line = session.screen.paint(&line, Paint::Faint);
        session.screen.show(&line)?;
    }
    for (name, text) in documents().iter().filter(|(_, text)| text.contains("kind: Grant\n")) {
        let file = DocumentFile { name: (*name).to_owned(), text: (*text).to_owned() };
        steward.desk.grants_of(&file).await?;
    }
    session.screen.tell("")?;
    Ok(())
}

/// Announces the next piece of work before it takes its time.
fn begin(screen: &mut Screen<'_>, en: &str, zh: &str) -> std::io::Result<()> {
    let line = screen.either(en, zh).to_owned();
    let line = screen.paint(&format!("{line} …"), Paint::Faint);
    screen.show(&line)
}

/// Departments and purposes are the operator's to publish, the rest the steward's, policies with a second pair of eyes; a
/// file may hold both.
async fn publish_in_parts(
    installation: &Installation,
    operator: &Caller,
    people: &People,
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
    let (steward, second) = people.stewards()?;
    publish_documents(installation, operator, &by_operator).await?;
    steward.desk.publish(by_steward).await?;
    for proposal in second.desk.proposals().await? {
        second.desk.activate(&proposal.id, proposal.version).await?;
    }
    Ok(())
}

/// Says how to go on: as one of the people, with the program or with curl. Of a server only where one goes on listening.
fn farewell(screen: &mut Screen<'_>, dir: &Path, server: Option<&ServerAddress>) -> std::io::Result<()> {
    let dir = dir.display();
    screen.prose(
        &format!("The city stays in {dir}. Ask a question of your own:"),
        &format!("这座城市保留在 {dir}。您也可以自己提问："),
    )?;
    screen.tell(&format!(
        "  export OBSCURA_DATA_DIR={dir}/data OBSCURA_KEYRING_KEY_FILE={dir}/keyring.key OBSCURA_TOKEN_FILE={dir}/lin.token"
    ))?;
    screen.tell("  obscura dataset list")?;
    screen.tell("  obscura query --purpose traffic-management 'SELECT ...'")?;
    screen.tell(&format!("  obscura audit verify --log {dir}/copy-of-audit --key {dir}/data/audit.pub"))?;
    screen.tell("")?;
    let Some(server) = server else {
        return screen.prose(
            "Its server has ended with the story; `obscura serve` starts it again.",
            "它的服务已随故事结束；可用 `obscura serve` 再次启动。",
        );
    };
    let url = server.url();
    screen.prose(
        "The same over HTTP while its server runs, from another terminal:",
        "服务运行期间，也可以在另一个终端通过 HTTP 提问：",
    )?;
    for line in [
        format!("  token=$(cat {dir}/lin.token); url={url}/api/v1"),
        "  curl -s -H \"Authorization: Bearer $token\" $url/datasets".to_owned(),
        "  curl -s -H \"Authorization: Bearer $token\" -H 'Prefer: wait=30' $url/jobs -d '{\"sql\": \"SELECT ...\", \"purpose\": \"traffic-management\"}'"
            .to_owned(),
        format!("  obscura login {url} --token-file {dir}/lin.token"),
    ] {
        screen.tell(&line)?;
    }
    screen.prose(
        &format!("{url} answers until you press Ctrl-C."),
        &format!("{url} 持续提供服务，按 Ctrl-C 停止。"),
    )
}

fn broken(what: &str) -> Ending {
    PublicError::new(Class::Failure, "story-broken", what, "演示剧本有误").into()
}
