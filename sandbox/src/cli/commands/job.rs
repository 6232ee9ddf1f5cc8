//! `job show`: one job in outline; its question and plan are shown by `job explain`.

use serde_json::json;

use crate::api::jobs::JobView;
use crate::cli::args::Output;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::table::Listing;

/// Shows a job.
pub(super) fn show_job(screen: &mut Screen<'_>, job: &JobView) -> Result<(), Ending> {
    if screen.output == Output::Json {
        let text = serde_json::to_string_pretty(job).map_err(std::io::Error::other)?;
        return Ok(screen.line(&text)?);
    }
    let mut listing = Listing::new(screen, &[("field", "field", "项目"), ("value", "value", "内容")]);
    let mut row = |en: &str, zh: &str, value: &str| {
        listing.row(vec![json!(screen.either(en, zh)), json!(value)]);
    };
    row("job", "任务", &job.id);
    row("state", "状态", &job.state);
    if let Some(code) = &job.code {
        row("code", "代码", code);
    }
    row("person", "人员", &job.person);
    row("purpose", "用途", &job.purpose);
    row("asked", "提交时间", &job.received);
    if let Some(finished) = &job.finished {
        row("ended", "结束时间", finished);
    }
    if let Some(review) = &job.review {
        row("reviewers", "复核人数", &review.reviewers.to_string());
        if let Some(until) = &review.until {
            row("waits until", "等待至", until);
        }
        for comment in &review.comments {
            row("a reviewer said", "复核意见", comment);
        }
    }
    for finding in job.verdict.iter().flat_map(|verdict| &verdict.findings) {
        let message = screen.pick(&finding.message);
        row("finding", "拒绝原因", &format!("{}: {message}", finding.code));
    }
    for used in job.verdict.iter().flat_map(|verdict| &verdict.grants) {
        row("grant", "授权", &format!("{} ({})", used.grant, used.dataset));
    }
    if let Some(index) = job.decided_index {
        row("decision in the log", "裁决的日志条目", &index.to_string());
    }
    if let Some(index) = job.finished_index {
        row("end in the log", "结束的日志条目", &index.to_string());
    }
    if let Some(sha256) = &job.result_sha256 {
        row("result sha256", "结果 sha256", sha256);
    }
    Ok(listing.write(screen)?)
}
