//! The pages behind the links of refusals and of problem documents: files of the program, in the reader's language.
//! What a rule is for and where it stands is written in the pages; nothing is decided here.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LANGUAGE;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::VARY;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::response::IntoResponse as _;
use axum::response::Response;
use include_dir::Dir;
use include_dir::include_dir;
use obscura_query_guard::reason::Reason;

use crate::config::Language;
use crate::http::Service;
use crate::http::context::Request;
use crate::http::problem::Problem;
use crate::http::problem::no_route;

/// The page of each reason.
static REFUSALS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/refusals");

/// Problem types and refusals of policies, a row each.
const PROBLEMS: &str = include_str!("../../docs/problems.md");

/// The page of a reason; of a code, the reasons that have it; of a policy's refusal, what it means.
pub(super) async fn refusal(
    State(service): State<Arc<Service>>,
    request: Request,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let language = request.language;
    let page = page_of(&name, language);
    let page = page.or_else(|| code_page(&name, language)).or_else(|| problem_page(&name, language));
    match page {
        Some(page) => Ok(markdown(page, language)),
        None => Err(no_route(State(service), request).await),
    }
}

/// The page of a problem type.
pub(super) async fn problem(
    State(service): State<Arc<Service>>,
    request: Request,
    Path(code): Path<String>,
) -> Result<Response, Problem> {
    let language = request.language;
    match problem_page(&code, language) {
        Some(page) => Ok(markdown(page, language)),
        None => Err(no_route(State(service), request).await),
    }
}

/// A page as an answer.
fn markdown(page: String, language: Language) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8")),
        (CONTENT_LANGUAGE, HeaderValue::from_static(language.code())),
        (VARY, HeaderValue::from_static("accept-language")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, page).into_response()
}

/// The page of a reason.
fn page_of(slug: &str, language: Language) -> Option<String> {
    let page = REFUSALS.get_file(format!("{slug}.md"))?.contents_utf8()?;
    let (english, chinese) = page.split_once("\n## 中文\n")?;
    Some(match language {
        Language::En => english.to_owned(),
        Language::Zh => in_chinese(english, chinese),
    })
}

/// The Chinese part of a page, and what is the same in both languages: its code, its statements and the rule's place.
fn in_chinese(english: &str, chinese: &str) -> String {
    let mut page = chinese.trim_start().replacen("### ", "# ", 1);
    let mut in_statement = false;
    for line in english.lines() {
        let is_fence = line.starts_with("```");
        let told = match line {
            "Refused:" => "\n不予放行：\n",
            "Admitted:" => "\n可以放行：\n",
            "## Where the rule stands" => "\n## 规则所在\n",
            _ if in_statement
                || is_fence
                || line.starts_with("Code `")
                || line.starts_with("`query-guard/") =>
            {
                line
            }
            _ => continue,
        };
        in_statement ^= is_fence;
        page.push_str(told.strip_prefix("Code ").unwrap_or(told));
        page.push('\n');
    }
    page.replace(", reason ", "，原因 ")
}

/// The reasons that have a code.
fn code_page(code: &str, language: Language) -> Option<String> {
    let reasons: Vec<&Reason> = Reason::ALL.iter().filter(|reason| reason.code().slug() == code).collect();
    let rule = reasons.first()?.code().rule();
    let links: String =
        reasons.iter().map(|reason| format!("- [{0}](/docs/refusals/{0})\n", reason.slug())).collect();
    Some(format!("# `{code}`\n\n{}\n\n{links}", rule.in_language(language.code())))
}

/// The row of a problem type.
fn problem_page(code: &str, language: Language) -> Option<String> {
    let row = PROBLEMS.lines().find_map(|line| line.strip_prefix(&format!("| `{code}` | ")))?;
    let (english, chinese) = row.trim_end_matches(" |").split_once(" | ")?;
    let told = match language {
        Language::En => english,
        Language::Zh => chinese,
    };
    Some(format!("# `{code}`\n\n{told}\n"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_page_in_both_languages() {
        for reason in Reason::ALL {
            let english = page_of(reason.slug(), Language::En).unwrap();
            let chinese = page_of(reason.slug(), Language::Zh).unwrap();
            assert!(english.contains(reason.code().slug()) && chinese.contains(reason.code().slug()));
            assert!(english.starts_with("# ") && chinese.starts_with("# "), "{chinese}");
            assert!(!english.contains("中文") && !chinese.contains("What would be accepted"));
            assert_eq!(english.matches("```").count(), chinese.matches("```").count());
            assert!(chinese.contains("规则所在"), "{chinese}");
        }
        assert_eq!(REFUSALS.files().count(), Reason::ALL.len());
    }

    #[test]
    fn a_code_leads_to_its_reasons() {
        let page = code_page("operation-over-individuals", Language::En).unwrap();
        assert!(page.contains("(/docs/refusals/rows-limited)"), "{page}");
        assert_eq!(code_page("nothing", Language::En), None);
    }
}
