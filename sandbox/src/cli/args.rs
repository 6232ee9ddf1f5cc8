//! The form of the command line: noun and verb, flags, and examples in every help text.
//! It parses form only; the use case looks up names.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap_complete::Shell;
use obscura_crypto::kms::KekId;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::log::search_log::Decision;
use crate::cli::unaccepted::Unaccepted;
use crate::context::PersonName;
use crate::identity::Account;
use crate::ids::JobId;
use crate::ids::TokenId;

mod documents;
mod reviews;
mod seal;

pub(crate) use documents::DocumentName;
pub(crate) use documents::GrantArgs;
pub(crate) use documents::GrantCommand;
pub(crate) use documents::KeptCommand;
pub(crate) use documents::PolicyCommand;
pub(crate) use documents::PolicyVersion;
pub(crate) use documents::RequestCommand;
pub(crate) use reviews::ReviewCommand;
pub(crate) use seal::BadRowArg;
pub(crate) use seal::SealArgs;
pub(crate) use seal::UnitKeysArg;

/// A dark room for public data: records go in sealed, questions in SQL, only protected aggregates leave.
#[derive(Debug, Parser)]
#[command(name = "obscura", version, propagate_version = true, max_term_width = 100, after_help = MAIN_EXAMPLES)]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const MAIN_EXAMPLES: &str = "\
Examples:
  obscura demo --once                 a city, sealed and asked, in a few minutes
  obscura init                        an installation of your own
  obscura login https://...           somebody else's, over the network
  obscura query --purpose official-statistics 'select district, count(*) from hz_health.visits group by 1'

Whom a command acts for is said by the file that OBSCURA_TOKEN_FILE names, or by `obscura login`.
Exit codes: 0 done, 1 failure, 2 usage, 3 refused, 4 waits for approval or review, 5 budget spent,
6 authentication, 7 verification failed, 8 withheld, 9 limit exceeded.";

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the installation [default: ./obscura-data].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Server that questions, jobs, reviews, requests, grants, tokens and policies are sent to, instead of an installation here.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "data_dir")]
    pub(crate) server: Option<String>,
    /// Settings file to read instead of ./obscura.toml.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Language of messages.
    #[arg(long, global = true, value_enum)]
    pub(crate) lang: Option<Lang>,
    /// Form of the data on standard output.
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Languages that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English.
    En,
    /// 中文.
    Zh,
}

/// Forms that data is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people.
    Table,
    /// JSON.
    Json,
    /// CSV with a header.
    Csv,
    /// Arrow IPC stream.
    Arrow,
    /// Parquet.
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an installation: data directory, keys, audit log, first person.
    #[command(
        after_help = "Examples:\n  obscura init\n  obscura init --operator chen --token-file ~/.obscura/chen.token --data-dir /srv/obscura"
    )]
    Init(InitArgs),
    /// Log in at a server: commands are sent there from then on.
    #[command(
        after_help = "Examples:\n  obscura login https://obscura.example --token-file lin.token\n  obscura login http://127.0.0.1:7200 < lin.token"
    )]
    Login(LoginArgs),
    /// Show who you are here: person, roles, what you are recognised by, and your grants in force.
    #[command(after_help = "Examples:\n  obscura whoami\n  obscura whoami --output json")]
    Whoami,
    /// Forget the server and the token that `login` left here.
    #[command(after_help = "Examples:\n  obscura logout")]
    Logout,
    /// Seal the demo city and tell its story.
    #[command(
        after_help = "Examples:\n  obscura demo --once\n  obscura demo --once --lang zh --residents 20000"
    )]
    Demo(DemoArgs),
    /// Seal a file as a new version of your department's dataset.
    #[command(
        after_help = "Examples:\n  obscura seal hz-health.visits visits.csv\n  obscura seal hz-health.visits visits.csv.gz --append\n  obscura seal hz-health.visits visits.csv --replace --on-bad-row skip --encoding gb18030"
    )]
    Seal(SealArgs),
    /// Ask a question.
    #[command(
        after_help = "Examples:\n  obscura query --purpose official-statistics 'select district, count(*) from hz_health.visits group by 1'\n  obscura query --purpose official-statistics --file question.sql --output csv > answer.csv"
    )]
    Query(QueryArgs),
    /// Judge a question without running it: reads no data, spends no budget, makes no job.
    #[command(
        after_help = "Examples:\n  obscura explain --purpose official-statistics 'select name from hz_health.visits'"
    )]
    Explain(QueryArgs),
    /// Look at your questions and fetch their results again.
    #[command(subcommand)]
    Job(JobCommand),
    /// Show budgets of differential privacy: your shares and what is left, or the charges to one dataset.
    #[command(
        after_help = "Examples:\n  obscura budget\n  obscura budget hz-health.visits\n  obscura budget --output json"
    )]
    Budget(BudgetArgs),
    /// Look after sealed datasets.
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Look at purposes.
    #[command(subcommand)]
    Purpose(PurposeCommand),
    /// Check and publish documents: departments, purposes, datasets, policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Give analysts access to your department's data.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Ask for access, and decide on who asks.
    #[command(subcommand)]
    Request(RequestCommand),
    /// Look at results that wait, and decide whether they leave.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Add, link and remove persons.
    #[command(subcommand)]
    Person(PersonCommand),
    /// Make and revoke access tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Read, verify and prove the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Verify signed release records.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Answer over HTTP, for many people at once.
    #[command(after_help = "Examples:\n  obscura serve\n  obscura serve --listen 127.0.0.1:7300")]
    Serve(ServeArgs),
    /// Look after key-encryption keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check the installation.
    #[command(after_help = "Examples:\n  obscura doctor")]
    Doctor,
    /// Look at settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write completions for a shell.
    #[command(after_help = "Examples:\n  obscura completions bash > /etc/bash_completion.d/obscura")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Name of the first person: operator and admin.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub(crate) operator: PersonName,
    /// The file to write their token to.
    #[arg(long, value_name = "FILE", default_value = "./operator.token")]
    pub(crate) token_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The server.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// File with the token [default: asked for, or read from standard input].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Roots of the server's certificate (PEM), when they are not those of the web.
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on [default: 127.0.0.1:7200].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Tell the story once and stop: no waiting between scenes, and no server afterwards.
    #[arg(long)]
    pub(crate) once: bool,
    /// The number of residents of the city.
    #[arg(long, value_name = "N")]
    pub(crate) residents: Option<u32>,
    /// Folder of the city; an existing folder must be empty.
    #[arg(long, value_name = "DIR", default_value = "./obscura-demo")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The SQL, or `-` for standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// A file with the SQL.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Code of the purpose that the question serves.
    #[arg(long, short, value_name = "CODE")]
    pub(crate) purpose: Code,
    /// A grant to use, where several fit; may be given more than once [default: the widest].
    #[arg(long = "grant", value_name = "ID")]
    pub(crate) grants: Vec<Code>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) question: QueryArgs,
    /// Your own name for this request: repeated under it, it is the same job.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Ask a question and do not wait: a server goes on with it. Here it runs to its end.
    #[command(
        after_help = "Examples:\n  obscura job submit --purpose official-statistics 'select district, count(*) from hz_health.visits group by 1'"
    )]
    Submit(SubmitArgs),
    /// List the newest questions: yours, those that asked of your department's data for a steward, everybody's for an auditor.
    #[command(after_help = "Examples:\n  obscura job list")]
    List {
        /// The largest number of questions.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show a job: what for, where it stands, when it came and ended, its entries in the audit log.
    #[command(
        after_help = "Examples:\n  obscura job show job_0190...\n  obscura job show job_0190... --output json"
    )]
    Show {
        /// The job.
        id: JobId,
    },
    /// Follow a job to its end.
    #[command(after_help = "Examples:\n  obscura job watch job_0190...")]
    Watch {
        /// The job.
        id: JobId,
    },
    /// Stop a job before anything leaves.
    #[command(after_help = "Examples:\n  obscura job cancel job_0190...")]
    Cancel {
        /// The job.
        id: JobId,
    },
    /// Fetch the result of a question again: the same release, at no cost.
    #[command(after_help = "Examples:\n  obscura job result job_0190... --output csv")]
    Result {
        /// The job.
        id: JobId,
        /// Write the signed release record instead of the table.
        #[arg(long)]
        release: bool,
    },
    /// Show what led to the end of a question: its text, every rule that decided on it, the plan before and after the guard.
    #[command(after_help = "Examples:\n  obscura job explain job_0190...")]
    Explain {
        /// The job.
        id: JobId,
    },
    /// Write one file with question, verdict, release record and proofs, to be filed.
    #[command(after_help = "Examples:\n  obscura job evidence job_0190... > evidence.json")]
    Evidence {
        /// The job.
        id: JobId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// List the datasets you may see, or those that words are found in.
    #[command(
        after_help = "Examples:\n  obscura dataset list\n  obscura dataset list visits\n  obscura dataset list 就诊 费用"
    )]
    List {
        /// Words that all occur in identifier, title, department, tags, or in names, titles and meanings of columns.
        #[arg(value_name = "WORD")]
        words: Vec<String>,
    },
    /// Show a dataset with its columns, and what you may ask of it for each of your purposes.
    #[command(
        after_help = "Examples:\n  obscura dataset show hz-health.visits\n  obscura dataset show hz-health.visits --output json"
    )]
    Show {
        /// The dataset.
        dataset: DatasetId,
    },
    /// Verify every byte of a dataset's newest version.
    #[command(after_help = "Examples:\n  obscura dataset verify hz-health.visits")]
    Verify {
        /// The dataset.
        dataset: DatasetId,
    },
    /// Take one version out of use and remove its files.
    #[command(after_help = "Examples:\n  obscura dataset drop hz-health.visits --version-number 3")]
    Drop {
        /// The dataset.
        dataset: DatasetId,
        /// The version to drop [default: the newest].
        #[arg(long, value_name = "N")]
        version_number: Option<u64>,
    },
    /// Destroy the keys of all versions, for ever.
    #[command(after_help = "Examples:\n  obscura dataset shred hz-health.visits --yes")]
    Shred {
        /// The dataset.
        dataset: DatasetId,
        /// Say that you mean it: nothing brings the data back.
        #[arg(long)]
        yes: bool,
    },
    /// Draft a dataset's document from a file: types, meanings, roles and grades.
    #[command(
        after_help = "Examples:\n  obscura dataset suggest visits.csv --dataset hz-health.visits > visits.yaml"
    )]
    Suggest {
        /// The file, or `-` for standard input.
        file: PathBuf,
        /// Encoding of a text: utf-8, gb18030, utf-16le, utf-16be [default: found from contents].
        #[arg(long, value_name = "ENCODING")]
        encoding: Option<String>,
        /// Identifier of the new dataset.
        #[arg(long, value_name = "ID")]
        dataset: Option<DatasetId>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    /// The dataset whose charges to show, newest first.
    pub(crate) dataset: Option<DatasetId>,
    /// The largest number of charges to show.
    #[arg(long, default_value_t = 50, requires = "dataset", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PurposeCommand {
    /// List the purposes that you may know of, with the datasets that your grants give for each.
    #[command(after_help = "Examples:\n  obscura purpose list")]
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Add a person.
    #[command(
        after_help = "Examples:\n  obscura person add lin --role analyst --department hz-data\n  obscura person add shen --role steward --department hz-health"
    )]
    Add {
        /// Their name: lower-case letters, digits, `.`, `_`, `-`.
        name: PersonName,
        /// A role: analyst, steward, auditor, operator, admin; may be given more than once.
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<PersonRole>,
        /// Their department.
        #[arg(long, value_name = "CODE")]
        department: Option<String>,
        /// Their district, if they work for one.
        #[arg(long, value_name = "CODE")]
        district: Option<String>,
    },
    /// List persons.
    #[command(after_help = "Examples:\n  obscura person list")]
    List,
    /// Link a person to who they are at the identity provider: its tokens about them act for them.
    #[command(after_help = "Examples:\n  obscura person link lin --subject 248289761001")]
    Link {
        /// Their name.
        name: PersonName,
        /// The provider's name for them: the `sub` of their tokens.
        #[arg(long, value_name = "SUB")]
        subject: Account,
    },
    /// End a person's link: the provider's tokens about them are worth nothing from then on.
    #[command(after_help = "Examples:\n  obscura person unlink lin")]
    Unlink {
        /// Their name.
        name: PersonName,
    },
    /// Remove a person; their name is never used again.
    #[command(after_help = "Examples:\n  obscura person remove lin")]
    Remove {
        /// Their name.
        name: PersonName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and write its file, readable by you alone.
    #[command(
        after_help = "Examples:\n  obscura token create lin --file lin.token --days 90\n  obscura token create lin --role analyst --file script.token"
    )]
    Create {
        /// The person it acts for: yourself, or as an admin somebody who has none.
        person: PersonName,
        /// A role of theirs that it carries, more than once for more [default: all].
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<PersonRole>,
        /// The file to write [default: ./NAME.token].
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The number of days that it is valid.
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List tokens in force.
    #[command(after_help = "Examples:\n  obscura token list")]
    List,
    /// Revoke a token.
    #[command(after_help = "Examples:\n  obscura token revoke token_0190...")]
    Revoke {
        /// The token.
        id: TokenId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show events, the newest unless told otherwise; all of them or those that are about something.
    #[command(
        after_help = "Examples:\n  obscura audit log --limit 50\n  obscura audit log --from 0 --output json\n  obscura audit log --dataset hz-health.visits --decision refused --since 2026-12-01\n  obscura audit log --person lin --follow"
    )]
    Log(AuditLogArgs),
    /// Verify the log: every entry, hash and signature, and the database against it. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura audit verify\n  obscura audit verify --log copy-of-audit --key audit.pub --checkpoint kept-elsewhere\n  obscura audit verify --proof entry-42.tlog-proof --key audit.pub"
    )]
    Verify(AuditVerifyArgs),
    /// Write entries as OCSF events, one a line, for a SIEM.
    #[command(
        after_help = "Examples:\n  obscura audit export > events.ndjson\n  obscura audit export --from 1000 --to 2000 | siem-import"
    )]
    Export {
        /// The first entry.
        #[arg(long, value_name = "INDEX", default_value_t = 0)]
        from: u64,
        /// The entry to stop before [default: the end of the log].
        #[arg(long, value_name = "INDEX")]
        to: Option<u64>,
    },
    /// Write the newest signed checkpoint, to keep elsewhere or to show to a witness. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura audit checkpoint > kept-elsewhere\n  obscura audit checkpoint --since 1200 > request\n  obscura audit checkpoint --cosigned > kept-elsewhere"
    )]
    Checkpoint {
        /// Add the proof that the log has only grown since it was of this size: a request to a witness.
        #[arg(long, value_name = "SIZE", conflicts_with = "cosigned")]
        since: Option<u64>,
        /// Write the newest one that witnesses cosigned instead.
        #[arg(long)]
        cosigned: bool,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Keep a checkpoint of this log that witnesses have cosigned.
    #[command(after_help = "Examples:\n  obscura audit cosign cosigned-checkpoint")]
    Cosign {
        /// The checkpoint with the cosignatures on it.
        file: PathBuf,
    },
    /// Be a witness: cosign a checkpoint of somebody's log if it continues what was seen. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura audit witness request --log-key audit.pub --state /srv/witness > cosigned-checkpoint"
    )]
    Witness {
        /// A checkpoint, or a request with the proof, as `obscura audit checkpoint --since` writes it.
        request: PathBuf,
        /// File with the public key of the log.
        #[arg(long, value_name = "FILE")]
        log_key: PathBuf,
        /// Folder with the witness's key and memory.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Make the key of a witness, and show its public half. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura audit witness-key witness.hz-audit.example --state /srv/witness"
    )]
    WitnessKey {
        /// Name of the witness, such as a host name and a path.
        name: String,
        /// Folder to make.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Destroy the key of a question's text, for good; the log stays whole.
    #[command(
        after_help = "Examples:\n  obscura audit shred job_0190... --reason \"a name stood in the SQL\""
    )]
    Shred {
        /// The job.
        job: JobId,
        /// The reason; it stands in the log.
        #[arg(long)]
        reason: String,
    },
    /// Write the proof that an entry is in the log. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura audit prove 42 > entry-42.tlog-proof\n  obscura audit verify --proof entry-42.tlog-proof --key audit.pub"
    )]
    Prove {
        /// Number of the entry, from 0.
        index: u64,
        #[command(flatten)]
        log: LogArgs,
    },
    /// Read the SQL of a job as it was asked: your own, or anybody's for an auditor.
    #[command(after_help = "Examples:\n  obscura audit question job_0190...")]
    Question {
        /// The job.
        job: JobId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Verify a release record with public keys alone. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura job result job_0190... --release > release.note\n  obscura release verify release.note --key releases.pub --audit-key audit.pub"
    )]
    Verify {
        /// The record, as `obscura job result --release` writes it.
        file: PathBuf,
        /// File with the public key of releases [default: that of the installation].
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// File with the public key of the audit log, to verify the decision [default: that of the installation, unless
        /// `--key` is given].
        #[arg(long, value_name = "FILE")]
        audit_key: Option<PathBuf>,
    },
    /// Verify a file of evidence with two public keys alone. Needs no token.
    #[command(
        after_help = "Examples:\n  obscura job evidence job_0190... > evidence.json\n  obscura release evidence evidence.json --key releases.pub --audit-key audit.pub"
    )]
    Evidence {
        /// The file, as `obscura job evidence` writes it.
        file: PathBuf,
        /// File with the public key of releases [default: that of the installation].
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// File with the public key of the audit log [default: that of the installation].
        #[arg(long, value_name = "FILE")]
        audit_key: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Rotate a department's key of one grade; data keys are wrapped again, files stay as they are.
    #[command(after_help = "Examples:\n  obscura key rotate hz-health/L3")]
    Rotate {
        /// The key: department/grade.
        key: KekId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditLogArgs {
    /// The first event to look at [default: the newest].
    #[arg(long, value_name = "INDEX")]
    pub(crate) from: Option<u64>,
    /// The largest number of events.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u64,
    /// Events about this dataset: decisions, releases, sealings, grants, requests.
    #[arg(long, value_name = "ID")]
    pub(crate) dataset: Option<DatasetId>,
    /// Events that this person caused, or that are about them.
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<PersonName>,
    /// Events for this purpose.
    #[arg(long, value_name = "CODE")]
    pub(crate) purpose: Option<Code>,
    /// Events that decide so: admitted, refused, approved, declined, withdrawn, activated, returned, rejected.
    #[arg(long, value_name = "WORD", value_parser = decision)]
    pub(crate) decision: Option<Decision>,
    /// Events that are not older: a day as 2026-12-31, or an instant as 2026-12-31T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Go on with what is appended, line by line, until interrupted.
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Reads a word for a decision.
fn decision(word: &str) -> Result<Decision, Unaccepted> {
    let accepted = |comma| Decision::ALL.map(Decision::name).join(comma);
    Decision::from_name(word).ok_or_else(|| {
        Unaccepted::new(format!("accepted: {}", accepted(", ")), format!("可用：{}", accepted("、")))
    })
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Folder of a copy of the log [default: that of the installation].
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// File with the log's public key [default: that of the installation].
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// A checkpoint of this log that was kept elsewhere: tells a shortened or rewritten log.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Keys of witnesses, one of whom must have cosigned a checkpoint of this log [default: those of the settings, where
    /// a cosigned checkpoint is welcome and not demanded].
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub(crate) witness: Option<PathBuf>,
    /// Verify this proof of one entry instead of a log.
    #[arg(long, value_name = "FILE", conflicts_with = "log")]
    pub(crate) proof: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the settings in force and where each was found; secrets are hidden.
    #[command(after_help = "Examples:\n  obscura config check\n  OBSCURA_LANGUAGE=zh obscura config check")]
    Check,
}
