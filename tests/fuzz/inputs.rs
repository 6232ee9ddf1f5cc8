//! Texts and bytes that a stranger may hand to a parser of ours: the kept ones of `inputs/`, and mutations of them by a seed.
//! No parser may panic. A kept input says by its name what becomes of it: `good-` is read, `bad-` is refused.
//!
//! A mutation that makes a parser panic is kept as a file, once the parser is mended. Runs on stable, as a plain test.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use chrono::DateTime;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use obscura_crypto::cosignature::Witnesses;
use obscura_crypto::note::SignedNote;
use obscura_crypto::tiles::decode_entries;
use obscura_crypto::tlog_proof::TlogProof;
use obscura_policies::parse::parse_documents;
use obscura_query_guard::guard::Guard;
use obscura_query_guard::statement::Statement;
use obscura_sandbox::app::people::token::TokenText;
use obscura_sandbox::audit::event::LoggedEvent;
use obscura_sandbox::config::server::ServerAddress;
use obscura_sandbox::storage::KeysSection;
use obscura_sandbox::storage::Manifest;
use obscura_tests::environment;
use obscura_tests::guarded::policy;
use obscura_tests::guarded::questions::Seeded;

use crate::on_a_large_stack;

/// The seed of all mutations.
const SEED: u64 = 20_261_130;
/// Mutations of each kept input: of SQL, which the guard reviews, and of any other.
const MUTATIONS: (usize, usize) = (60, 400);
/// Most changes of one mutation.
const CHANGES_MAX: usize = 4;
/// Pieces that parsers look for.
const PIECES: [&str; 24] = [
    "\0",
    "\n",
    "\r\n",
    "\u{feff}",
    "\u{2028}",
    "é",
    "界",
    "\"",
    "'",
    "\\",
    "--",
    "/*",
    "(",
    ")",
    "{",
    "]",
    ": ",
    "- ",
    "&a",
    "*a",
    "99999999999999999999",
    "-1",
    "null",
    "\u{2014} ",
];

/// A parser: true where it reads the input.
type Parser = fn(&[u8]) -> bool;

/// The parsers, by the folder of their inputs.
const PARSERS: [(&str, Parser); 10] = [
    ("sql", sql),
    ("documents", |bytes| text(bytes).is_some_and(|text| parse_documents("input.yaml", text).is_ok())),
    ("manifest", manifest),
    ("event", |bytes| LoggedEvent::read(0, bytes).is_ok()),
    ("note", |bytes| text(bytes).is_some_and(|text| text.parse::<SignedNote>().is_ok())),
    ("proof", |bytes| text(bytes).is_some_and(|text| text.parse::<TlogProof>().is_ok())),
    ("witnesses", |bytes| text(bytes).is_some_and(|text| text.parse::<Witnesses>().is_ok())),
    ("entries", |bytes| decode_entries(bytes).is_ok()),
    ("token", |bytes| text(bytes).is_some_and(|text| TokenText::parse(text.trim_end()).is_some())),
    ("server", |bytes| text(bytes).is_some_and(|text| ServerAddress::parse(text.trim_end(), None).is_some())),
];

pub(crate) fn trials() -> Vec<Trial> {
    PARSERS
        .iter()
        .map(|(folder, parser)| {
            Trial::test(format!("inputs-of-{folder}"), move || {
                on_a_large_stack(|| judge(folder, *parser))
                    .map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A text is parsed, and what is a query is reviewed: the planner and the guard read it as well.
fn sql(bytes: &[u8]) -> bool {
    let Some(text) = text(bytes) else { return false };
    let policy = policy::policy();
    drop(Guard::new(&policy, DateTime::UNIX_EPOCH, policy::TODAY).review(text));
    Statement::parse(text).is_ok()
}

/// The signed section of a manifest, and the digests that are made of it; else that of its keys.
fn manifest(bytes: &[u8]) -> bool {
    match serde_json::from_slice::<Manifest>(bytes) {
        Ok(manifest) => manifest.sha256().is_ok() && manifest.content_digest().is_ok(),
        Err(_) => serde_json::from_slice::<KeysSection>(bytes).is_ok(),
    }
}

fn judge(folder: &str, parser: Parser) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let kept = kept(folder)?;
    let is_read = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| parser(bytes))).ok();
    for (name, bytes) in &kept {
        let wanted = match name.split_once('-') {
            Some(("good", _)) => true,
            Some(("bad", _)) => false,
            _ => bail!("{name} is neither `good-` nor `bad-`"),
        };
        let read = is_read(bytes).with_context(|| format!("{name} makes the parser panic"))?;
        ensure!(read == wanted, "{name} is {}", if read { "read" } else { "refused" });
    }
    let mut seeded = Seeded(SEED);
    let each = if folder == "sql" { MUTATIONS.0 } else { MUTATIONS.1 };
    let (mut read, mut asked) = (0, 0);
    for (name, bytes) in &kept {
        for number in 0..each {
            let mutated = mutated(&mut seeded, bytes, &kept);
            let Some(is_read) = is_read(&mutated) else {
                bail!("mutation {number} of {name} makes the parser panic: {}", mutated.escape_ascii());
            };
            read += usize::from(is_read);
            asked += 1;
        }
    }
    eprintln!("{folder}: {} kept inputs, {asked} mutations, {read} of them read", kept.len());
    Ok(())
}

fn kept(folder: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = environment::tests_folder().join("fuzz").join("inputs").join(folder);
    let mut kept = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        kept.push((name, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?));
    }
    kept.sort();
    ensure!(
        ["good-", "bad-"].iter().all(|first| kept.iter().any(|(name, _)| name.starts_with(first))),
        "{} needs an input that is read and one that is refused",
        folder.display()
    );
    Ok(kept)
}

/// The bytes with some of them changed, left out, repeated, or replaced by those of another input.
fn mutated(seeded: &mut Seeded, bytes: &[u8], kept: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut mutated = bytes.to_vec();
    for _ in 0..=seeded.below(CHANGES_MAX) {
        let at = seeded.below(mutated.len() + 1);
        let end = (at + 1 + seeded.below(12)).min(mutated.len());
        match seeded.below(7) {
            0 if at < mutated.len() => mutated[at] ^= 1 << seeded.below(8),
            1 if at < mutated.len() => drop(mutated.drain(at..end)),
            2 => {
                let piece = PIECES[seeded.below(PIECES.len())];
                mutated.splice(at..at, piece.bytes());
            }
            3 => mutated.truncate(at),
            4 if at < mutated.len() => {
                let repeated = mutated[at..end].repeat(1 + seeded.below(40));
                mutated.splice(at..at, repeated);
            }
            5 => {
                let other = &kept[seeded.below(kept.len())].1;
                let from = seeded.below(other.len() + 1);
                mutated.truncate(at);
                mutated.extend_from_slice(&other[from..]);
            }
            _ if at < mutated.len() => mutated[at] = u8::try_from(seeded.below(256)).unwrap_or(0),
            _ => {}
        }
    }
    mutated
}
