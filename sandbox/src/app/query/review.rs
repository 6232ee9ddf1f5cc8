//! Reviewing one question: first what grants and policies give, then what the guard makes of it. It reads no data.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use chrono::DateTime;
use jiff::Timestamp;
use obscura_policies::day::LocalTime;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::evaluate::ManifestFacts;
use obscura_policies::evaluate::Permits;
use obscura_policies::evaluate::RefusalCode;
use obscura_policies::evaluate::UsedGrant;
use obscura_policies::evaluate::effective;
use obscura_policies::evaluate::open_to_everybody;
use obscura_policies::evaluate::used_grants;
use obscura_policies::library::Library;
use obscura_policies::vocabulary::Code;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::finding::Finding;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::plan::GuardedPlan;
use obscura_query_guard::statement::Statement;
use obscura_query_guard::verdict::Decision;

use crate::app::query::meant::Surroundings;
use crate::app::query::meant::with_meant;
use crate::app::query::principal::QueryPrincipal;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::GrantUseView;
use crate::app::query::verdict::RewriteView;
use crate::app::query::verdict::SourceView;
use crate::app::query::verdict::Verdict;

/// Longest review: the guard's own limits end nearly all far sooner, on a machine that is not too busy.
const REVIEW_MAX: Duration = Duration::from_secs(10);

/// A question's text as the guard reads it, once for all that is done with it.
pub(crate) type Parsed = Result<Statement, Finding>;

/// The facts that a review rests on besides the question: the policies at one moment, the asker, and facts of the data.
#[derive(Clone, Copy)]
pub(crate) struct ReviewInputs<'a> {
    pub(crate) library: &'a Library,
    pub(crate) asker: &'a QueryPrincipal,
    pub(crate) manifests: &'a BTreeMap<DatasetId, ManifestFacts>,
    pub(crate) now: Timestamp,
    pub(crate) time: LocalTime,
}

/// A question as it is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    /// The SQL.
    pub(crate) sql: &'a str,
    /// The same, parsed.
    pub(crate) parsed: &'a Parsed,
    /// Code of its purpose.
    pub(crate) purpose: &'a str,
    /// The grants that it names.
    pub(crate) grants: &'a BTreeSet<Code>,
}

/// The outcome of a review.
pub(crate) enum Reviewed {
    /// It may run as this plan.
    Admitted {
        /// The plan.
        plan: Box<GuardedPlan>,
        /// The policy that it was judged by.
        policy: EffectivePolicy,
        /// The verdict.
        verdict: Verdict,
        /// The statement was `EXPLAIN`: only the verdict was asked for.
        explain_only: bool,
    },
    /// It may not.
    Refused(Verdict),
}

/// Judges a question: first what the grants and policies give, then what the guard makes of it.
pub(crate) fn review(question: Judged<'_>, inputs: ReviewInputs<'_>) -> Reviewed {
    let Judged { sql, parsed, purpose, grants: named } = question;
    let ReviewInputs { library, asker, manifests, now, time } = inputs;
    let nothing = BTreeSet::new();
    let allowed = |named: &BTreeSet<Code>, datasets: &[DatasetId]| match asker {
        QueryPrincipal::Person { principal, grants } => {
            let permits = Permits { grants, named };
            effective(library, principal, purpose, permits, datasets, manifests, time)
        }
        QueryPrincipal::Anonymous => open_to_everybody(library, datasets, manifests, time.day),
    };
    // A hidden dataset and one that does not exist are left to the guard alike, so that the answers cannot differ.
    let mut datasets: Vec<DatasetId> = named_datasets(parsed, library).into_iter().collect();
    datasets.retain(|id| {
        !matches!(allowed(&nothing, std::slice::from_ref(id)), Err(refusal) if refusal.code == RefusalCode::DatasetNotFound)
    });
    let policy = match allowed(named, &datasets) {
        Ok(policy) => policy,
        Err(refusal) => return Reviewed::Refused(Verdict::refused_by_policy(&refusal)),
    };
    let grants = grants_of(question, inputs, &datasets);
    let now = DateTime::from_timestamp_millis(now.as_millisecond()).unwrap_or_default();
    let begun = Instant::now();
    let is_over = || begun.elapsed() > REVIEW_MAX;
    let guard = Guard::new(&policy, now, time.day).until(&is_over);
    let verdict = match parsed {
        Ok(statement) => guard.judge(statement),
        Err(finding) => guard.unreadable(finding.clone()),
    };
    let sources = verdict
        .policy
        .iter()
        .map(|s| SourceView { id: s.id.clone(), version: s.version, sha256: s.sha256.clone() })
        .collect();
    match verdict.decision {
        Decision::Admitted(plan) => {
            let report = Verdict { grants, ..Verdict::admitted(&plan, sources) };
            let explain_only = verdict.explain;
            Reviewed::Admitted { plan, policy, verdict: report, explain_only }
        }
        Decision::Refused { findings, rewrites } => {
            let rewrites = rewrites
                .into_iter()
                .map(|r| RewriteView { sql: r.sql, title: r.title, decision: "admitted".to_owned() })
                .collect();
            let around = Surroundings { sql, library, asker, policy: &policy };
            let view = |finding| with_meant(FindingView::of(finding), around);
            let findings = findings.iter().map(view).collect();
            Reviewed::Refused(Verdict { rewrites, policy: sources, grants, ..Verdict::refused(findings) })
        }
    }
}

/// The grant that applies to each dataset; strangers have none.
fn grants_of(question: Judged<'_>, inputs: ReviewInputs<'_>, datasets: &[DatasetId]) -> Vec<GrantUseView> {
    let QueryPrincipal::Person { principal, grants } = inputs.asker else { return Vec::new() };
    let permits = Permits { grants, named: question.grants };
    let used = used_grants(inputs.library, principal, question.purpose, permits, datasets, inputs.time);
    let view = |(dataset, used): (DatasetId, UsedGrant)| GrantUseView {
        dataset: dataset.to_string(),
        grant: used.id.to_string(),
        until: used.until.to_string(),
        others: used.others.iter().map(ToString::to_string).collect(),
    };
    used.into_iter().map(view).collect()
}

/// The datasets in force that a question names, without saying anything about the others.
pub(crate) fn named_datasets(parsed: &Parsed, library: &Library) -> BTreeSet<DatasetId> {
    let Ok(statement) = parsed else { return BTreeSet::new() };
    let is_named = |id: &&DatasetId| statement.tables().iter().any(|table| table.may_mean(id));
    library.datasets().keys().filter(is_named).cloned().collect()
}
