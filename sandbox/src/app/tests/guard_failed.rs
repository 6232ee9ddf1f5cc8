//! A failure of the guard's own: the operator learns of it, and it is no verdict on the question.

use obscura_query_guard::finding::Finding;
use obscura_query_guard::reason::Reason;

use super::*;
use crate::app::query::question::SubmitQuery;
use crate::app::query::review::Parsed;
use crate::app::query::review::Reviewed;
use crate::app::query::review_context::review_context;
use crate::context::Caller;
use crate::error::AppError;
use crate::installation::reviews::Judging;

#[tokio::test]
async fn failure_of_the_guard_is_an_internal_error_and_no_refusal() {
    let (_world, installation) = World::new().await;
    let stranger = Caller::stranger(Door::Http);
    let question = SubmitQuery::once("SELECT zip FROM persons", "open-data");
    // The guard is handed a finding in place of a parsed text, as if it had found it itself.
    let judged = async |reason: Reason| {
        let parsed: Arc<Parsed> = Arc::new(Err(Finding::of(reason)));
        let context = review_context(&installation, &stranger, &parsed).await.unwrap();
        context.review(&installation, &question, Judging::Question(&question.presence)).await
    };
    for reason in [Reason::FactMissing, Reason::PlanNotBuilt] {
        let error = judged(reason).await.err().unwrap();
        assert_eq!(error.public().code(), "internal-error");
        assert_eq!(error.public().message().en, "something of ours broke; nothing was released");
        let AppError::Internal(noted) = &error else { unreachable!("its code is that of internal errors") };
        assert_eq!(
            (noted.step(), noted.causes()),
            ("judge a question", [reason.slug().to_owned()].as_slice())
        );
        installation.note_failure("request_1", &error);
    }
    let log = std::fs::read_to_string(installation.layout().log().join("obscura.log")).unwrap();
    assert!(log.contains("fact-missing") && log.contains("plan-not-built"), "{log}");
    assert!(!log.contains("persons"), "the question stays out of it: {log}");
    let refused = judged(Reason::NotSql).await.unwrap();
    assert!(matches!(&refused, Reviewed::Refused(verdict) if verdict.codes().contains("sql-syntax")));
}
