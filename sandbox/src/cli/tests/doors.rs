//! Input and output of the command line: logins, grants that do not hold, texts that would steer a terminal.

use jiff::tz::TimeZone;

use super::*;
use crate::clock::Clock as _;
use crate::clock::SystemClock;

#[test]
fn a_grant_that_is_over_or_has_not_begun_opens_no_hidden_dataset() {
    let mut world = World::founded();
    let hidden = DATASET.split("---\n").next().unwrap().replace("hz-health.visits", "hz-health.hidden");
    let hidden = hidden.replace("opening: limited", "opening: prohibited");
    let hidden = world.write("hidden.yaml", &hidden);
    world.run(Some("shen"), &["policy", "publish", &hidden]).must_be(Exit::Done);
    let show = ["dataset", "show", "hz-health.hidden"];
    world.run(Some("lin"), &show).must_be(Exit::Failure);
    let later = "\
api_version: obscura/v1
kind: Grant
metadata: {id: later, version: 1, title: {en: Later, zh: 以后}}
person: lin
purpose: official-statistics
datasets: [{dataset: hz-health.hidden}]
from: 2098-01-01
until: 2099-12-31
approved_by: [shen]
";
    let later = world.write("later.yaml", later);
    world.run(Some("shen"), &["grant", "create", "--file", &later]).must_be(Exit::Done);
    world.run(Some("lin"), &show).must_be(Exit::Failure);
    // Between these two zones the day is another one at every moment.
    world.settings.insert("OBSCURA_TIME_ZONE".to_owned(), "Etc/GMT+12".to_owned());
    let today = SystemClock.now().to_zoned(TimeZone::get("Etc/GMT+12").unwrap()).date().to_string();
    let purpose = ["--purpose", "official-statistics", "--dataset", "hz-health.hidden", "--until", &today];
    let create = [&["grant", "create", "--person", "lin"][..], &purpose].concat();
    world.run(Some("shen"), &create).must_be(Exit::Done);
    let sees = |world: &mut World, person: &str| {
        let grants = world.run(Some(person), &["grant", "list", "--output", "json"]).must_be(Exit::Done).out;
        (world.run(Some(person), &show).exit == Exit::Done, grants.contains(&today), grants.contains("later"))
    };
    assert_eq!(sees(&mut world, "lin"), (true, true, false));
    world.settings.insert("OBSCURA_TIME_ZONE".to_owned(), "Pacific/Kiritimati".to_owned());
    assert_eq!(sees(&mut world, "lin"), (false, false, false));
    assert_eq!(sees(&mut world, "shen"), (true, false, true), "who gives them sees what begins later");
}

#[test]
fn who_comes_and_who_is_not_let_in_is_in_the_log_once_for_each_command() {
    let mut world = World::founded();
    world.run(Some("lin"), &["dataset", "list"]).must_be(Exit::Done);
    let token = fs::read_to_string(world.path("lin.token")).unwrap();
    let wrong = format!("{}.{}\n", token.rsplit_once('.').unwrap().0, "0".repeat(64));
    fs::copy(world.path("lin.token"), world.path("wrong.token")).unwrap();
    fs::write(world.path("wrong.token"), wrong).unwrap();
    world.run(Some("wrong"), &["dataset", "list"]).must_be(Exit::Authentication);
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done).out;
    let with =
        |words: [&str; 2]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    assert_eq!(with(["\"login.succeeded\"", "\"lin\""]), 1);
    assert_eq!(with(["\"login.failed\"", "token-not-valid"]), 1);
    assert_eq!(with(["\"login.failed\"", "\"lin\""]), 0, "nobody was recognised");
}

#[test]
fn sql_that_would_steer_a_terminal_is_drawn_without() {
    let mut world = World::sealed();
    let sql = "select name /* \u{1b}[2J\u{9b}31m\u{202e} */ from hz_health.visits";
    let refused = world.run(Some("lin"), &["query", "--purpose", "official-statistics", sql]);
    let told = refused.must_be(Exit::Refused).err;
    assert!(told.contains("?[2J") && !told.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{told}");
}
