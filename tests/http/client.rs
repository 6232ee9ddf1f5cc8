//! The command line as a client: its output and its exit code are those of the same command run here.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::server::COUNT;
use obscura_tests::server::Server;
use obscura_tests::world::Outcome;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;
use obscura_tests::world::code;

/// A question with a rewrite.
const REFUSED: &str = "SELECT person_id, COUNT(*) FROM persons GROUP BY person_id";

/// Runs the program for a person against an address; there is no installation where it could look instead.
fn at(address: &str, server: &Server, person: Option<&str>, arguments: &[&str]) -> Outcome {
    let mut command = server.world.command(person).unwrap();
    command
        .env_remove("OBSCURA_DATA_DIR")
        .env("OBSCURA_SERVER", address)
        .env("HOME", server.world.root().join("home"))
        .args(arguments);
    server.world.finish(command, &format!("`obscura {}` at a server", arguments.join(" "))).unwrap()
}

fn there(server: &Server, person: &str, arguments: &[&str]) -> Outcome {
    at(&format!("http://{}", server.address), server, Some(person), arguments)
}

/// Ends the server and looks for canaries in what commands printed and what is kept.
fn clean(server: &Server) {
    server.kill_now();
    let seen = server.world.sightings().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}

/// A text without the parts that differ in every run: names of jobs and places in the log.
fn without_names(text: &str) -> String {
    // A result says which job it is of, so that its hash is its own.
    let is_hash = |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_name =
        |word: &str| word.contains("job_") || word.chars().all(|c| c.is_ascii_digit()) || is_hash(word);
    let plain = |word: &str| !is_name(word);
    text.split_whitespace().filter(|word| plain(word)).collect::<Vec<_>>().join(" ")
}

fn ask(sql: &str) -> Vec<&str> {
    vec!["query", "--purpose", PURPOSE, "--", sql]
}

#[test]
fn what_is_printed_is_what_would_be_printed_here() {
    let server = Server::start();
    let bad_policy = environment::tests_folder().join("cli/files/bad-policy.yaml");
    let bad_policy = bad_policy.to_str().unwrap();
    let documents = environment::tests_folder().join("attacks/documents/corpus.yaml");
    let documents = documents.to_str().unwrap();
    let explain = ["explain", "--purpose", PURPOSE, "--", COUNT];
    let refused = ["explain", "--purpose", PURPOSE, "--output", "json", "--", REFUSED];
    let explained = "EXPLAIN SELECT COUNT(*) FROM persons";
    let nobody = "SELECT dept, COUNT(*) FROM nothing GROUP BY dept";
    let cases: Vec<(&str, Vec<&str>, i32)> = vec![
        ("ana", ask(COUNT), code::DONE),
        ("ana", [ask(COUNT), vec!["--output", "json"]].concat(), code::USAGE),
        ("ana", vec!["query", "--purpose", PURPOSE, "--output", "json", "--", COUNT], code::DONE),
        (
            "ana",
            vec!["query", "--purpose", PURPOSE, "--output", "csv", "--lang", "zh", "--", COUNT],
            code::DONE,
        ),
        ("ana", ask(REFUSED), code::REFUSED),
        ("ana", ask(nobody), code::REFUSED),
        ("ana", ask(explained), code::DONE),
        ("stella", ask(COUNT), code::REFUSED),
        ("ana", explain.to_vec(), code::DONE),
        ("ana", refused.to_vec(), code::REFUSED),
        ("ana", vec!["grant", "list"], code::DONE),
        ("stella", vec!["grant", "list", "--output", "json"], code::DONE),
        ("ana", vec!["grant", "revoke", "../../nothing"], code::REFUSED),
        ("stella", vec!["grant", "revoke", "nothing"], code::FAILURE),
        ("aldo", vec!["token", "list", "--output", "csv"], code::DONE),
        ("stella", vec!["policy", "list"], code::DONE),
        ("stella", vec!["policy", "proposals"], code::DONE),
        ("stella", vec!["policy", "check", documents], code::DONE),
        ("stella", vec!["policy", "check", bad_policy], code::FAILURE),
        ("stella", vec!["policy", "publish", documents], code::DONE),
        ("stella", vec!["policy", "publish", bad_policy], code::FAILURE),
        ("ana", vec!["policy", "check", documents], code::REFUSED),
        ("ana", vec!["policy", "list", "--lang", "zh"], code::REFUSED),
        ("stella", vec!["policy", "activate", "nothing@7"], code::FAILURE),
        ("ana", vec!["dataset", "list"], code::DONE),
        ("stella", vec!["dataset", "list", "--output", "json"], code::DONE),
        ("ana", vec!["dataset", "show", "corpus.persons"], code::DONE),
        ("ana", vec!["dataset", "show", "corpus.persons", "--lang", "zh"], code::DONE),
        ("ana", vec!["dataset", "show", "corpus.persons", "--output", "json"], code::DONE),
        ("ana", vec!["dataset", "show", "corpus.nothing"], code::FAILURE),
        ("ana", vec!["dataset", "list", "zip", "salary"], code::DONE),
        ("ana", vec!["whoami", "--output", "json"], code::DONE),
        ("aldo", vec!["whoami", "--lang", "zh"], code::DONE),
        ("ana", vec!["purpose", "list", "--output", "json"], code::DONE),
        ("stella", vec!["purpose", "list"], code::DONE),
        ("ana", vec!["job", "show", "job_01a2000000007000a000000000000000"], code::FAILURE),
        (
            "aldo",
            vec!["audit", "log", "--from", "0", "--decision", "admitted", "--output", "json"],
            code::DONE,
        ),
        ("aldo", vec!["audit", "log", "--dataset", "corpus.visits", "--limit", "3"], code::DONE),
        ("ana", vec!["audit", "log", "--person", "ana"], code::REFUSED),
        ("ana", vec!["request", "list"], code::DONE),
        ("ana", vec!["request", "withdraw", "access_nothing"], code::FAILURE),
        ("ana", vec!["job", "list", "--output", "json"], code::DONE),
    ];
    for (person, arguments, ends) in cases {
        // The place of the times of last use is the same; the times are those of the first run.
        let here = server.world.run(person, &arguments).unwrap();
        let there = there(&server, person, &arguments);
        let name = arguments.join(" ");
        assert_eq!(here.code, Some(ends), "{name}\n{}{}", here.stdout, here.stderr);
        assert_eq!(there.code, here.code, "{name}\n{}{}", there.stdout, there.stderr);
        if name.starts_with("token list") {
            let rows = |outcome: &Outcome| outcome.stdout.lines().count();
            assert_eq!(rows(&there), rows(&here));
        } else {
            assert_eq!(there.stdout, here.stdout, "{name}");
        }
        assert_eq!(without_names(&there.stderr), without_names(&here.stderr), "{name}");
    }
    clean(&server);
}

#[test]
fn a_job_is_submitted_watched_fetched_and_filed() {
    let server = Server::start();
    let submit = ["job", "submit", "--purpose", PURPOSE, "--key", "yearbook-1", "--", COUNT];
    let job = there(&server, "ana", &submit).done().unwrap().stdout.trim().to_owned();
    let again = there(&server, "ana", &submit).done().unwrap();
    assert!(again.stdout.contains(&job) || again.stderr.contains(&job), "{again:?}");
    let watched = there(&server, "ana", &["job", "watch", &job]).done().unwrap();
    assert_eq!(watched.stdout.lines().last(), Some("released"));
    assert_eq!(there(&server, "ben", &["job", "watch", &job]).code, Some(code::FAILURE));
    let csv = ["job", "result", &job, "--output", "csv"];
    let result = there(&server, "ana", &csv).done().unwrap();
    assert_eq!(result, server.world.run("ana", &csv).unwrap());
    let show = ["job", "show", &job];
    let shown = there(&server, "ana", &show).done().unwrap();
    assert_eq!(shown, server.world.run("ana", &show).unwrap());
    assert!(shown.stdout.contains("ana-statistics (corpus.persons)"), "{shown:?}");
    assert_eq!(there(&server, "ben", &show).code, Some(code::FAILURE));
    let cancelled = there(&server, "ana", &["job", "cancel", &job]);
    assert_eq!(cancelled.code, Some(code::FAILURE), "{cancelled:?}");
    assert!(cancelled.stderr.contains("error[job-over]"), "{}", cancelled.stderr);
    let explain = ["job", "explain", &job];
    let explained = there(&server, "ana", &explain).done().unwrap();
    assert_eq!(explained, server.world.run("ana", &explain).unwrap());
    assert!(
        explained.stdout.contains("Rows: corpus.persons, as policies and grant give them"),
        "{explained:?}"
    );
    let as_json = there(&server, "stella", &["job", "explain", &job, "--output", "json"]).done().unwrap();
    let as_json: serde_json::Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!(as_json["job"]["result_sha256"], serde_json::Value::Null);
    assert_eq!(there(&server, "ben", &explain).code, Some(code::FAILURE));
    let record = there(&server, "ana", &["job", "result", &job, "--release"]).done().unwrap().stdout;
    let filed = there(&server, "ana", &["job", "evidence", &job]).done().unwrap().stdout;
    for (name, text) in [("release.note", &record), ("evidence.json", &filed)] {
        std::fs::write(server.world.root().join(name), text).unwrap();
    }
    server.world.run("ana", &["release", "verify", "release.note"]).unwrap().done().unwrap();
    server.world.run("ana", &["release", "evidence", "evidence.json"]).unwrap().done().unwrap();
    clean(&server);
}

#[test]
fn three_people_work_together_at_a_server() {
    let server = Server::start();
    server.world.add_person("cleo", "analyst", "corpus").unwrap();
    let wish = [
        "request",
        "create",
        "--purpose",
        PURPOSE,
        "--dataset",
        "corpus.persons",
        "--until",
        "2099-12-31",
        "--reason",
        "a yearbook",
    ];
    let asked = there(&server, "cleo", &wish);
    assert_eq!(asked.code, Some(code::WAITS), "{asked:?}");
    let request = asked.stdout.trim();
    assert_eq!(there(&server, "cleo", &["request", "approve", request]).code, Some(code::REFUSED));
    let grant = there(&server, "stella", &["request", "approve", request]).done().unwrap().stdout;
    there(&server, "cleo", &ask(COUNT)).done().unwrap();
    there(&server, "sven", &["grant", "revoke", grant.trim()]).done().unwrap();
    assert_eq!(there(&server, "cleo", &ask(COUNT)).code, Some(code::REFUSED));
    let given = [
        "grant",
        "create",
        "--person",
        "cleo",
        "--purpose",
        PURPOSE,
        "--dataset",
        "corpus.persons:person_id,dept",
        "--until",
        "2099-12-31",
    ];
    there(&server, "stella", &given).done().unwrap();
    there(&server, "cleo", &ask(COUNT)).done().unwrap();
    let made = there(&server, "cleo", &["token", "create", "cleo", "--file", "more.token", "--days", "1"]);
    let token = made.done().unwrap().stdout.trim().to_owned();
    let list = there(&server, "cleo", &["token", "list"]).done().unwrap().stdout;
    assert!(list.contains(&token), "{list}");
    there(&server, "cleo", &["token", "revoke", &token]).done().unwrap();
    clean(&server);
}

#[test]
fn a_login_is_kept_until_logout_and_only_one_that_works() {
    let server = Server::start();
    let home = server.world.root().join("home");
    let run = |arguments: &[&str], data_dir: Option<&Path>| {
        let mut command = server.world.command(None).unwrap();
        command.env_remove("OBSCURA_DATA_DIR").env("HOME", &home).args(arguments);
        if let Some(data_dir) = data_dir {
            command.env("OBSCURA_DATA_DIR", data_dir);
        }
        server.world.finish(command, "a command after a login").unwrap()
    };
    let url = format!("http://{}", server.address);
    std::fs::write(server.world.root().join("wrong.token"), "no-token").unwrap();
    for wrong in ["wrong.token", "nothing.token"] {
        assert_eq!(run(&["login", &url, "--token-file", wrong], None).code, Some(code::AUTHENTICATION));
    }
    assert_eq!(run(&["login", "http://obscura.example"], None).code, Some(code::USAGE));
    assert!(!home.join(".config/obscura/login.toml").exists());
    let login = run(&["login", &url, "--token-file", "ana.token"], None).done().unwrap();
    assert!(login.stderr.contains("`ana` (analyst)"), "{}", login.stderr);
    run(&ask(COUNT), None).done().unwrap();
    let settings = run(&["config", "check"], None).done().unwrap().stdout;
    assert!(settings.contains(&url) && settings.contains("login"), "{settings}");
    // A person who names an installation means it, and no token is kept for it.
    assert_eq!(run(&ask(COUNT), Some(&server.world.data())).code, Some(code::AUTHENTICATION));
    run(&["logout"], None).done().unwrap();
    assert_eq!(run(&ask(COUNT), None).code, Some(code::FAILURE));
    assert_eq!(std::fs::read_dir(home.join(".config/obscura")).unwrap().count(), 0);
    clean(&server);
}

#[test]
fn a_server_that_is_none_gets_no_token_it_should_not_have_and_a_clear_error() {
    let server = Server::start();
    let ends = |address: &str, person: Option<&str>| {
        let outcome = at(address, &server, person, &["grant", "list"]);
        let code = outcome.stderr.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
        (outcome.code, code)
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        ends(&format!("http://{closed}"), Some("ana")),
        (Some(code::FAILURE), "server-unreachable".to_owned())
    );
    assert_eq!(ends("http://obscura.example", Some("ana")), (Some(code::USAGE), "settings".to_owned()));
    let address = format!("http://{}", server.address);
    assert_eq!(ends(&address, None), (Some(code::AUTHENTICATION), "token-missing".to_owned()));
    // One that sends us elsewhere, where the token must not go.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = elsewhere.local_addr().unwrap();
    for answer in [
        format!("HTTP/1.1 307 Elsewhere\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n"),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
    ] {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", stranger.local_addr().unwrap());
        let served = std::thread::scope(|scope| {
            let talk = scope.spawn(|| {
                let (mut stream, _) = stranger.accept().unwrap();
                let mut head = [0; 4096];
                let _read = stream.read(&mut head).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let ended = ends(&address, Some("ana"));
            talk.join().unwrap();
            ended
        });
        assert_eq!(served, (Some(code::FAILURE), "server-not-understood".to_owned()));
    }
    assert!(elsewhere.accept().is_err(), "nobody was sent elsewhere");
    clean(&server);
}

/// Reads one request to its end; says whether there was one.
fn took_request(stream: &mut TcpStream) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().unwrap();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    !line.is_empty()
}

/// The outcome of a command at a server that gives these answers, one a connection, and the number of answers it took.
fn answered(server: &Server, arguments: &[&str], answers: &[String]) -> (Outcome, usize) {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", stranger.local_addr().unwrap());
    std::thread::scope(|scope| {
        let talk = scope.spawn(|| {
            for (taken, answer) in answers.iter().enumerate() {
                let (mut stream, _) = stranger.accept().unwrap();
                if !took_request(&mut stream) {
                    return taken;
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
            answers.len()
        });
        let outcome = at(&address, server, Some("ana"), arguments);
        // Where the command has ended before the answers have.
        drop(TcpStream::connect(stranger.local_addr().unwrap()));
        (outcome, talk.join().unwrap())
    })
}

#[test]
fn a_command_comes_back_when_the_server_asks_for_it_and_says_so() {
    let server = Server::start();
    let later = |status: u16, wait: &str| {
        let body = r#"{"code": "too-many-requests", "title": "later"}"#;
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Later\r\nretry-after: {wait}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let grants =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 13\r\n\r\n{\"grants\":[]}".to_owned();
    let list = ["grant", "list"];
    let (told, asked) = answered(&server, &list, &[later(429, "0"), later(503, "0"), grants.clone()]);
    let waits = "The server asks to come back in 0 s; this command waits.\n";
    assert_eq!((told.code, asked), (Some(code::DONE), 3), "{told:?}");
    assert_eq!(told.stderr.matches(waits).count(), 2, "{told:?}");
    let (told, asked) = answered(&server, &list, &[later(429, "3600"), grants.clone()]);
    assert_eq!((told.code, asked), (Some(code::FAILURE), 1), "{told:?}");
    assert!(
        told.stderr.starts_with("The server asks to come back in 3600 s; this command waits no longer.\n")
    );
    assert!(told.stderr.contains("error[too-many-requests]: later"), "{told:?}");
    let patient = vec![later(429, "0"); 20];
    let (told, asked) = answered(&server, &list, &patient);
    assert_eq!(
        (told.code, asked),
        (Some(code::FAILURE), 11),
        "a server that always says so is not asked for ever"
    );
    // A question may have become a job before the trouble: only one with a key of its own is sent again.
    let submit = ["job", "submit", "--purpose", PURPOSE, COUNT];
    let (told, asked) = answered(&server, &submit, &[later(503, "0"), later(503, "0")]);
    assert_eq!((told.code, asked), (Some(code::FAILURE), 1), "{told:?}");
    let keyed = [&submit[..], &["--key", "mine"]].concat();
    let (told, asked) = answered(&server, &keyed, &[later(503, "0"), later(503, "3600")]);
    assert_eq!((told.code, asked), (Some(code::FAILURE), 2), "{told:?}");
    clean(&server);
}

#[test]
fn a_folder_of_somebody_else_is_not_told_the_token() {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let address = format!("http://{}", stranger.local_addr().unwrap());
    let file = world.root().join("obscura.toml");
    for text in
        [format!("server = {address:?}"), "server_roots_file = \"x\"".into(), "token_file = \"x\"".into()]
    {
        std::fs::write(&file, &text).unwrap();
        for arguments in [&["dataset", "list"][..], &["config", "check"]] {
            for lang in ["en_GB.UTF-8", "zh_CN.UTF-8"] {
                let mut command = world.command(Some("ana")).unwrap();
                command.env("HOME", world.root().join("home")).env("LANG", lang).args(arguments);
                let told = world.finish(command, "a command in a foreign folder").unwrap();
                assert_eq!(told.code, Some(code::USAGE), "{text}: {}{}", told.stdout, told.stderr);
                assert!(told.stderr.contains("/etc/obscura/obscura.toml"), "{}", told.stderr);
            }
        }
    }
    assert!(stranger.accept().is_err(), "nobody has come");
}
