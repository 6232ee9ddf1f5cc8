//! The worst statements at a running service, asked by several clients at once, while another client asks all the time
//! whether it lives: every answer comes. Other tests judge the outcomes of the statements.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use anyhow::ensure;
use obscura_tests::server::Server;
use obscura_tests::world::PURPOSE;
use serde_json::json;

/// Longest time between two answers, far beyond what a service takes: machines are slow and shared.
const GAP: Duration = Duration::from_secs(5);
/// Longest time for all statements together; a service that does not come to an end is ended.
const ALL: Duration = Duration::from_secs(180);
/// Address space of the service, in bytes: unbounded growth ends it and not the machine.
const MEMORY_BYTES: u64 = 6 * 1024 * 1024 * 1024;

/// Asks, and listens meanwhile.
pub(crate) fn judge() -> anyhow::Result<()> {
    let server = Server::start();
    // Where the program is missing the machine's own bound has to do.
    let _bounded = Command::new("prlimit")
        .args(["--pid", &server.process_id().to_string(), &format!("--as={MEMORY_BYTES}")])
        .status();
    let statements = statements();
    let done = AtomicBool::new(false);
    let (sender, ends) = mpsc::channel();
    let (gap, answers, unanswered, late) = std::thread::scope(|scope| {
        let listener = scope.spawn(|| listen(&server, &done));
        for path in ["/api/v1/queries/check", "/api/v1/jobs"] {
            for person in ["ana", "ben"] {
                let (server, statements, sender) = (&server, &statements, sender.clone());
                scope.spawn(move || {
                    for (name, sql) in statements {
                        let body = json!({ "sql": sql, "purpose": PURPOSE }).to_string();
                        let answered = server.try_post(person, path, &body, &[("prefer", "wait=5")]);
                        let ended = (name, path, answered.map(|answer| answer.status));
                        if sender.send(ended).is_err() {
                            break;
                        }
                    }
                });
            }
        }
        drop(sender);
        let begun = Instant::now();
        let (mut unanswered, mut late) = (Vec::new(), false);
        loop {
            match ends.recv_timeout(ALL.saturating_sub(begun.elapsed())) {
                Ok((name, path, status)) if status.is_none_or(|status| status == 500) => {
                    unanswered.push(format!("{name} at {path}: {status:?}"));
                }
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    late = true;
                    break;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        if late {
            // Those who still wait get no answer, and end.
            server.kill_now();
        }
        let (gap, answers) = listener.join().expect("the listener does not panic");
        (gap, answers, unanswered, late)
    });
    eprintln!("{answers} answers of /livez, {} ms between two at the most", gap.as_millis());
    ensure!(!late, "not all statements came to an end within {} s", ALL.as_secs());
    ensure!(unanswered.is_empty(), "no answer, or a failure:\n{}", unanswered.join("\n"));
    ensure!(answers > 0 && gap < GAP, "{answers} answers of /livez, {} ms between two", gap.as_millis());
    server.is_clean();
    Ok(())
}

/// Asks whether the service lives until all is done; returns the longest time between two answers, and how many came.
fn listen(server: &Server, done: &AtomicBool) -> (Duration, usize) {
    let (mut gap, mut answers, mut last) = (Duration::ZERO, 0, Instant::now());
    while !done.load(Ordering::Relaxed) {
        let answer = server.try_send("GET", "/livez", None, &[], None);
        gap = gap.max(last.elapsed());
        match answer {
            Some(answer) if answer.status == 200 => {
                last = Instant::now();
                answers += 1;
            }
            // It has ended: the gap goes on growing until all is done.
            Some(_) | None => std::thread::yield_now(),
        }
    }
    (gap, answers)
}

/// A handful of the worst.
fn statements() -> Vec<(&'static str, String)> {
    let nested = |depth: usize, first: &str, step: &str| {
        (0..depth).fold(first.to_owned(), |inner, _| step.replace("{}", &inner))
    };
    let released = "SELECT COUNT(*) AS a FROM persons GROUP BY dept";
    let copies = ["SELECT person_id FROM persons"; 8].join(" UNION ALL ");
    let joins: String = (0..10).map(|n| format!(" JOIN u u{n} ON p.person_id = u{n}.person_id")).collect();
    let visits: String =
        (0..15).map(|n| format!(" JOIN visits v{n} ON p.person_id = v{n}.person_id")).collect();
    let crossed = (0..8).map(|n| format!("holidays h{n}")).collect::<Vec<_>>().join(", ");
    let days = (0..8).map(|n| format!("(SELECT day, COUNT(*) AS n FROM visits GROUP BY day) r{n}"));
    let days = days.collect::<Vec<_>>().join(", ");
    let counted = "SELECT COUNT(*) FROM persons WHERE";
    vec![
        ("coalesce", format!("{counted} {} = 'tax'", nested(60, "zip", "COALESCE({}, zip)"))),
        ("nullif", format!("{counted} {} = 'tax'", nested(60, "zip", "NULLIF({}, 'a')"))),
        ("case", format!("{counted} {} = 'a'", nested(60, "zip", "CASE {} WHEN 'b' THEN 'a' ELSE zip END"))),
        (
            "sums",
            format!(
                "SELECT a + a AS a FROM ({}) t WHERE a > 0",
                nested(24, released, "SELECT a + a AS a FROM ({}) t")
            ),
        ),
        ("coalesce above", nested(40, released, "SELECT COALESCE(a, a) AS a FROM ({}) t WHERE a > 0")),
        ("crossed", format!("SELECT COUNT(*) FROM {crossed}")),
        ("results crossed", format!("SELECT COUNT(*) FROM {days}")),
        (
            "copies",
            format!(
                "WITH u AS ({copies}) SELECT COUNT(DISTINCT p.person_id) FROM persons p{joins} WHERE p.zip = '9999'"
            ),
        ),
        ("visits", format!("SELECT COUNT(DISTINCT p.person_id) FROM persons p{visits}")),
    ]
}
