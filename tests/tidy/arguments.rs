//! The source of each rule of the guard: a function that names a reason for refusals has a doc comment that cites the section of
//! the disclosure model which holds the rule. It reads the citation; readers judge whether the argument beside it holds.

use std::collections::BTreeSet;

use crate::citations::citations;
use crate::citations::headings;
use crate::reasons::Function;
use crate::reasons::lines_with_reasons;
use crate::reasons::product;
use crate::reasons::reasons;
use crate::reasons::times;
use crate::tree;

/// The document whose sections are cited.
const MODEL: &str = "sandbox/docs/disclosure-model.md";

#[test]
fn every_function_that_names_a_reason_cites_the_section_of_its_rule() {
    let sections = headings(&tree::text(MODEL).unwrap());
    assert!(sections.len() > 20, "found only {sections:?}");
    let variants: Vec<String> = reasons().into_iter().map(|(variant, _)| variant).collect();
    let product = product();
    let (mut findings, mut functions) = (Vec::new(), 0);
    for (path, code) in &product {
        let of_rules = of_rules(code, &variants);
        functions += of_rules.len();
        let without = of_rules.iter().filter(|function| !cites(&function.doc, &sections));
        findings.extend(
            without.map(|function| format!("{path}: `{}` cites no section of `{MODEL}`", function.name)),
        );
    }
    tree::report("a rule without its source", &findings);
    assert!(functions > 60, "only {functions} functions name a reason");
}

/// The functions of a text that name one of these reasons, each once.
fn of_rules(code: &str, variants: &[String]) -> Vec<Function> {
    let mut found = Vec::new();
    for (line, function) in lines_with_reasons(code) {
        let is_rule = variants.iter().any(|variant| times(line, variant) > 0);
        if is_rule && !found.contains(&function) {
            found.push(function);
        }
    }
    found
}

/// True if a doc comment cites the model, by sections that it has.
fn cites(doc: &str, sections: &BTreeSet<String>) -> bool {
    let mut of_model =
        doc.lines().flat_map(citations).filter(|citation| MODEL.ends_with(citation.path)).peekable();
    let is_cited =
        |numbers: &[String]| !numbers.is_empty() && numbers.iter().all(|number| sections.contains(number));
    of_model.peek().is_some() && of_model.all(|citation| is_cited(&citation.sections))
}

#[test]
fn a_rule_without_a_source_is_found() {
    let sections = headings("# Model\n## 4. Zones\n### 4.1. Scans\n");
    for held in [
        "Why (`sandbox/docs/disclosure-model.md`, section 4.1).",
        "Why (disclosure-model.md, sections 4 and 4.1).",
    ] {
        assert!(cites(held, &sections), "{held}");
    }
    for missing in [
        "Why.",
        "Why (`sandbox/docs/disclosure-model.md`).",
        "Why (`sandbox/docs/disclosure-model.md`, section 5).",
        "Why (`sandbox/docs/reference.md`, section 4).",
    ] {
        assert!(!cites(missing, &sections), "{missing}");
    }
    let code =
        "/// One.\nfn one() {\n    Reason::Here\n    Reason::Here\n}\nfn two() {\n    Reason::ALL\n}\n";
    let found = of_rules(code, &["Here".to_owned()]);
    assert_eq!(found, [Function { name: "one".to_owned(), doc: " One.\n".to_owned() }]);
}
