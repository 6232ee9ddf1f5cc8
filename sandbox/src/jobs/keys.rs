//! The wrapped keys of jobs, listed and replaced when the keys that wrap them are rotated. It wraps and opens none.

use crate::catalog::Catalog;
use crate::catalog::at;
use crate::ids::JobId;
use crate::jobs::JobError;
use crate::jobs::store::Jobs;

/// One of a job's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKey {
    /// Of the question's text in the audit log.
    Question,
    /// Of the sealed result.
    Result,
}

/// A wrapped key and its replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapped {
    /// The job.
    pub job: JobId,
    /// Its key as it was.
    pub old: String,
    /// The same key under a newer version.
    pub new: String,
}

impl Jobs {
    /// Lists the keys of jobs behind `after`, by job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(
        catalog: &Catalog,
        which: JobKey,
        after: Option<JobId>,
        most: u32,
    ) -> Result<Vec<(JobId, String)>, JobError> {
        let sql = match which {
            JobKey::Question => {
                "SELECT id, sql_key FROM job WHERE sql_key IS NOT NULL AND (?1 IS NULL OR id > ?1) \
                 ORDER BY id LIMIT ?2"
            }
            JobKey::Result => {
                "SELECT id, result_key FROM job WHERE result_key IS NOT NULL AND (?1 IS NULL OR id > ?1) \
                 ORDER BY id LIMIT ?2"
            }
        };
        let rows: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(after.map(|id| id.to_string()))
            .bind(most)
            .fetch_all(catalog.pool())
            .await
            .map_err(at("list the keys of jobs"))?;
        let read = |(id, key): (String, String)| {
            let id =
                id.parse().map_err(|_| at("read a job")(sqlx::Error::ColumnNotFound("id".to_owned())))?;
            Ok((id, key))
        };
        rows.into_iter().map(read).collect()
    }

    /// Replaces keys, all of them or none, and says how many. One that was shredded or forgotten meanwhile stays so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_keys(
        catalog: &Catalog,
        which: JobKey,
        rewrapped: &[Rewrapped],
    ) -> Result<u64, JobError> {
        let sql = match which {
            JobKey::Question => "UPDATE job SET sql_key = ? WHERE id = ? AND sql_key = ?",
            JobKey::Result => "UPDATE job SET result_key = ? WHERE id = ? AND result_key = ?",
        };
        let mut replaced = 0;
        let mut step = catalog.pool().begin().await.map_err(at("replace the keys of jobs"))?;
        for key in rewrapped {
            let done = sqlx::query(sql)
                .bind(&key.new)
                .bind(key.job.to_string())
                .bind(&key.old)
                .execute(&mut *step)
                .await
                .map_err(at("replace the key of a job"))?;
            replaced += done.rows_affected();
        }
        step.commit().await.map_err(at("replace the keys of jobs"))?;
        Ok(replaced)
    }
}
