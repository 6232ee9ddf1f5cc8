//! The rows of jobs: every transition is one statement that also checks the state it starts from.
//! Results and SQL are not here, only their wrapped keys; texts that quote the SQL are sealed.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use obscura_crypto::kms::KeyManagement;
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
use crate::jobs::active::ActiveJob;
use crate::jobs::active::ActiveJobs;
use crate::jobs::must_prove;
use crate::jobs::runner::Runner;
use crate::jobs::runner::is_dead;
use crate::jobs::texts::Column;
use crate::jobs::texts::Origin;
use crate::jobs::texts::Texts;

/// A query for rows of jobs, all but their plans.
macro_rules! rows {
    ($which:literal) => {
        concat!(
            "SELECT id, person, purpose, state, code, runner, received_ms, finished_ms, sql_key, verdict, decided_index, \
             review_index, finished_index, result_sha256, result_key, release, idempotency_key, request_token, mark FROM job ",
            $which
        )
    };
}

/// The jobs of one installation, as one process takes care of them.
#[derive(Debug)]
pub struct Jobs {
    catalog: Catalog,
    folder: PathBuf,
    runner: Runner,
    texts: Texts,
    active: ActiveJobs,
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
    /// The name and content of a request that the client may repeat.
    pub repeatable: Option<Repeatable>,
}

/// The name and content of a request that may be repeated (the IETF draft on the `Idempotency-Key` header).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The client's name for the request, unique among one person's.
    pub key: String,
    /// The whole content of the request.
    pub request: String,
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
    /// When the folder of running processes cannot be written, or the key service has no key for texts.
    pub fn open(
        catalog: Catalog,
        folder: &Path,
        keys: &dyn KeyManagement,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, JobError> {
        let (texts, runner) = (Texts::new(keys)?, Runner::start(folder, clock, random)?);
        Ok(Self { catalog, folder: folder.to_owned(), runner, texts, active: ActiveJobs::default() })
    }

    /// Takes a job in hand, before it is taken in and until its end is written down.
    #[must_use]
    pub fn hold(&self, job: JobId) -> ActiveJob {
        self.active.hold(job)
    }

    /// True if this process has the job in hand.
    #[must_use]
    pub fn is_active(&self, job: JobId) -> bool {
        self.active.has(job)
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// [`JobError::Repeated`] when the person asked under the same key before.
    pub async fn receive(&self, new: NewJob) -> Result<ReceivedJob, JobError> {
        let (key, token) = new.repeatable.map(|it| (it.key, self.texts.token(&it.request))).unzip();
        let received_ms = new.received.as_millisecond();
        let (person, purpose, request_key) = (new.person.as_str(), new.purpose.as_str(), key.as_deref());
        let origin = Origin { job: new.id, person, purpose, received_ms, request_key };
        let mark = self.texts.mark(origin);
        let done = sqlx::query(
            "INSERT INTO job (id, person, purpose, door, state, runner, received_ms, sql_key, idempotency_key, \
             request_token, mark) VALUES (?, ?, ?, ?, 'received', ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.id.to_string())
        .bind(new.person)
        .bind(new.purpose)
        .bind(new.door)
        .bind(self.runner.name())
        .bind(received_ms)
        .bind(new.sql_key)
        .bind(key)
        .bind(token)
        .bind(mark)
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
        .bind(self.texts.seal(job.id, Column::Verdict, verdict)?)
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
        let rows = sqlx::query(rows!(
            "WHERE state = 'pending_approval' AND (?1 IS NULL OR person = ?1) ORDER BY id"
        ))
        .bind(person)
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list jobs that wait for an approval"))?;
        self.honoured(&rows)
    }

    /// Lets an admitted job wait for room: its decision is in the log before anything is executed.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's decision.
    pub async fn queue(
        &self,
        job: ReceivedJob,
        verdict: &str,
        plan: &str,
        decided: &Receipt,
    ) -> Result<QueuedJob, JobError> {
        must_prove(decided, Action::QueryDecided, job.id)?;
        let done = sqlx::query(
            "UPDATE job SET state = 'queued', verdict = ?, plan = ?, decided_index = ? \
             WHERE id = ? AND state = 'received'",
        )
        .bind(self.texts.seal(job.id, Column::Verdict, verdict)?)
        .bind(self.texts.seal(job.id, Column::Plan, plan)?)
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

    /// Notes the sealed result before its release is appended to the log, so that a restart can finish it after a crash in
    /// between.
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
        .bind(self.texts.seal(job.id, Column::Release, &result.release)?)
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

    /// Lets a job's staged result wait for reviewers: that it waits is in the log.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's waiting.
    pub async fn await_review(&self, job: CheckingJob, awaited: &Receipt) -> Result<(), JobError> {
        must_prove(awaited, Action::ReviewAwaited, job.id)?;
        self.settle_into_review(job.id, awaited.index()).await
    }

    /// Lets a job wait for reviewers after a crash, as the log says it does.
    ///
    /// # Errors
    /// When the database fails or the job has gone on.
    pub async fn settle_into_review(&self, job: JobId, index: u64) -> Result<(), JobError> {
        let done = sqlx::query(
            "UPDATE job SET state = 'in_review', review_index = ? WHERE id = ? AND state = 'checking'",
        )
        .bind(to_column(index)?)
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("let a job wait for reviewers"))?;
        exactly_one(done.rows_affected())
    }

    /// Ends a job whose result its reviewers have let out.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's release, [`JobError::WrongState`] when it does
    /// not wait for reviewers.
    pub async fn release_reviewed(
        &self,
        job: JobId,
        released: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(released, Action::ResultReleased, job)?;
        let done = sqlx::query(
            "UPDATE job SET state = 'released', finished_index = ?, finished_ms = ? \
             WHERE id = ? AND state = 'in_review'",
        )
        .bind(to_column(released.index())?)
        .bind(now.as_millisecond())
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("release a reviewed result"))?;
        exactly_one(done.rows_affected())
    }

    /// Lists the jobs that wait for reviewers, of one person or of all, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn in_review(&self, person: Option<&str>) -> Result<Vec<JobRow>, JobError> {
        let rows =
            sqlx::query(rows!("WHERE state = 'in_review' AND (?1 IS NULL OR person = ?1) ORDER BY id"))
                .bind(person)
                .fetch_all(self.catalog.pool())
                .await
                .map_err(at("list jobs that wait for reviewers"))?;
        self.honoured(&rows)
    }

    /// Ends a job of whose result nothing may leave; with a code, where its reviewers say so or none came.
    ///
    /// # Errors
    /// [`JobError::ForeignReceipt`] when the receipt is not that of this job's withholding.
    pub async fn withhold(
        &self,
        job: JobId,
        code: Option<&str>,
        withheld: &Receipt,
        now: Timestamp,
    ) -> Result<(), JobError> {
        must_prove(withheld, Action::ResultWithheld, job)?;
        self.finish(job, JobState::Withheld, code, withheld.index(), now).await
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
        (state, code): (JobState, Option<&str>),
        index: u64,
        now: Timestamp,
    ) -> Result<(), JobError> {
        self.finish(job, state, code, index, now).await
    }

    /// Lists the unfinished jobs that no process has in hand: those of processes that no longer live, and those that this
    /// one dropped.
    ///
    /// # Errors
    /// When the database or the folder of running processes cannot be read.
    pub async fn abandoned(&self) -> Result<Vec<JobRow>, JobError> {
        let rows =
            sqlx::query(rows!("WHERE state IN ('received', 'queued', 'running', 'checking') ORDER BY id"))
                .fetch_all(self.catalog.pool())
                .await
                .map_err(at("list unfinished jobs"))?;
        let mut abandoned = Vec::new();
        for job in self.honoured(&rows)? {
            let is_dropped = if job.runner == self.runner.name() {
                !self.is_active(job.id)
            } else {
                is_dead(&self.folder, &job.runner)?
            };
            if is_dropped {
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
        let row = sqlx::query(rows!("WHERE id = ?"))
            .bind(id.to_string())
            .fetch_optional(self.catalog.pool())
            .await
            .map_err(at("find a job"))?;
        Ok(self.honoured(row.as_slice())?.pop())
    }

    /// The plan of a job before and after the guard, where it was admitted. It is long, and few ask for it.
    ///
    /// # Errors
    /// When the database fails, or it does not open.
    pub async fn plan(&self, job: JobId) -> Result<Option<String>, JobError> {
        let row = sqlx::query("SELECT plan FROM job WHERE id = ?").bind(job.to_string());
        let row = row.fetch_optional(self.catalog.pool()).await.map_err(at("find a plan"))?;
        let sealed = row.map(|row| row.try_get::<Option<String>, _>("plan")).transpose();
        let sealed = sealed.map_err(at("find a plan"))?.flatten();
        sealed.map(|sealed| self.texts.open(job, Column::Plan, &sealed)).transpose()
    }

    /// Finds the job that a person asked for under a key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_of_request(&self, person: &str, key: &str) -> Result<Option<JobRow>, JobError> {
        let row = sqlx::query(rows!("WHERE person = ? AND idempotency_key = ?"))
            .bind(person)
            .bind(key)
            .fetch_optional(self.catalog.pool())
            .await
            .map_err(at("find a job by its request"))?;
        Ok(self.honoured(row.as_slice())?.pop())
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
        let row = sqlx::query(rows!(
            "WHERE person = ?1 AND substr(idempotency_key, 1, length(?2)) = ?2 \
             ORDER BY id DESC LIMIT 1"
        ))
        .bind(person)
        .bind(prefix)
        .fetch_optional(self.catalog.pool())
        .await
        .map_err(at("find the newest job of a request"))?;
        Ok(self.honoured(row.as_slice())?.pop())
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
        let rows = sqlx::query(rows!(
            "WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3"
        ))
        .bind(person)
        .bind(before.map(|id| id.to_string()))
        .bind(most)
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list jobs"))?;
        self.honoured(&rows)
    }

    /// Lists released jobs that ended before `before` and whose results are still kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn released_before(&self, before: Timestamp) -> Result<Vec<JobId>, JobError> {
        let rows = sqlx::query(rows!(
            "WHERE state = 'released' AND result_key IS NOT NULL AND finished_ms < ? ORDER BY id"
        ))
        .bind(before.as_millisecond())
        .fetch_all(self.catalog.pool())
        .await
        .map_err(at("list old results"))?;
        rows.iter().map(|row| read(row).map(|(job, _)| job.id)).collect()
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
        let verdict = verdict.map(|text| self.texts.seal(job, Column::Verdict, text)).transpose()?;
        let done = sqlx::query(
            // The token of a request would confirm a guessed question; without it a repeated request is another one.
            "UPDATE job SET sql_key = NULL, verdict = ?1, plan = NULL, \
             request_token = CASE WHEN request_token IS NOT NULL THEN 'shredded' END \
             WHERE id = ?2 AND sql_key IS NOT NULL \
             AND state NOT IN ('received', 'queued', 'running', 'checking', 'in_review')",
        )
        .bind(verdict)
        .bind(job.to_string())
        .execute(self.catalog.pool())
        .await
        .map_err(at("forget a question"))?;
        exactly_one(done.rows_affected())
    }

    /// All rows as they lie in the database, texts sealed and marks not looked at, for comparing them with the log; nothing
    /// in the place of one that cannot be read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn as_stored(catalog: &Catalog) -> Result<Vec<Option<JobRow>>, JobError> {
        let rows = sqlx::query(rows!("ORDER BY id")).fetch_all(catalog.pool()).await;
        Ok(rows.map_err(at("list jobs"))?.iter().map(|row| read(row).ok().map(|(job, _)| job)).collect())
    }

    /// Those of these jobs that still have the key of their question's text.
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
             WHERE id = ?5 \
             AND state IN ('received', 'pending_approval', 'queued', 'running', 'checking', 'in_review')",
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

    /// The rows with a valid mark of their owner, their texts opened. Rows without one are ignored; `audit verify` reports
    /// them.
    fn honoured(&self, rows: &[SqliteRow]) -> Result<Vec<JobRow>, JobError> {
        let mut honoured = Vec::with_capacity(rows.len());
        for row in rows {
            let (row, mark) = read(row)?;
            let origin = Origin {
                job: row.id,
                person: &row.person,
                purpose: &row.purpose,
                received_ms: row.received.as_millisecond(),
                request_key: row.request_key.as_deref(),
            };
            if mark.as_deref() != Some(self.texts.mark(origin).as_str()) {
                continue;
            }
            let open = |column, text: Option<String>| {
                text.map(|text| self.texts.open(row.id, column, &text)).transpose()
            };
            let verdict = open(Column::Verdict, row.verdict)?;
            let release = open(Column::Release, row.release)?;
            honoured.push(JobRow { verdict, release, ..row });
        }
        Ok(honoured)
    }

    /// True if a row is of just this request.
    #[must_use]
    pub fn is_of_request(&self, row: &JobRow, repeatable: &Repeatable) -> bool {
        row.request_token.as_deref() == Some(self.texts.token(&repeatable.request).as_str())
    }
}

fn exactly_one(rows: u64) -> Result<(), JobError> {
    if rows == 1 { Ok(()) } else { Err(JobError::WrongState) }
}

/// A row as it lies in the database, its texts sealed, and its mark.
fn read(row: &SqliteRow) -> Result<(JobRow, Option<String>), JobError> {
    let read = at("read a job");
    let columns = || -> Result<(JobRow, Option<String>), sqlx::Error> {
        let wrong = |name: &str| sqlx::Error::ColumnNotFound(name.to_owned());
        let time = |millis: i64| Timestamp::from_millisecond(millis).map_err(|_| wrong("time"));
        let index = |name: &str| -> Result<Option<u64>, sqlx::Error> {
            let stored: Option<i64> = row.try_get(name)?;
            stored.map(|n| u64::try_from(n).map_err(|_| wrong(name))).transpose()
        };
        let job = JobRow {
            id: row.try_get::<String, _>("id")?.parse().map_err(|_| wrong("id"))?,
            person: row.try_get("person")?,
            purpose: row.try_get("purpose")?,
            state: JobState::from_name(row.try_get("state")?).ok_or_else(|| wrong("state"))?,
            code: row.try_get("code")?,
            runner: row.try_get("runner")?,
            received: time(row.try_get("received_ms")?)?,
            finished: row.try_get::<Option<i64>, _>("finished_ms")?.map(time).transpose()?,
            sql_key: row.try_get("sql_key")?,
            verdict: row.try_get(Column::Verdict.name())?,
            decided_index: index("decided_index")?,
            review_index: index("review_index")?,
            finished_index: index("finished_index")?,
            result_sha256: row.try_get("result_sha256")?,
            result_key: row.try_get("result_key")?,
            release: row.try_get(Column::Release.name())?,
            request_key: row.try_get("idempotency_key")?,
            request_token: row.try_get("request_token")?,
        };
        Ok((job, row.try_get("mark")?))
    };
    columns().map_err(|error| JobError::Catalog(read(error)))
}
