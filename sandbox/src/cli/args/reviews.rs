//! `review`: results that wait for people who are not their author.

use clap::Subcommand;

use crate::ids::JobId;

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// List the results that wait for you as a reviewer.
    #[command(after_help = "Examples:\n  obscura review list\n  obscura review list --output json")]
    List,
    /// Show a result that waits: question, purpose, the protected result, its controls, and a checklist.
    #[command(
        after_help = "Examples:\n  obscura review show job_0190...\n  obscura review show job_0190... --output json"
    )]
    Show {
        /// The job.
        id: JobId,
    },
    /// Let a result out; it leaves when all of its reviewers have.
    #[command(after_help = "Examples:\n  obscura review approve job_0190...")]
    Approve {
        /// The job.
        id: JobId,
        /// A message to the analyst.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Send a result back, with what to ask instead.
    #[command(
        after_help = "Examples:\n  obscura review return job_0190... --comment 'group by year, not by month'"
    )]
    Return {
        /// The job.
        id: JobId,
        /// A message to the analyst.
        #[arg(long)]
        comment: String,
    },
    /// Keep a result in.
    #[command(
        after_help = "Examples:\n  obscura review reject job_0190... --comment 'it tells of one clinic'"
    )]
    Reject {
        /// The job.
        id: JobId,
        /// A message to the analyst.
        #[arg(long)]
        comment: String,
    },
}
