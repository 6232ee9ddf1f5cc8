//! The page over the interface: everything that it needs is served here, and it may load nothing from elsewhere.

use obscura_tests::environment::tests_folder;
use obscura_tests::server::Server;

/// The quoted values of these attributes in a page.
fn named(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        found.extend(page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    found
}

/// The page behind a link, in both languages.
fn in_both_languages(server: &Server, link: &str) -> [String; 2] {
    ["en", "zh-Hans-CN"].map(|language| {
        let page = server.get(None, link, &[("accept-language", language)]).must_be(200);
        assert_eq!(page.header("content-type"), Some("text/markdown; charset=utf-8"), "{link}");
        assert_eq!(page.header("content-language"), language.get(..2), "{link}");
        let text = page.text();
        assert!(text.starts_with("# "), "{link}: {text}");
        text
    })
}

/// The names of the pages in a folder of the documents.
fn pages(folder: &str) -> Vec<String> {
    let pages = std::fs::read_dir(tests_folder().join("../sandbox/docs").join(folder)).unwrap();
    pages.map(|page| page.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_link_of_a_refusal_or_a_problem_leads_to_a_page_in_both_languages() {
    let server = Server::start();
    let problem = server.ask("ana", "SELECT dept, salary FROM persons").must_be(422).json();
    let finding = &problem["verdict"]["findings"][0];
    assert_eq!(finding["reason"], "rows-would-leave");
    let [english, chinese] = in_both_languages(&server, finding["docs"].as_str().unwrap());
    assert!(english.contains("`query-guard/src/zones.rs`, `row_level`"), "{english}");
    assert!(
        chinese.contains("个体") && chinese.contains("`query-guard/src/zones.rs`, `row_level`"),
        "{chinese}"
    );
    let [refused, _] = in_both_languages(&server, problem["type"].as_str().unwrap());
    assert!(refused.contains("`query-refused`"), "{refused}");
    assert!(refused.contains("\n## What to do\n") && refused.contains("\"status\": 422"), "{refused}");
    // Older verdicts lead by their code, and refusals of policies have pages among the problems.
    for name in ["row-level-output", "no-grant", "dataset-not-sealed"] {
        in_both_languages(&server, &format!("/docs/refusals/{name}"));
    }
    for (folder, pages_min) in [("refusals", 140), ("problems", 160)] {
        let names = pages(folder);
        assert!(names.len() > pages_min, "{folder} has {} pages", names.len());
        for name in names {
            let link = format!("/docs/{folder}/{name}");
            let [english, chinese] = in_both_languages(&server, &link);
            assert!(
                english.contains(&format!("`{name}`")) && chinese.contains(&format!("`{name}`")),
                "{link}"
            );
            assert!(!english.contains("中文") && chinese.contains('。'), "{link}");
        }
    }
    let nothing = server.get(None, "/docs/refusals/..%2fproblems", &[]).must_be(404);
    assert_eq!(nothing.json()["code"], "not-found");
    server.is_clean();
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_runs_nothing_that_stands_in_it() {
    let server = Server::start();
    let page = server.get(None, "/docs/", &[]).must_be(200);
    let files = named(&page.text());
    assert!(files.iter().any(|file| file.ends_with("swagger-initializer.js")), "{files:?}");
    let get = |name: &str| server.get(None, &format!("/docs/{}", name.trim_start_matches("./")), &[]);
    for file in &files {
        assert!(!file.contains("//") && !file.starts_with('/'), "{file}");
        let served = get(file).must_be(200);
        assert!(!served.body.is_empty(), "{file}");
        let policy = served.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("connect-src 'self';"),
            "{policy}"
        );
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(served.header("referrer-policy"), Some("no-referrer"));
        let wanted = match file.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript",
            "css" => "text/css",
            _ => "image/png",
        };
        assert_eq!(served.header("content-type").unwrap().split(';').next().unwrap(), wanted);
    }
    let initializer = get("swagger-initializer.js").must_be(200).text();
    assert!(initializer.contains("\"/openapi.json\"") && initializer.contains("\"validatorUrl\": \"none\""));
    for text in [page.text(), initializer, get("index.css").must_be(200).text()] {
        assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    }
    // No script stands in the page itself: each has a source and nothing in it.
    let page = page.text();
    for script in page.split("<script").skip(1) {
        let (head, rest) = script.split_once('>').unwrap();
        assert!(head.contains("src="), "{head}");
        assert!(rest.split("</script>").next().unwrap().trim().is_empty(), "{rest}");
    }
    for absent in
        ["oauth2-redirect.html", "swagger-ui.js.map", "..%2fopenapi.json", "index.html%00", "problems/x"]
    {
        assert_eq!(get(absent).must_be(404).json()["code"], "not-found");
    }
    server.send("POST", "/docs/", None, &[], Some("{}")).must_be(405);
    server.is_clean();
}
