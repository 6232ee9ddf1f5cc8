//! Reads database, audit log and results of a stopped installation by itself, and says whether they can be true together.
//! It shares no code with what wrote them but the format of the log's entries, which it reads as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use obscura_tests::world::World;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnectOptions;

/// Numbers of jobs in the log, by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Jobs with a decision in the log.
    pub(crate) decided: usize,
    /// Jobs with a release in the log.
    pub(crate) released: usize,
    /// Jobs that were cut off.
    pub(crate) failed: usize,
    /// Jobs that waited for an approval.
    pub(crate) pending: usize,
}

/// The entries that end a job.
const ENDS: [&str; 4] = ["result.released", "result.withheld", "job.failed", "job.cancelled"];

/// The log's account of one job, in order.
type Story = Vec<(u64, String, Value)>;

/// Looks for what must never be.
pub(crate) fn check(world: &World) -> anyhow::Result<Seen> {
    // Any command that opens the installation settles the jobs that a killed process left.
    world.run("aldo", &["job", "list", "--limit", "1"])?.done()?;
    let verified = world.run("aldo", &["audit", "verify"])?;
    verified.done().context("the log verifies and agrees with the database")?;
    let stories = stories(&world.data().join("audit"))?;
    let rows = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(rows(&world.data().join("obscura.db")))?;
    let mut seen = Seen::default();
    for (job, story) in &stories {
        let row = rows.get(job).with_context(|| format!("{job} is in the log and not in the database"))?;
        let of = |action: &str| story.iter().filter(|(_, known, _)| known == action).collect::<Vec<_>>();
        let (decided, released) = (of("query.decided"), of("result.released"));
        let story: &[_] = match story.split_first() {
            // It waited for an approval first.
            Some(((index, action, _), rest)) if action == "query.pending" => {
                seen.pending += 1;
                if rest.is_empty() {
                    ensure!(row.state == "pending_approval", "{job} waits and is {}", row.state);
                    ensure!(row.decided == Some(*index), "{job}: the row names another entry");
                    continue;
                }
                rest
            }
            _ => story,
        };
        if let [(_, action, _)] = story
            && ["job.failed", "job.cancelled"].contains(&action.as_str())
        {
            // Cut off or taken back before its decision: it ran nothing.
            let state = action.trim_start_matches("job.");
            ensure!(row.state == state && row.sha256.is_none(), "{job} {state} and is {}", row.state);
            seen.failed += usize::from(state == "failed");
            continue;
        }
        ensure!(decided.len() == 1, "{job} was decided {} times", decided.len());
        ensure!(released.len() <= 1, "{job} was released {} times", released.len());
        ensure!(story[0].1 == "query.decided", "{job} began with {}", story[0].1);
        // Cut off between its decision and its row, a job is marked as failed and names no decision.
        let names_it = row.decided == Some(decided[0].0) || row.state == "failed";
        ensure!(names_it, "{job}: the row names another decision");
        let is_end = |action: &str| ENDS.contains(&action);
        let ended: Vec<(u64, &str)> = story
            .iter()
            .filter(|(_, action, _)| is_end(action))
            .map(|(index, action, _)| (*index, action.as_str()))
            .collect();
        let admitted = decided[0].2["decision"] == "admitted";
        match (admitted, ended.as_slice()) {
            (false, []) => ensure!(row.state == "refused", "{job} was refused and is {}", row.state),
            (true, [(index, action)]) => {
                let state = match *action {
                    "result.released" => "released",
                    "result.withheld" => "withheld",
                    "job.failed" => "failed",
                    _ => "cancelled",
                };
                ensure!(row.state == state, "{job}: {action} in the log, {} in the database", row.state);
                ensure!(row.finished == Some(*index), "{job}: the row names another end");
            }
            (false, more) => {
                // A refused job whose process died before it said so is marked as failed, and nothing else.
                ensure!(
                    matches!(more, [(_, "job.failed")]) && row.state == "failed",
                    "{job} was refused, and then {more:?}"
                );
            }
            (true, more) => bail!("{job} is over and ended {} times: {more:?} ({})", more.len(), row.state),
        }
        if let [(_, _, detail)] = released.as_slice() {
            seen.released += 1;
            let sha256 = detail["result_sha256"].as_str();
            ensure!(row.sha256.as_deref() == sha256, "{job}: another table in the row than in the log");
            let file = world.data().join("results").join(format!("{job}.sealed"));
            ensure!(file.exists(), "{job} was released and its result is gone");
        } else {
            ensure!(row.sha256.is_none(), "{job} has a result that the log does not know");
        }
        seen.decided += 1;
        seen.failed += usize::from(row.state == "failed");
    }
    for (job, row) in &rows {
        let is_known = stories.contains_key(job);
        ensure!(is_known || row.state == "failed", "{job} is {} without an entry", row.state);
    }
    Ok(seen)
}

/// The log's entries by the job that they belong to: tiles of entries, each with its length in two bytes before it
/// (C2SP tlog-tiles).
fn stories(log: &Path) -> anyhow::Result<BTreeMap<String, Story>> {
    let checkpoint = std::fs::read_to_string(log.join("checkpoint"))?;
    let size: u64 = checkpoint.lines().nth(1).context("a checkpoint has a size")?.parse()?;
    let mut stories: BTreeMap<String, Story> = BTreeMap::new();
    let mut index = 0;
    while index < size {
        let (tile, width) = (index / 256, (size - index).min(256));
        let mut path = format!("{:03}", tile % 1000);
        let mut rest = tile / 1000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1000);
            rest /= 1000;
        }
        let mut path = log.join("tile/entries").join(path);
        if width < 256 {
            path = path.with_extension("p").join(width.to_string());
        }
        let bytes = std::fs::read(&path).with_context(|| format!("no tile {}", path.display()))?;
        let mut bytes = bytes.as_slice();
        for _ in 0..width {
            let (length, rest) = bytes.split_first_chunk::<2>().context("a length")?;
            let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            let entry: Value = serde_json::from_slice(entry)?;
            let action = entry["metadata"]["event_code"].as_str().context("a code")?.to_owned();
            // Reading a question changes nothing of its outcome.
            let job = entry["metadata"]["correlation_uid"].as_str().filter(|_| action != "question.read");
            if let Some(job) = job {
                let detail = entry["unmapped"]["obscura"]["detail"].clone();
                stories.entry(job.to_owned()).or_default().push((index, action, detail));
            }
            bytes = rest;
            index += 1;
        }
    }
    Ok(stories)
}

/// The database's account of one job.
struct JobRow {
    state: String,
    decided: Option<u64>,
    finished: Option<u64>,
    sha256: Option<String>,
}

async fn rows(database: &Path) -> anyhow::Result<BTreeMap<String, JobRow>> {
    let options = SqliteConnectOptions::new().filename(database);
    let pool = sqlx::SqlitePool::connect_with(options).await?;
    let found = sqlx::query("SELECT id, state, decided_index, finished_index, result_sha256 FROM job")
        .fetch_all(&pool)
        .await?;
    pool.close().await;
    let number = |value: Option<i64>| value.map(u64::try_from).transpose();
    let mut rows = BTreeMap::new();
    for row in found {
        let read = JobRow {
            state: row.try_get("state")?,
            decided: number(row.try_get("decided_index")?)?,
            finished: number(row.try_get("finished_index")?)?,
            sha256: row.try_get("result_sha256")?,
        };
        rows.insert(row.try_get("id")?, read);
    }
    Ok(rows)
}
