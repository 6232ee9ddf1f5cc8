//! The how-to pages, run as a reader would: each page's `sh` and `console` blocks in order, in a fresh folder, with the built
//! `obscura` on the path. It fails when a command ends with another code than the page says, or prints something else.
//! The convention that pages keep is written down in `sandbox/docs/how-to/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "what does not run is printed; an index into JSON yields null where there is nothing"
)]

mod block;
mod reference;
mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::ensure;
use libtest_mimic::Arguments;
use libtest_mimic::Trial;
use obscura_tests::environment;

use crate::block::Action;
use crate::block::Page;
use crate::session::Session;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("blocks-that-do-not-run", || told(blocks_that_do_not_run())),
        Trial::test("pages-are-read-by-the-convention", || told(block::convention_holds())),
        Trial::test("page-of-all-pages", || told(index_names_every_page())),
        Trial::test("reference-of-documents", || told(reference::documents())),
        Trial::test("reference-of-settings", || told(settings_are_told())),
    ];
    match pages() {
        Ok(pages) => trials.extend(pages.into_iter().enumerate().map(|(number, name)| {
            Trial::test(name.trim_end_matches(".md").to_owned(), move || told(follow(&name, number)))
        })),
        Err(error) => trials.push(Trial::test("the-pages-are-there", move || told(Err(error)))),
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn told(outcome: anyhow::Result<()>) -> Result<(), libtest_mimic::Failed> {
    outcome.map_err(|error| format!("{error:#}").into())
}

fn folder() -> PathBuf {
    environment::tests_folder().join("..").join("sandbox").join("docs").join("how-to")
}

/// The names of all pages, in order.
fn pages() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).context("cannot list the how-to pages")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".md").then_some(name));
    }
    names.sort();
    ensure!(names.len() > 10, "there are only {} how-to pages", names.len());
    Ok(names)
}

fn page(name: &str) -> anyhow::Result<Page> {
    let text = fs::read_to_string(folder().join(name)).with_context(|| format!("cannot read {name}"))?;
    Page::parse(name, &text)
}

/// Follows one page, and before it the page where it goes on.
fn follow(name: &str, number: usize) -> anyhow::Result<()> {
    let this = page(name)?;
    ensure!(
        !this.blocks.is_empty(),
        "{name} has no `sh` or `console` block; one that cannot run says so: ```sh no-run: why"
    );
    let mut pages = vec![this];
    while let Some(earlier) = pages.last().and_then(|page| page.goes_on_after.clone()) {
        ensure!(pages.len() < 5, "{name}: pages go on where each other end");
        pages.push(page(&earlier)?);
    }
    let mut session = Session::begin(number)?;
    for page in pages.iter().rev() {
        for block in &page.blocks {
            match &block.action {
                Action::Leave(reason) => println!("{}:{}: not run: {reason}", page.name, block.line),
                Action::Run(steps) => {
                    for step in steps {
                        session.run(&page.name, step)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Prints and counts the blocks that do not run, and compares them with the list that is kept: a new one shows in review.
fn blocks_that_do_not_run() -> anyhow::Result<()> {
    let mut found = String::new();
    for name in pages()? {
        for block in page(&name)?.blocks {
            if let Action::Leave(reason) = block.action {
                found.push_str(&format!("{name}: {reason}\n"));
            }
        }
    }
    println!("{} blocks of the how-to pages do not run:\n{found}", found.lines().count());
    let file = environment::tests_folder().join("how_to").join("not-run.txt");
    if environment::bless() {
        return fs::write(&file, found).context("cannot write not-run.txt");
    }
    let kept = fs::read_to_string(&file).context("cannot read not-run.txt")?;
    ensure!(kept == found, "not-run.txt says:\n{kept}\nthe pages say:\n{found}");
    Ok(())
}

fn settings_are_told() -> anyhow::Result<()> {
    let page = fs::read_to_string(folder().join("run-it-for-real.md"))?;
    reference::settings(&page)
}

/// The page of all pages links to each of them, and to none that is not there.
fn index_names_every_page() -> anyhow::Result<()> {
    let text = fs::read_to_string(folder().join("README.md"))?;
    let linked: BTreeSet<String> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains('/'))
        .collect();
    let pages: BTreeSet<String> = pages()?.into_iter().filter(|name| name != "README.md").collect();
    ensure!(linked == pages, "README.md links to {linked:?}, and there are {pages:?}");
    Ok(())
}
