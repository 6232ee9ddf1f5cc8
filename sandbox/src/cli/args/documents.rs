//! Command lines of documents, grants and requests.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use obscura_policies::day::Day;
use obscura_policies::document::Kind;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::DatasetId;

use crate::cli::unaccepted::Unaccepted;
use crate::context::PersonName;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print a commented document of one kind, to begin one of your own with. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura policy template dataset > visits.yaml\n  obscura policy template policy | sed 's/my-department/hz-health/' > visits-policy.yaml"
    )]
    Template {
        /// The kind.
        #[arg(value_enum, ignore_case = true)]
        kind: KindArg,
    },
    /// Print the JSON Schema of one kind of documents, or of all, for an editor. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura policy schema > obscura.schema.json\n  obscura policy schema dataset > dataset.schema.json\n\nEditors with a YAML language server read it when a file begins with\n  # yaml-language-server: $schema=obscura.schema.json"
    )]
    Schema {
        /// The kind [default: a document of any kind].
        #[arg(value_enum, ignore_case = true)]
        kind: Option<KindArg>,
    },
    #[command(flatten)]
    Kept(KeptCommand),
}

/// The commands on documents that an installation keeps.
#[derive(Debug, Subcommand)]
pub(crate) enum KeptCommand {
    /// List the documents in force.
    #[command(after_help = "Examples:\n  obscura policy list")]
    List,
    /// Show a document as it was written: the newest in force, or the version that is named, also one that waits.
    #[command(
        after_help = "Examples:\n  obscura policy show hz-health-statistics\n  obscura policy show hz-health-statistics@2"
    )]
    Show {
        /// The document, with `@` and a version if not the newest.
        #[arg(value_name = "ID[@VERSION]")]
        document: DocumentName,
    },
    /// Show what differs between two versions, or between a version and a file.
    #[command(
        after_help = "Examples:\n  obscura policy diff hz-health-statistics@1 hz-health-statistics@2\n  obscura policy diff hz-health-statistics statistics.yaml"
    )]
    Diff {
        /// A document, with `@` and a version if not the newest, or a file.
        #[arg(value_name = "ID[@VERSION]|FILE")]
        old: String,
        /// Another.
        #[arg(value_name = "ID[@VERSION]|FILE")]
        new: String,
    },
    /// Check documents against those in force, run the tests of policies, and say what does not count as it is written.
    #[command(after_help = "Examples:\n  obscura policy check policies/*.yaml")]
    Check {
        /// Files of documents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Compute how far a policy lets somebody who asks everything tell one person's secret, on the sealed data.
    #[command(
        after_help = "Examples:\n  obscura policy exposure hz-health-statistics\n  obscura policy exposure hz-health-statistics@2\n  obscura policy exposure statistics.yaml\n\nFigures are advantages, from 0 (guessing) to 1 (knowing): at 0.25 a secret that half of all people have is told rightly in 5 of 8 cases. They are of exact data, and for the department alone."
    )]
    Exposure {
        /// A policy in force, with `@` and a version one that waits, or a file with policies.
        #[arg(value_name = "ID[@VERSION]|FILE")]
        policy: String,
    },
    /// Put documents in force; a policy, or a dataset above L1 that protects no unit, waits until a second person activates it.
    #[command(after_help = "Examples:\n  obscura policy publish departments.yaml visits.yaml")]
    Publish {
        /// Files of documents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// List the policies that wait for a second person.
    #[command(after_help = "Examples:\n  obscura policy proposals")]
    Proposals,
    /// Put a policy in force that somebody else has proposed.
    #[command(after_help = "Examples:\n  obscura policy activate hz-health-statistics@2")]
    Activate {
        /// The policy and its version, as `policy proposals` lists them.
        #[arg(value_name = "POLICY@VERSION")]
        policy: PolicyVersion,
    },
    /// Take back a policy that waits.
    #[command(after_help = "Examples:\n  obscura policy withdraw hz-health-statistics@2")]
    Withdraw {
        /// The policy and its version, as `policy proposals` lists them.
        #[arg(value_name = "POLICY@VERSION")]
        policy: PolicyVersion,
    },
}

/// The kinds of documents, as a command line writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// A node of the tree of departments.
    Department,
    /// A purpose that data is used for.
    Purpose,
    /// Facts about the data.
    Dataset,
    /// Rules for data.
    Policy,
    /// One permission.
    Grant,
    /// Grades of one standard.
    #[value(alias = "GradeScheme")]
    GradeScheme,
    /// A way below a floor.
    Exception,
    /// A saved query.
    Application,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Department => Self::Department,
            KindArg::Purpose => Self::Purpose,
            KindArg::Dataset => Self::Dataset,
            KindArg::Policy => Self::Policy,
            KindArg::Grant => Self::Grant,
            KindArg::GradeScheme => Self::GradeScheme,
            KindArg::Exception => Self::Exception,
            KindArg::Application => Self::Application,
        }
    }
}

/// A document, and one of its versions if not the newest: `id` or `id@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentName {
    pub(crate) id: String,
    pub(crate) version: Option<u32>,
}

impl FromStr for DocumentName {
    type Err = Unaccepted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('@') {
            None => Ok(Self { id: text.to_owned(), version: None }),
            Some((id, version)) => {
                let version = version.parse().map_err(|_| no_version())?;
                Ok(Self { id: id.to_owned(), version: Some(version) })
            }
        }
    }
}

/// The part behind the `@` is no number.
fn no_version() -> Unaccepted {
    Unaccepted::new("a version is a number, such as `hz-visits@2`", "版本为数字，如 `hz-visits@2`")
}

/// One version of a policy: `id@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyVersion {
    pub(crate) id: String,
    pub(crate) version: u32,
}

impl FromStr for PolicyVersion {
    type Err = Unaccepted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || {
            Unaccepted::new(
                "a policy and its version, such as `hz-visits@2`",
                "应为策略及其版本，如 `hz-visits@2`",
            )
        };
        let (id, version) = text.rsplit_once('@').ok_or_else(form)?;
        let version = version.parse().map_err(|_| no_version())?;
        Ok(Self { id: id.to_owned(), version })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Ask for access to datasets of one department.
    #[command(
        after_help = "Examples:\n  obscura request create --purpose official-statistics --dataset hz-health.visits --until 2027-12-31 --reason 'Yearbook 2027'"
    )]
    Create {
        /// Code of the purpose.
        #[arg(long)]
        purpose: Code,
        /// A dataset, more than once for more.
        #[arg(long = "dataset", required = true, value_name = "DATASET")]
        datasets: Vec<DatasetId>,
        /// Last day.
        #[arg(long)]
        until: Day,
        /// The reason for the request.
        #[arg(long)]
        reason: String,
    },
    /// List requests: your own, or those that you decide on.
    #[command(after_help = "Examples:\n  obscura request list")]
    List,
    /// Show a request: who asks, what for, which columns and rows, and why.
    #[command(after_help = "Examples:\n  obscura request show access_0190...")]
    Show {
        /// The request.
        id: String,
    },
    /// Approve a request: it is a grant from then on.
    #[command(after_help = "Examples:\n  obscura request approve access_0190...")]
    Approve {
        /// The request.
        id: String,
        /// A message to the person who asked.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Decline a request.
    #[command(
        after_help = "Examples:\n  obscura request decline access_0190... --reason 'Ask for fewer columns'"
    )]
    Decline {
        /// The request.
        id: String,
        /// A message to the person who asked.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take back a request of yours.
    #[command(after_help = "Examples:\n  obscura request withdraw access_0190...")]
    Withdraw {
        /// The request.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Give an analyst a grant.
    #[command(
        after_help = "Examples:\n  obscura grant create --person lin --purpose official-statistics --dataset hz-health.visits --until 2027-12-31\n  obscura grant create --person lin --purpose official-statistics --dataset hz-health.visits:person_id,district,cost --until 2027-12-31\n  obscura grant create --file grants.yaml"
    )]
    Create(GrantArgs),
    /// List grants in force.
    #[command(after_help = "Examples:\n  obscura grant list")]
    List,
    /// Revoke a grant.
    #[command(after_help = "Examples:\n  obscura grant revoke grant-0190...")]
    Revoke {
        /// The grant.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The analyst.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) person: Option<PersonName>,
    /// Code of the purpose.
    #[arg(long, value_name = "CODE", required_unless_present = "file")]
    pub(crate) purpose: Option<Code>,
    /// A dataset, with the columns if not all: ID or ID:COLUMN,COLUMN; may be given more than once.
    #[arg(long, value_name = "ID[:COLUMNS]", required_unless_present = "file")]
    pub(crate) dataset: Vec<String>,
    /// Last day.
    #[arg(long, value_name = "DATE", required_unless_present = "file")]
    pub(crate) until: Option<Day>,
    /// A condition on rows that holds for every dataset of the grant, in SQL.
    #[arg(long, value_name = "SQL")]
    pub(crate) row_filter: Option<String>,
    /// A file of Grant documents instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["person", "purpose", "dataset", "until", "row_filter"])]
    pub(crate) file: Option<PathBuf>,
}
