//! Reconciling: every key that left the keyring against the decision that allowed it. The log names the keys that each job
//! may get and those that its run got; the journal names the keys that left. This file compares them, and opens neither.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::iter::Peekable;
use std::slice;

use obscura_crypto::sha256_hex;
use serde_json::Value;

use crate::audit::event::Action;
use crate::audit::event::LoggedEvent;
use crate::audit::unwraps::Account;
use crate::audit::unwraps::ColumnUnwraps;
use crate::audit::unwraps::JOURNAL_DETAIL;
use crate::audit::unwraps::UnwrapLine;
use crate::ids::JobId;

/// Name under which the key of a file's footer is counted; every column's reader needs it.
const FOOTER: &str = crate::storage::FOOTER_KEY;

/// An unwrapped key that no decision covers, or a journal that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnwrapFinding {
    /// A line of the journal cannot be read.
    Unreadable {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A line of the journal does not follow the one before it: lines were changed, dropped or moved.
    Chain {
        /// Number of the line, from 1.
        line: u64,
    },
    /// Keys were unwrapped on an account that no entry of the log stands for.
    Undecided {
        /// Number of the line, from 1.
        line: u64,
        /// The account.
        account: String,
    },
    /// Keys were unwrapped on an account once more than the log allows.
    Repeated {
        /// Number of the line, from 1.
        line: u64,
        /// The account.
        account: String,
    },
    /// A key was unwrapped that the job may not be given.
    NotGranted {
        /// Number of the line, from 1.
        line: u64,
        /// The account.
        account: String,
        /// Dataset and column, or kind and identifier.
        key: String,
    },
    /// The log names a line of a run that is not in the journal.
    Missing {
        /// The job.
        job: String,
    },
    /// An entry of the log names the line that was the newest, and that line is not in the journal, or stands before one
    /// that an earlier entry names.
    CutOff {
        /// Index of the entry.
        entry: u64,
    },
    /// The log and the journal name different numbers of keys for a run.
    Count {
        /// The job.
        job: String,
        /// By the log.
        logged: u64,
        /// By the journal.
        journalled: u64,
    },
    /// The log says that a job ran which it never admitted.
    Unadmitted {
        /// The job.
        job: String,
    },
}

/// The log's account of one job's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfJob {
    decided: bool,
    admitted: bool,
    /// Its result has left, or a reviewer looked at it.
    opened: bool,
    reads: u64,
    /// The number of times that its result may have been opened.
    downloads: u64,
    granted: Option<Granted>,
    /// Number of keys that its run was given, and the line of the journal that records them.
    executed: Option<(u64, Option<String>)>,
}

/// The log's account of the keys of all jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyAccounts {
    jobs: BTreeMap<String, OfJob>,
    shredded: BTreeSet<String>,
    /// Columns granted to stewards, by account.
    to_stewards: BTreeMap<String, ToSteward>,
    /// Entries that name the newest line of the journal, with its hash, in order.
    named: Vec<(u64, String)>,
}

/// Columns granted on one account of a steward.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ToSteward {
    columns: Granted,
    /// Number of grants, of which each is good for one line of the journal.
    grants: u64,
}

/// Columns by dataset, with the newest version.
type Granted = BTreeMap<String, (u64, BTreeSet<String>)>;

impl KeyAccounts {
    /// Jobs of which the log says that their question's text was destroyed.
    #[must_use]
    pub fn shredded(&self) -> &BTreeSet<String> {
        &self.shredded
    }

    /// Takes in one event.
    pub fn take(&mut self, event: &LoggedEvent) {
        let is = |action: Action| event.action == action.name();
        let said = |name: &str| event.detail.get(name);
        if let Some(line) = said(JOURNAL_DETAIL).and_then(Value::as_str) {
            self.named.push((event.index, line.to_owned()));
        }
        let Some(job) = event.correlation.clone() else {
            if is(Action::KeysGranted) {
                let account = said("account").and_then(Value::as_str).unwrap_or_default();
                let known = self.to_stewards.entry(account.to_owned()).or_default();
                known.grants = known.grants.saturating_add(1);
                for (dataset, (version, columns)) in granted(said("datasets")) {
                    let known = known.columns.entry(dataset).or_default();
                    known.0 = known.0.max(version);
                    known.1.extend(columns);
                }
            }
            return;
        };
        if is(Action::QueryDecided) {
            let of_job = self.jobs.entry(job).or_default();
            of_job.decided = true;
            of_job.admitted |= said("decision").and_then(Value::as_str) == Some("admitted");
        } else if is(Action::QueryPending) {
            // Its question is in the log, to be read and judged again; nothing else of it may be opened.
            self.jobs.entry(job).or_default().decided = true;
        } else if is(Action::KeysGranted) {
            self.jobs.entry(job).or_default().granted.get_or_insert_with(|| granted(said("datasets")));
        } else if is(Action::QueryExecuted) {
            let keys = said("keys_unwrapped").and_then(Value::as_u64).unwrap_or_default();
            let line = said("unwraps_sha256").and_then(Value::as_str).map(str::to_owned);
            self.jobs.entry(job).or_default().executed.get_or_insert((keys, line));
        } else if is(Action::ResultReleased) {
            self.jobs.entry(job).or_default().opened = true;
        } else if is(Action::QuestionRead) {
            let of_job = self.jobs.entry(job).or_default();
            of_job.reads = of_job.reads.saturating_add(1);
        } else if is(Action::ResultDownloaded) {
            let of_job = self.jobs.entry(job).or_default();
            of_job.downloads = of_job.downloads.saturating_add(1);
        } else if is(Action::ReviewViewed) {
            let of_job = self.jobs.entry(job).or_default();
            of_job.opened = true;
            of_job.downloads = of_job.downloads.saturating_add(1);
        } else if is(Action::QuestionShredded) {
            self.shredded.insert(job);
        }
    }

    /// Finds runs of jobs that were never admitted; the log alone tells.
    #[must_use]
    pub fn unadmitted(&self) -> Vec<UnwrapFinding> {
        let ran = self.jobs.iter().filter(|(_, of_job)| of_job.executed.is_some() && !of_job.admitted);
        ran.map(|(job, _)| UnwrapFinding::Unadmitted { job: job.clone() }).collect()
    }

    /// Compares a journal with what the log says.
    #[must_use]
    pub fn reconcile(&self, lines: impl Iterator<Item = Vec<u8>>) -> Vec<UnwrapFinding> {
        let mut books = Books {
            log: self,
            found: Vec::new(),
            runs: BTreeMap::new(),
            results: BTreeMap::new(),
            reads: BTreeMap::new(),
            to_stewards: BTreeMap::new(),
            named: self.named.iter().peekable(),
        };
        let mut previous = sha256_hex(b"");
        books.pass_named(&previous);
        for (bytes, line) in lines.zip(1_u64..) {
            let read: Option<UnwrapLine> = serde_json::from_slice(&bytes).ok();
            let sha256 = sha256_hex(&bytes);
            match read {
                Some(read) => {
                    if read.previous != previous {
                        books.found.push(UnwrapFinding::Chain { line });
                    }
                    books.line(line, &read, &sha256);
                }
                None => books.found.push(UnwrapFinding::Unreadable { line }),
            }
            books.pass_named(&sha256);
            previous = sha256;
        }
        books.close()
    }
}

/// One comparison under way.
struct Books<'a> {
    log: &'a KeyAccounts,
    found: Vec<UnwrapFinding>,
    /// Each job's run: how many keys, and the hash of its line.
    runs: BTreeMap<String, (u64, String)>,
    /// Times that each result was opened again.
    results: BTreeMap<String, u64>,
    /// Times that each question was opened.
    reads: BTreeMap<String, u64>,
    /// Times that each dataset's rows were counted anew.
    to_stewards: BTreeMap<String, u64>,
    /// Entries that name a line which has not been passed yet.
    named: Peekable<slice::Iter<'a, (u64, String)>>,
}

impl<'a> Books<'a> {
    fn line(&mut self, line: u64, read: &UnwrapLine, sha256: &str) {
        let account = &read.account;
        let Some(allowed) = account.parse().ok().and_then(|account| self.allowed(&account)) else {
            self.found.push(UnwrapFinding::Undecided { line, account: account.clone() });
            return;
        };
        let mut beyond = Vec::new();
        for column in &read.columns {
            let is_granted = matches!(&allowed, Allowed::Columns(granted, _) if is_granted(granted, column));
            if !is_granted {
                beyond.push(format!("{}.{}", column.dataset, column.column));
            }
        }
        for object in &read.objects {
            let is_it =
                matches!(&allowed, Allowed::Object(kind, id) if object.kind == *kind && object.id == *id);
            if !is_it {
                beyond.push(format!("{} {}", object.kind, object.id));
            }
        }
        let not_granted = |key| UnwrapFinding::NotGranted { line, account: account.clone(), key };
        self.found.extend(beyond.into_iter().map(not_granted));
        let is_repeated = match allowed {
            Allowed::Columns(_, Of::Run(job)) => match self.runs.entry(job) {
                // A job runs once, and is given all its keys at once.
                Entry::Occupied(_) => true,
                Entry::Vacant(run) => {
                    run.insert((read.keys(), sha256.to_owned()));
                    false
                }
            },
            Allowed::Columns(_, Of::Steward(grants)) => {
                let lines = self.to_stewards.entry(account.clone()).or_default();
                *lines = lines.saturating_add(1);
                *lines > grants
            }
            Allowed::Object(kind, job) => {
                let opened = if kind == "result" { &mut self.results } else { &mut self.reads };
                let opened = opened.entry(job).or_default();
                *opened = opened.saturating_add(read.keys().max(1));
                false
            }
        };
        if is_repeated {
            self.found.push(UnwrapFinding::Repeated { line, account: account.clone() });
        }
    }

    /// Passes the entries that name this line. Each names the line that was the newest when it was written, so that the
    /// named lines follow one another as the entries do.
    fn pass_named(&mut self, sha256: &str) {
        while self.named.next_if(|(_, line)| line == sha256).is_some() {}
    }

    /// The keys that the log allows to unwrap on an account; nothing when no entry stands for it.
    fn allowed(&self, account: &Account) -> Option<Allowed<'a>> {
        let log: &'a KeyAccounts = self.log;
        let of_job = |job: &JobId| Some((log.jobs.get(&job.to_string())?, job.to_string()));
        match account {
            Account::Query(job) => {
                let (of_job, job) = of_job(job).filter(|(of_job, _)| of_job.admitted)?;
                Some(Allowed::Columns(of_job.granted.as_ref()?, Of::Run(job)))
            }
            Account::Result(job) => {
                let (_, job) = of_job(job).filter(|(of_job, _)| of_job.opened)?;
                Some(Allowed::Object("result", job))
            }
            Account::Question(job) => {
                let (_, job) = of_job(job).filter(|(of_job, _)| of_job.decided)?;
                Some(Allowed::Object("query", job))
            }
            Account::Append(_) | Account::Exposure(_) | Account::Opening(_) => {
                let granted = log.to_stewards.get(&account.to_string())?;
                Some(Allowed::Columns(&granted.columns, Of::Steward(granted.grants)))
            }
        }
    }

    /// Compares the grants in the log with the journal: each must be there, and no others.
    fn close(mut self) -> Vec<UnwrapFinding> {
        for (job, of_job) in &self.log.jobs {
            // Runs of versions that kept no journal name no line of it.
            if let Some((logged, Some(line))) = &of_job.executed {
                let (logged, job) = (*logged, job.clone());
                match self.runs.get(&job) {
                    Some((journalled, sha256)) if sha256 == line => {
                        if *journalled != logged {
                            let journalled = *journalled;
                            self.found.push(UnwrapFinding::Count { job, logged, journalled });
                        }
                    }
                    _ => self.found.push(UnwrapFinding::Missing { job }),
                }
            }
            for (opened, logged) in [(&self.reads, of_job.reads), (&self.results, of_job.downloads)] {
                let journalled = opened.get(job).copied().unwrap_or_default();
                if journalled > logged {
                    self.found.push(UnwrapFinding::Count { job: job.clone(), logged, journalled });
                }
            }
        }
        if let Some((entry, _)) = self.named.next() {
            self.found.push(UnwrapFinding::CutOff { entry: *entry });
        }
        self.found
    }
}

/// The keys that may be unwrapped on an account.
enum Allowed<'a> {
    /// Columns.
    Columns(&'a Granted, Of),
    /// One sealed object of this kind and identifier.
    Object(&'static str, String),
}

/// The use that columns are read for.
enum Of {
    /// The run of this job.
    Run(String),
    /// The work of a steward, to whom so many grants were given.
    Steward(u64),
}

fn is_granted(granted: &Granted, column: &ColumnUnwraps) -> bool {
    // A part keeps the number of the version it was sealed in, which is never newer than the one that was granted.
    granted.get(&column.dataset).is_some_and(|(newest, columns)| {
        column.version <= *newest && (column.column == FOOTER || columns.contains(&column.column))
    })
}

fn granted(datasets: Option<&Value>) -> Granted {
    let mut granted = BTreeMap::new();
    for dataset in datasets.and_then(Value::as_array).into_iter().flatten() {
        let (Some(name), Some(version), Some(columns)) = (
            dataset.get("dataset").and_then(Value::as_str),
            dataset.get("version").and_then(Value::as_u64),
            dataset.get("columns").and_then(Value::as_array),
        ) else {
            continue;
        };
        let columns = columns.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        granted.insert(name.to_owned(), (version, columns));
    }
    granted
}
