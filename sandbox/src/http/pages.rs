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
use obscura_query_guard::reason::Reason;

use crate::config::Language;
use crate::http::Service;
use crate::http::context::Request;
use crate::http::problem::Problem;
use crate::http::problem::no_route;

/// Writes the pages of reasons, each with its slug.
macro_rules! pages {
    ($($slug:literal)+) => {
        &[$(($slug, include_str!(concat!("../../docs/refusals/", $slug, ".md")))),+]
    };
}

/// The page of each reason.
const REFUSALS: &[(&str, &str)] = pages! {
    "aggregate-distinct"
    "aggregate-not-built"
    "aggregate-of-some-values"
    "arguments-not-taken"
    "bins-off-multiples"
    "case-without-value"
    "cast-to-fewer-places"
    "chosen-number-compared"
    "clause-not-allowed"
    "column-ambiguous"
    "column-meets-no-table"
    "column-not-equated"
    "column-not-grouped"
    "column-not-in-scope"
    "computed-result-compared"
    "computed-result-counted"
    "condition-not-listed"
    "condition-not-truth"
    "constant-has-no-value"
    "constant-not-exact"
    "control-not-built"
    "copied-rows-summed"
    "dataset-not-found"
    "defined-too-large"
    "distinct-not-estimated"
    "distinct-of-several-cases"
    "distinct-on-rows"
    "divisor-not-constant"
    "equal-to-mean"
    "expression-against-result"
    "expression-counted"
    "expression-too-large"
    "expressions-compared"
    "fact-missing"
    "form-not-listed"
    "frame-by-value"
    "frame-too-far"
    "function-not-in-policy"
    "function-not-listed"
    "functions-too-deep"
    "grade-without-floor"
    "identifier-read"
    "interval-without-filter"
    "key-not-listed"
    "label-compared"
    "list-not-constant"
    "list-too-long"
    "lists-of-one-value"
    "lists-unnested"
    "literal-not-exact"
    "literal-off-edge"
    "mask-hides-form"
    "mask-without-edges"
    "masked-columns-compared"
    "masked-text-compared"
    "may-meet-several-rows"
    "mean-of-chosen-times"
    "measure-compared-with-other"
    "measure-cut-beside-edge"
    "measure-grouped-bare"
    "measure-weighted"
    "measure-without-bins"
    "missing-would-match"
    "narrowing-cast"
    "nested-too-deeply"
    "no-quantity"
    "no-shared-unit-key"
    "no-such-cast"
    "no-such-negative"
    "no-such-value"
    "not-in-subquery"
    "not-linear"
    "not-one-statement"
    "not-over-own-rows"
    "not-planned"
    "not-sql"
    "nothing-released"
    "number-beside-text"
    "number-too-large"
    "operator-not-listed"
    "ordered-by-choice"
    "outer-column-made"
    "outer-join-using"
    "output-column-twice"
    "output-is-nested"
    "pattern-not-prefix"
    "plan-not-built"
    "plan-step-not-listed"
    "policies-do-not-agree"
    "prefix-not-kept"
    "product-of-three"
    "query-recurs"
    "range-not-declared"
    "redacted-column-read"
    "result-not-own-mean"
    "review-too-costly"
    "row-filter-not-applied"
    "rows-limited"
    "rows-would-leave"
    "several-groupings"
    "shift-default-not-constant"
    "statement-is-no-query"
    "step-not-whole"
    "step-off-edges"
    "subjects-would-be-lost"
    "subqueries-too-deep"
    "subquery-not-one-value"
    "subquery-not-own-mean"
    "subquery-of-one-row"
    "subquery-with-offset"
    "sums-without-dominance"
    "table-chosen-by-individuals"
    "table-numbers-summed"
    "table-would-cut-mask"
    "text-too-long"
    "texts-grow-too-much"
    "time-between-not-told"
    "time-between-summed"
    "too-many-aggregations"
    "too-many-comparisons"
    "too-many-group-keys"
    "too-many-grouping-sets"
    "too-many-joined-rows"
    "too-many-joins"
    "too-many-literals"
    "too-many-operators"
    "too-many-output-columns"
    "too-many-rows-of-one"
    "too-many-steps"
    "too-many-tables"
    "too-many-tables-written-out"
    "too-many-terms"
    "too-many-tokens"
    "two-subjects-compared"
    "two-subjects-equated"
    "union-of-other-columns"
    "union-of-other-subjects"
    "union-with-literal"
    "union-with-table"
    "unit-key-compared"
    "unit-key-meets-other"
    "use-not-granted"
    "value-not-carried"
    "values-counted-once"
    "whole-numbers-divided"
    "window-filtered"
    "window-function-not-listed"
    "window-of-some-values"
    "window-over-others"
};

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
    let (_, page) = REFUSALS.iter().find(|(known, _)| *known == slug)?;
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
        assert_eq!(REFUSALS.len(), Reason::ALL.len());
    }

    #[test]
    fn a_code_leads_to_its_reasons() {
        let page = code_page("operation-over-individuals", Language::En).unwrap();
        assert!(page.contains("(/docs/refusals/rows-limited)"), "{page}");
        assert_eq!(code_page("nothing", Language::En), None);
    }
}
