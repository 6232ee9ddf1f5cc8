//! The page over the interface: everything that it needs is served here, and it may load nothing from elsewhere.

use obscura_tests::server::Server;

/// What stands in quotes behind one of these, in a page.
fn named(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        found.extend(page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    found
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
