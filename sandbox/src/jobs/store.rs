//! The rows of jobs: every transition is one statement that also checks the state it starts from.
//! Results and SQL are not here, only their wrapped keys.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::audit::Receipt;
use crate::audit::event::Action;
use crate::catalog::Catalog;
use crate::catalog::at;
use crate::catalog::record::to_column;
use crate::clock::Clock;
use crate::clock::Random;
use crate::ids::JobId;
use crate::jobs::CheckingJob;
use crate::jobs::JobError;
use crate::jobs::JobRow;
use crate::jobs::JobState;
use crate::jobs::QueuedJob;
use crate::jobs::ReceivedJob;
use crate::jobs::RunningJob;
use crate::jobs::must_prove;
use crate::jobs::runner::Runner;
use crate::jobs::runner::is_dead;

/// The jobs of one installation, as one process takes care of them.
#[derive(Debug)]
pub struct Jobs {
    catalog: Catalog,
    folder: PathBuf,
    runner: Runner,
}

/// A job about to be taken in.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Identifier.
    pub id: JobId,
    /// Name of the person who asks.
    pub person: String,
    /// Purpose they name.
    pub purpose: String,
    /// The way they came in.
    pub door: &'static str,
    /// When.
    pub received: Timestamp,
    /// Wrapped key of the SQL in the audit log; deleting it shreds the SQL.
    pub sql_key: String,
    /// What makes a repeated request the same one.
    pub repeatable: Option<Repeatable>,
}

/// What makes a repeated request the same one (the IETF draft on the `Idempotency-Key` header).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The client's name for the request, unique among one person's.
    pub key: String,
    /// SHA-256 of what was asked.
    pub request_sha256: String,
}

/// A result that lies sealed on disk and is about to be released.
#[derive(Debug, Clone)]
pub struct StagedResult {
    /// SHA-256 of the released table.
    pub sha256: String,
    /// Wrapped key it is sealed with.
    pub key: String,
    /// The signed release record.
    pub release: String,
}

impl Jobs {
    /// Opens the job store for this process.
    ///
    /// # Errors
    /// When the folder of running processes cannot be written.
    pub fn open(
        catalog: Catalog,
        folder: &Path,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, JobError> {
        Ok(Self { catalog, folder: folder.to_owned(), runner: Runner::start(folder, clock, random)? })
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// [`JobError::Repeated`] when the person asked under the same key before.
    pub async fn receive(&self, new: NewJob) -> Result<ReceivedJob, JobError> {
        let (key, sha256) = new.repeatable.map(|it| (it.key, it.request_sha256)).unzip();
        let done = sqlx::query(
            "INSERT INTO job (id, person, purpose, door, state, runner, received_ms, sql_key, idempotency_key, \
             request_sha256) VALUES (?, ?, ?, ?, 'received', ?, ?, ?, ?, ?)",
        )
        .bind(new.id.to_string())
        .bind(new.person)
        .bind(new.purpose)
        .bind(new.door)
        .bind(self.runner.name())
        .bind(new.received.as_millisecond())
        .bind(new.sql_key)
        .bind(key)
        .bind(sha256)
        .execute(self.catalog.pool())
        .await;
        match done {
            Ok(_) => Ok(ReceivedJob { id: new.id }),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(JobError::Repeated),
            Err(error) => Err(at("receive a job")(error).into()),
        }
    }

    /// Ends a job that the guard refused.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's decision.
    pub async fn refuse(
        &self,
        job: ReceivedJob,
        code: &str,
        verdict: &str,
        decided: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(decided, Action::QueryDecided, job.id)?;
        let done = sqlx::query(
            "UPDATE job SET state = 'refused', code = ?, verdict = ?, decided_index = ?, finished_index = ?, \
             finished_ms = ? WHERE id = ? AND state = 'received'",
        )
        .bind(code)
        .bind(verdict)
        .bind(to_column(decided.index())?)
        .bind(to_column(decided.index())?)
        .bind(now.as_millisecond())
        .bind(job.id.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("refuse a job"))?;
        exactly_one(done.rows_affected())
    }

    /// Lets a job wait for the approval of a request: that it waits is in the log.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's waiting.
    pub async fn pend(&self, job: ReceivedJob, pending: &Receipt) -> Result<(), JobError> {
        must_prove(pending, Action::QueryPending, job.id)?;
        let done = sqlx::query(
            "UPDATE job SET state = 'pending_approval', decided_index = ? WHERE id = ? AND state = 'received'",
        )
        .bind(to_column(pending.index())?)
        .bind(job.id.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("let a job wait for an approval"))?;
        exactly_one(done.rows_affected())
    }

    /// Takes a job that waited for an approval in again, by this process and no other; nothing when another was quicker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, job: JobId) -> Result<Option<ReceivedJob>, JobError> {
        let done = sqlx::query(
            "UPDATE job SET state = 'received', runner = ? WHERE id = ? AND state = 'pending_approval'",
        )
        .bind(self.runner.name())
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("take a job in again"))?;
        Ok((done.rows_affected() == 1).then_some(ReceivedJob { id: job }))
    }

    /// Lists the jobs that wait for an approval, of one person or of all, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending(&self, person: Option<&str>) -> Result<Vec<JobRow>, JobError> {
        let rows = sqlx::query(
            "SELECT * FROM job WHERE state = 'pending_approval' AND (?1 IS NULL OR person = ?1) ORDER BY id",
        )
        .bind(person)
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list jobs that wait for an approval"))?;
        rows.iter().map(read).collect()
    }

    /// Lets an admitted job wait for room: its decision is in the log before anything is executed.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's decision.
    pub async fn queue(
        &self,
        job: ReceivedJob,
        verdict: &str,
        decided: &Receipt,
    ) -> Result<QueuedJob, JobError> {
        must_prove(decided, Action::QueryDecided, job.id)?;
        let done = sqlx::query(
            "UPDATE job SET state = 'queued', verdict = ?, decided_index = ? WHERE id = ? AND state = 'received'",
        )
        .bind(verdict)
        .bind(to_column(decided.index())?)
        .bind(job.id.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("queue a job"))?;
        exactly_one(done.rows_affected())?;
        Ok(QueuedJob { id: job.id })
    }

    /// Lets a queued job run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, job: QueuedJob) -> Result<RunningJob, JobError> {
        let done = sqlx::query("UPDATE job SET state = 'running' WHERE id = ? AND state = 'queued'")
            .bind(job.id.to_string())
            .execute(self.catalog.pool())
            .await
            .map_err(at("run a job"))?;
        exactly_one(done.rows_affected())?;
        Ok(RunningJob { id: job.id })
    }

    /// Notes the sealed result before its release is appended to the log, so that a crash in between can be mended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn check(&self, job: RunningJob, result: &StagedResult) -> Result<CheckingJob, JobError> {
        let done = sqlx::query(
            "UPDATE job SET state = 'checking', result_sha256 = ?, result_key = ?, release = ? \
             WHERE id = ? AND state = 'running'",
        )
        .bind(&result.sha256)
        .bind(&result.key)
        .bind(&result.release)
        .bind(job.id.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("check a job"))?;
        exactly_one(done.rows_affected())?;
        Ok(CheckingJob { id: job.id })
    }

    /// Ends a job whose staged result has been released.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's release.
    pub async fn release(
        &self,
        job: CheckingJob,
        released: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(released, Action::ResultReleased, job.id)?;
        self.finish(job.id, JobState::Released, None, released.index(), now).await
    }

    /// Ends a job of whose result nothing may leave.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's withholding.
    pub async fn withhold(&self, job: JobId, withheld: &Receipt, now: Timestamp) -> Result<(), JobError> {
        must_prove(withheld, Action::ResultWithheld, job)?;
        self.finish(job, JobState::Withheld, None, withheld.index(), now).await
    }

    /// Ends a job that broke.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's failure.
    pub async fn fail(
        &self,
        job: JobId,
        code: &str,
        failed: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(failed, Action::JobFailed, job)?;
        self.finish(job, JobState::Failed, Some(code), failed.index(), now).await
    }

    /// Ends a job that was stopped before anything left.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's cancelling.
    pub async fn cancel(
        &self,
        job: JobId,
        code: Option<&str>,
        cancelled: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(cancelled, Action::JobCancelled, job)?;
        self.finish(job, JobState::Cancelled, code, cancelled.index(), now).await
    }

    /// Ends a job after a crash as the log says it ended.
    ///
    /// # Errors
    /// When the database fails or the job is over already.
    pub async fn settle(
        &self,
        job: JobId,
        state: JobState,
        index: u64,
        now: Timestamp,
    ) -> Result<(), JobError> {
        self.finish(job, state, None, index, now).await
    }

    /// Lists the unfinished jobs of processes that no longer live.
    ///
    /// # Errors
    /// When the database or the folder of running processes cannot be read.
    pub async fn abandoned(&self) -> Result<Vec<JobRow>, JobError> {
        let rows = sqlx::query(
            "SELECT * FROM job WHERE state IN ('received', 'queued', 'running', 'checking') ORDER BY id",
        )
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list unfinished jobs"))?;
        let mut abandoned = Vec::new();
        for row in &rows {
            let job = read(row)?;
            if job.runner != self.runner.name() && is_dead(&self.folder, &job.runner)? {
                abandoned.push(job);
            }
        }
        Ok(abandoned)
    }

    /// Finds one job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRow>, JobError> {
        let row = sqlx::query("SELECT * FROM job WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.catalog.pool())
            .await
            .map_err(at("find a job"))?;
        row.map(|row| read(&row)).transpose()
    }

    /// Finds the job that a person asked for under a key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_of_request(&self, person: &str, key: &str) -> Result<Option<JobRow>, JobError> {
        let row = sqlx::query("SELECT * FROM job WHERE person = ? AND idempotency_key = ?")
            .bind(person)
            .bind(key)
            .fetch_optional(self.catalog.pool())
            .await
            .map_err(at("find a job by its request"))?;
        row.map(|row| read(&row)).transpose()
    }

    /// Finds the newest job that a person asked for under a key that begins with `prefix`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_job_of_requests(
        &self,
        person: &str,
        prefix: &str,
    ) -> Result<Option<JobRow>, JobError> {
        let row = sqlx::query(
            "SELECT * FROM job WHERE person = ?1 AND substr(idempotency_key, 1, length(?2)) = ?2 \
             ORDER BY id DESC LIMIT 1",
        )
        .bind(person)
        .bind(prefix)
        .fetch_optional(self.catalog.pool())
        .await
        .map_err(at("find the newest job of a request"))?;
        row.map(|row| read(&row)).transpose()
    }

    /// Lists the newest jobs before one of them, of one person or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(
        &self,
        person: Option<&str>,
        before: Option<JobId>,
        most: u32,
    ) -> Result<Vec<JobRow>, JobError> {
        let rows = sqlx::query(
            "SELECT * FROM job WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(person)
        .bind(before.map(|id| id.to_string()))
        .bind(most)
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list jobs"))?;
        rows.iter().map(read).collect()
    }

    /// Lists released jobs that ended before `before` and whose results are still kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn released_before(&self, before: Timestamp) -> Result<Vec<JobId>, JobError> {
        let rows = sqlx::query(
            "SELECT * FROM job WHERE state = 'released' AND result_key IS NOT NULL AND finished_ms < ? ORDER BY id",
        )
        .bind(before.as_millisecond())
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list old results"))?;
        rows.iter().map(|row| read(row).map(|job| job.id)).collect()
    }

    /// Forgets the key of a result, after which nothing opens it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_result(&self, job: JobId) -> Result<(), JobError> {
        sqlx::query(
            "UPDATE job SET state = 'expired', result_key = NULL WHERE id = ? AND state = 'released'",
        )
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("forget a result"))?;
        Ok(())
    }

    /// Forgets the key of a question's text, after which nothing opens it, and leaves this of its verdict. Pages of the
    /// database that held them are to be cleared afterwards.
    ///
    /// # Errors
    /// [`JobError::WrongState`] when the job has not ended or was forgotten before.
    pub async fn forget_question(&self, job: JobId, verdict: Option<&str>) -> Result<(), JobError> {
        let done = sqlx::query(
            // The hash of a request would tell a guessed question; without it a repeated request is another one.
            "UPDATE job SET sql_key = NULL, verdict = ?1, \
             request_sha256 = CASE WHEN request_sha256 IS NOT NULL THEN 'shredded' END \
             WHERE id = ?2 AND sql_key IS NOT NULL \
             AND state NOT IN ('received', 'queued', 'running', 'checking')",
        )
        .bind(verdict)
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("forget a question"))?;
        exactly_one(done.rows_affected())
    }

    /// Which of these jobs still have the key of their question's text.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_question(
        catalog: &Catalog,
        jobs: impl Iterator<Item = &str>,
    ) -> Result<Vec<String>, JobError> {
        let mut found = Vec::new();
        for job in jobs {
            let row = sqlx::query("SELECT id FROM job WHERE id = ? AND sql_key IS NOT NULL")
                .bind(job)
                .fetch_optional(catalog.pool())
                .await
                .map_err(at("look for a question"))?;
            if row.is_some() {
                found.push(job.to_owned());
            }
        }
        Ok(found)
    }

    async fn finish(
        &self,
        job: JobId,
        state: JobState,
        code: Option<&str>,
        index: u64,
        now: Timestamp,
    ) -> Result<(), JobError> {
        let done = sqlx::query(
            "UPDATE job SET state = ?1, code = ?2, finished_index = ?3, finished_ms = ?4, \
             result_sha256 = CASE WHEN ?1 = 'released' THEN result_sha256 END, \
             result_key = CASE WHEN ?1 = 'released' THEN result_key END, \
             release = CASE WHEN ?1 = 'released' THEN release END \
             WHERE id = ?5 AND state IN ('received', 'pending_approval', 'queued', 'running', 'checking')",
        )
        .bind(state.name())
        .bind(code)
        .bind(to_column(index)?)
        .bind(now.as_millisecond())
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("finish a job"))?;
        exactly_one(done.rows_affected())
    }
}

fn exactly_one(rows: u64) -> Result<(), JobError> {
    if rows == 1 { Ok(()) } else { Err(JobError::WrongState) }
}

fn read(row: &SqliteRow) -> Result<JobRow, JobError> {
    let read = at("read a job");
    let columns = || -> Result<JobRow, sqlx::Error> {
        let wrong = |name: &str| sqlx::Error::ColumnNotFound(name.to_owned());
        let time = |millis: i64| Timestamp::from_millisecond(millis).map_err(|_| wrong("time"));
        let index = |name: &str| -> Result<Option<u64>, sqlx::Error> {
            let stored: Option<i64> = row.try_get(name)?;
            stored.map(|n| u64::try_from(n).map_err(|_| wrong(name))).transpose()
        };
        Ok(JobRow {
            id: row.try_get::<String, _>("id")?.parse().map_err(|_| wrong("id"))?,
            person: row.try_get("person")?,
            purpose: row.try_get("purpose")?,
            state: JobState::from_name(row.try_get("state")?).ok_or_else(|| wrong("state"))?,
            code: row.try_get("code")?,
            runner: row.try_get("runner")?,
            received: time(row.try_get("received_ms")?)?,
            finished: row.try_get::<Option<i64>, _>("finished_ms")?.map(time).transpose()?,
            sql_key: row.try_get("sql_key")?,
            verdict: row.try_get("verdict")?,
            decided_index: index("decided_index")?,
            finished_index: index("finished_index")?,
            result_sha256: row.try_get("result_sha256")?,
            result_key: row.try_get("result_key")?,
            release: row.try_get("release")?,
            request_key: row.try_get("idempotency_key")?,
            request_sha256: row.try_get("request_sha256")?,
        })
    };
    columns().map_err(|error| JobError::Catalog(read(error)))
}
