//! The pages behind the links of refusals and of problem documents: files of the program, in the reader's language.
//! A page says what a rule is for, or what a problem comes from; nothing is decided here.

use axum::extract::Path;
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
use crate::http::context::Request;
use crate::http::problem::Problem;
use crate::http::problem::no_route;

/// The page of each reason.
static REFUSALS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/refusals");

/// The page of each problem type, and of each refusal of a policy.
static PROBLEMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/problems");

/// The page of a reason; of a code, the reasons that have it; of a policy's refusal, what it means.
pub(super) async fn refusal(request: Request, Path(name): Path<String>) -> Result<Response, Problem> {
    let language = request.language;
    let page = page_of(&REFUSALS, &name, language);
    let page = page.or_else(|| code_page(&name, language)).or_else(|| page_of(&PROBLEMS, &name, language));
    page.map(|page| markdown(page, language)).ok_or_else(no_route)
}

/// The page of a problem type.
pub(super) async fn problem(request: Request, Path(code): Path<String>) -> Result<Response, Problem> {
    let language = request.language;
    page_of(&PROBLEMS, &code, language).map(|page| markdown(page, language)).ok_or_else(no_route)
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

/// The page of a folder that has this name.
fn page_of(pages: &Dir<'_>, name: &str, language: Language) -> Option<String> {
    let page = pages.get_file(format!("{name}.md"))?.contents_utf8()?;
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
        let is_fence = line.starts_with("```sql") || (in_statement && line == "```");
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    /// A page in both languages, of which each has a title and the same parts in fences.
    fn in_both(pages: &Dir<'_>, name: &str) -> [String; 2] {
        let [english, chinese] =
            [Language::En, Language::Zh].map(|language| page_of(pages, name, language).unwrap());
        assert!(english.starts_with("# ") && chinese.starts_with("# "), "{chinese}");
        assert!(!english.contains("中文"), "{name}");
        assert_eq!(english.matches("```").count(), chinese.matches("```").count(), "{name}");
        [english, chinese]
    }

    #[test]
    fn every_reason_has_its_page_in_both_languages() {
        for reason in Reason::ALL {
            let [english, chinese] = in_both(&REFUSALS, reason.slug());
            assert!(english.contains(reason.code().slug()) && chinese.contains(reason.code().slug()));
            assert!(!chinese.contains("What would be accepted"));
            assert!(chinese.contains("规则所在"), "{chinese}");
        }
        assert_eq!(REFUSALS.files().count(), Reason::ALL.len());
    }

    #[test]
    fn every_problem_has_its_page_in_both_languages() {
        let pages = PROBLEMS.files().filter_map(|page| page.path().file_stem()?.to_str());
        let mut found = 0;
        for code in pages {
            let [english, chinese] = in_both(&PROBLEMS, code);
            assert!(english.contains(&format!(" `{code}`.\n")), "{english}");
            assert!(chinese.contains(&format!(" `{code}`。\n")), "{chinese}");
            assert!(!chinese.contains("## "), "{chinese}");
            found += 1;
        }
        assert!(found > 100, "only {found} pages");
    }

    #[test]
    fn nothing_but_a_page_answers_to_a_name() {
        for name in ["", ".", "..", "../refusals/not-sql", "../problems", "not-sql.md"] {
            assert_eq!(page_of(&PROBLEMS, name, Language::En), None, "{name}");
        }
    }

    #[test]
    fn a_code_leads_to_its_reasons() {
        let page = code_page("operation-over-individuals", Language::En).unwrap();
        assert!(page.contains("(/docs/refusals/rows-limited)"), "{page}");
        assert_eq!(code_page("nothing", Language::En), None);
    }
}
