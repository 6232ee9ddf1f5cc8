//! Witnesses: a log that is shorter or other than a second department has seen it is found, and a witness cosigns only
//! what continues what it has seen. Every step is the built program's.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use obscura_tests::world::AUDITOR;
use obscura_tests::world::Outcome;
use obscura_tests::world::World;
use obscura_tests::world::code;

use super::QUESTION;
use super::copy;
use super::must_be_found;
use super::world;

/// A world with a witness of its own folder, whose key the settings name.
struct Witnessed {
    world: World,
    state: PathBuf,
}

impl Witnessed {
    fn new() -> Self {
        let world = world();
        let state = world.root().join("witness");
        let witnessed = Self { world, state };
        let made =
            witnessed.nobody(&["audit", "witness-key", "witness.example/w1", "--state", witnessed.state()]);
        fs::write(witnessed.file("witnesses"), made.done().unwrap().stdout).unwrap();
        let settings =
            format!("witness_keys_file = {:?}\n", witnessed.file("witnesses").display().to_string());
        fs::write(witnessed.file("obscura.toml"), settings).unwrap();
        witnessed
    }

    fn file(&self, name: &str) -> PathBuf {
        self.world.root().join(name)
    }

    fn state(&self) -> &str {
        self.state.to_str().unwrap()
    }

    fn nobody(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.world.command(None).unwrap();
        command.args(arguments);
        self.world.finish(command, &arguments.join(" ")).unwrap()
    }

    /// Writes what a command printed into a file and names it.
    fn keep(&self, name: &str, arguments: &[&str]) -> String {
        let printed = self.nobody(arguments).done().unwrap().stdout;
        fs::write(self.file(name), printed).unwrap();
        self.file(name).display().to_string()
    }

    /// Asks the witness to cosign what is in a file.
    fn ask(&self, request: &str) -> Outcome {
        let key = self.world.data().join("audit.pub");
        let arguments = ["--log-key", key.to_str().unwrap(), "--state", self.state()];
        self.nobody(&[&["audit", "witness", request], &arguments[..]].concat())
    }

    /// Has the newest checkpoint cosigned, with the proof since `since`, and kept.
    fn witness(&self, since: u64) -> String {
        let request = self.keep("request", &["audit", "checkpoint", "--since", &since.to_string()]);
        let cosigned = self.file("cosigned");
        fs::write(&cosigned, self.ask(&request).done().unwrap().stdout).unwrap();
        let cosigned = cosigned.display().to_string();
        self.auditor(&["audit", "cosign", &cosigned]).done().unwrap();
        cosigned
    }

    fn auditor(&self, arguments: &[&str]) -> Outcome {
        self.world.run(AUDITOR, arguments).unwrap()
    }

    fn verify(&self, arguments: &[&str]) -> Outcome {
        self.auditor(&[&["audit", "verify"], arguments].concat())
    }

    fn log(&self) -> PathBuf {
        self.world.data().join("audit")
    }
}

/// The size that a checkpoint states.
fn size(checkpoint: &str) -> u64 {
    fs::read_to_string(checkpoint).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

fn put_back(before: &Path, log: &Path) {
    fs::remove_dir_all(log).unwrap();
    copy(before, log).unwrap();
}

#[test]
fn a_log_cut_behind_a_cosigned_checkpoint_is_found() {
    let it = Witnessed::new();
    let unwitnessed = it.verify(&[]).done().unwrap().stderr;
    assert!(unwitnessed.contains("Nothing here tells whether entries were cut off"), "{unwitnessed}");
    let before = it.file("before");
    copy(&it.log(), &before).unwrap();
    let first = it.witness(0);
    let seen = size(&first);
    it.world.query("ana", QUESTION).unwrap().done().unwrap();
    let second = it.witness(seen);
    assert!(size(&second) > seen);
    let told = it.verify(&[]).done().unwrap().stderr;
    assert!(told.contains("cosigned by witness.example/w1"), "{told}");
    let kept = it.file("elsewhere").display().to_string();
    fs::copy(&second, &kept).unwrap();
    let witnesses = it.file("witnesses").display().to_string();
    it.verify(&["--witness", &witnesses, "--checkpoint", &kept]).done().unwrap();

    // The log as it was, with the newest cosigned checkpoint still beside it.
    let beside = fs::read(it.log().join("checkpoint.cosigned")).unwrap();
    put_back(&before, &it.log());
    fs::write(it.log().join("checkpoint.cosigned"), beside).unwrap();
    let found = it.verify(&[]);
    must_be_found(&found, &it.log(), 0);
    let covers = format!("covers {}", size(&second));
    assert!(found.stderr.contains(&covers), "{}", found.stderr);

    // Cut together with what stood beside it: the copy elsewhere tells, and the demand for a witness does.
    put_back(&before, &it.log());
    let copied =
        ["--log", it.log().to_str().unwrap(), "--key", it.world.data().join("audit.pub").to_str().unwrap()]
            .map(str::to_owned);
    let copied: Vec<&str> = copied.iter().map(String::as_str).collect();
    let alone = it.verify(&copied).done().unwrap().stderr;
    assert!(alone.contains("Nothing here tells"), "{alone}");
    must_be_found(&it.verify(&[&copied[..], &["--witness", &witnesses]].concat()), &it.log(), 0);
    must_be_found(&it.verify(&[&copied[..], &["--checkpoint", &kept]].concat()), &it.log(), 0);
}

#[test]
fn a_cosigned_checkpoint_that_the_log_names_and_somebody_removed_is_missed() {
    let it = Witnessed::new();
    it.witness(0);
    it.verify(&[]).done().unwrap();
    fs::remove_file(it.log().join("checkpoint.cosigned")).unwrap();
    let found = it.verify(&[]);
    must_be_found(&found, &it.log(), 0);
    assert!(found.stderr.contains("it is gone"), "{}", found.stderr);
}

#[test]
fn a_witness_cosigns_only_what_continues_what_it_has_seen() {
    let it = Witnessed::new();
    let old = it.keep("old", &["audit", "checkpoint"]);
    let seen = size(&old);
    let cosigned = it.ask(&old).done().unwrap().stdout;
    assert!(cosigned.contains("witness.example/w1"), "{cosigned}");
    it.ask(&old).done().unwrap();
    let before = it.file("before");
    copy(&it.log(), &before).unwrap();
    it.world.query("ana", QUESTION).unwrap().done().unwrap();
    let new = it.keep("new", &["audit", "checkpoint"]);
    let unproven = it.ask(&new);
    assert_eq!(unproven.code, Some(code::FAILURE), "{}", unproven.stderr);
    assert!(unproven.stderr.contains(&format!("--since {seen}")), "{}", unproven.stderr);
    let wrong = it.keep("wrong", &["audit", "checkpoint", "--since", &(seen - 1).to_string()]);
    assert_eq!(it.ask(&wrong).code, Some(code::FAILURE));
    let proven = it.keep("proven", &["audit", "checkpoint", "--since", &seen.to_string()]);
    it.ask(&proven).done().unwrap();

    // A witness does not forget: it refuses an older checkpoint, and one of a log that went another way from there.
    must_be_found(&it.ask(&old), Path::new(&old), 0);
    put_back(&before, &it.log());
    for _ in 0..3 {
        it.world.query("ana", "SELECT COUNT(*) FROM persons").unwrap().done().unwrap();
    }
    let forked = it.keep("forked", &["audit", "checkpoint", "--since", &size(&new).to_string()]);
    let found = it.ask(&forked);
    must_be_found(&found, Path::new(&forked), 0);
    assert!(found.stderr.contains("does not continue"), "{}", found.stderr);

    // A stranger's log, a request that is none, and a memory that was altered.
    fs::write(it.file("none"), "old 0\n\nno checkpoint\n").unwrap();
    assert_eq!(it.ask(it.file("none").to_str().unwrap()).code, Some(code::USAGE));
    let other = it.world.data().join("releases.pub");
    let foreign = ["audit", "witness", &old, "--log-key", other.to_str().unwrap(), "--state", it.state()];
    must_be_found(&it.nobody(&foreign), Path::new(&old), 0);
    let memory = fs::read_dir(&it.state).unwrap().map(|entry| entry.unwrap().path());
    let memory = memory.into_iter().find(|path| path.to_string_lossy().contains("seen-")).unwrap();
    let altered = fs::read_to_string(&memory).unwrap().replacen('1', "2", 1);
    fs::write(&memory, altered).unwrap();
    must_be_found(&it.ask(&forked), &memory, 0);
}

#[test]
fn only_what_the_log_and_a_known_witness_signed_is_kept_and_only_what_is_newer() {
    let it = Witnessed::new();
    let old = it.keep("old", &["audit", "checkpoint"]);
    let uncosigned = it.auditor(&["audit", "cosign", &old]);
    must_be_found(&uncosigned, Path::new(&old), 0);
    let first = it.file("first").display().to_string();
    fs::write(&first, it.ask(&old).done().unwrap().stdout).unwrap();
    let by_others = it.world.run("ana", &["audit", "cosign", &first]).unwrap();
    assert_eq!(by_others.code, Some(code::REFUSED), "{}", by_others.stderr);
    it.auditor(&["audit", "cosign", &first]).done().unwrap();
    let entries = || size(&it.keep("newest", &["audit", "checkpoint"]));
    let kept = entries();
    it.auditor(&["audit", "cosign", &first]).done().unwrap();
    assert_eq!(entries(), kept + 1, "of the same once more, the auditor's coming alone is new");
    it.witness(size(&first));
    let older = it.auditor(&["audit", "cosign", &first]);
    assert_eq!(older.code, Some(code::FAILURE), "{}", older.stderr);
    assert!(older.stderr.contains("checkpoint-not-newer"), "{}", older.stderr);

    // A witness that no setting names, and a cosignature that an attacker altered.
    let stranger = it.file("stranger").display().to_string();
    it.nobody(&["audit", "witness-key", "witness.example/w2", "--state", &stranger]).done().unwrap();
    let newest = it.keep("newest", &["audit", "checkpoint"]);
    let key = it.world.data().join("audit.pub").display().to_string();
    let by_stranger = ["audit", "witness", &newest, "--log-key", &key, "--state", &stranger];
    let by_stranger = it.keep("by-stranger", &by_stranger);
    must_be_found(&it.auditor(&["audit", "cosign", &by_stranger]), Path::new(&by_stranger), 0);
    let kept = fs::read_to_string(it.log().join("checkpoint.cosigned")).unwrap();
    let altered = kept.replacen("w1 ", "w1 AAAA", 1);
    fs::write(it.file("altered"), altered).unwrap();
    let altered = it.file("altered");
    must_be_found(&it.auditor(&["audit", "cosign", altered.to_str().unwrap()]), &altered, 0);
    // The stranger's key is demanded, and no witness with it has cosigned.
    let demanded = fs::read_to_string(it.file("stranger").join("witness.pub")).unwrap();
    fs::write(it.file("demanded"), demanded).unwrap();
    let demanded = it.file("demanded");
    must_be_found(&it.verify(&["--witness", demanded.to_str().unwrap()]), &demanded, 0);
    // There is one key to a folder.
    let again = it.nobody(&["audit", "witness-key", "witness.example/w2", "--state", &stranger]);
    assert_eq!(again.code, Some(code::FAILURE), "{}", again.stderr);
}
