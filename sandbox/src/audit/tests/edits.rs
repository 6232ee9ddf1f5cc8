//! Any edit of a real log is found: an entry changed, dropped, repeated, moved or taken from another log. If the stored
//! hashes are as they were, the first bad entry is named; if all of them were made to fit, the signed root alone disagrees,
//! and it names no entry. An honest beginning of the log is no edit: only a checkpoint tells it apart.

use obscura_crypto::merkle::leaf_hash;
use obscura_crypto::tiles;
use obscura_crypto::tiles::Content;
use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

use super::*;
use crate::audit::verify::Verification;

/// An edit of the entries by an attacker who has the files.
#[derive(Debug, Clone)]
enum Edit {
    Flip { entry: prop::sample::Index, bit: prop::sample::Index },
    Drop { entry: prop::sample::Index },
    Swap { one: prop::sample::Index, other: prop::sample::Index },
    Repeat { entry: prop::sample::Index },
    Foreign { entry: prop::sample::Index },
    Cut { from: prop::sample::Index },
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let any_place = || any::<prop::sample::Index>();
    let edit = prop_oneof![
        (any_place(), any_place()).prop_map(|(entry, bit)| Edit::Flip { entry, bit }),
        any_place().prop_map(|entry| Edit::Drop { entry }),
        (any_place(), any_place()).prop_map(|(one, other)| Edit::Swap { one, other }),
        any_place().prop_map(|entry| Edit::Repeat { entry }),
        any_place().prop_map(|entry| Edit::Foreign { entry }),
        any_place().prop_map(|from| Edit::Cut { from }),
    ];
    prop::collection::vec(edit, 1..4)
}

fn apply(edit: &Edit, entries: &mut Vec<Vec<u8>>, foreign: &[Vec<u8>]) {
    if entries.is_empty() {
        return;
    }
    let count = entries.len();
    match edit {
        Edit::Flip { entry, bit } => {
            let entry = &mut entries[entry.index(count)];
            let bit = bit.index(entry.len() * 8);
            entry[bit / 8] ^= 1 << (bit % 8);
        }
        Edit::Drop { entry } => drop(entries.remove(entry.index(count))),
        Edit::Swap { one, other } => entries.swap(one.index(count), other.index(count)),
        Edit::Repeat { entry } => {
            let index = entry.index(count);
            entries.insert(index, entries[index].clone());
        }
        Edit::Foreign { entry } => {
            let index = entry.index(count);
            entries[index].clone_from(&foreign[index % foreign.len()]);
        }
        Edit::Cut { from } => entries.truncate(from.index(count)),
    }
}

/// A log of more than one tile, and its entries. Making one takes a while, so all cases copy the same.
fn large() -> &'static (World, Vec<Vec<u8>>) {
    static LARGE: std::sync::OnceLock<(World, Vec<Vec<u8>>)> = std::sync::OnceLock::new();
    LARGE.get_or_init(|| {
        let world = World::with(300);
        let entries = (0..300).map(|index| world.reader().entry(index).unwrap()).collect();
        (world, entries)
    })
}

/// A copy of a log's files that may be spoilt.
struct Copy {
    folder: TempDir,
    reader: LogReader,
}

impl Copy {
    fn of(world: &World) -> Self {
        let folder = TempDir::new().unwrap();
        for (path, bytes) in world.files() {
            let path = folder.path().join(path.strip_prefix(world.folder.path()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let reader = LogReader::new(folder.path(), world.log.verifier().clone());
        Self { folder, reader }
    }

    /// Writes these entries where `size` entries were; surplus entries stand at the end of the last bundle.
    fn write_entries(&self, entries: &[Vec<u8>], size: u64) {
        let width = u64::from(TILE_WIDTH);
        let last = size.div_ceil(width) - 1;
        for number in 0..=last {
            let tile = Tile::at(Content::Entries, number, size).unwrap();
            let first = usize::try_from(number * width).unwrap().min(entries.len());
            let end = if number == last {
                entries.len()
            } else {
                entries.len().min(first + usize::from(TILE_WIDTH))
            };
            let bytes = tiles::encode_entries(&entries[first..end]).unwrap();
            fs::write(self.folder.path().join(tile.path()), bytes).unwrap();
        }
    }

    /// Makes every hash fit the entries, as an attacker with knowledge of the format would.
    fn fit_hashes(&self, entries: &[Vec<u8>]) {
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        for tile in Tile::written_by_growth(0, u64::try_from(entries.len()).unwrap()) {
            if matches!(tile.content(), Content::Hashes(_)) {
                let path = self.folder.path().join(tile.path());
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, tile.hash_bytes(leaves.as_slice()).unwrap()).unwrap();
            }
        }
    }

    fn verify(&self) -> Verification {
        verify(&self.reader, Against::default()).unwrap()
    }
}

fn edited(edits: &[Edit]) -> (Vec<Vec<u8>>, Option<u64>) {
    let (_, original) = large();
    let foreign: Vec<Vec<u8>> =
        (1000..1010).map(|number| event(number).entry(ORIGIN, Some(0)).unwrap()).collect();
    let mut entries = original.clone();
    edits.iter().for_each(|edit| apply(edit, &mut entries, &foreign));
    let most = entries.len().max(original.len());
    let first = (0..most).find(|index| entries.get(*index) != original.get(*index));
    (entries, first.map(|index| u64::try_from(index).unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn first_edited_entry_is_named(edits in edits()) {
        let (entries, first) = edited(&edits);
        let copy = Copy::of(&large().0);
        copy.write_entries(&entries, 300);
        prop_assert_eq!(copy.verify().first_bad_entry(), first);
    }

    #[test]
    fn edit_whose_hashes_were_made_to_fit_does_not_fit_the_signed_root(edits in edits()) {
        let (entries, first) = edited(&edits);
        let copy = Copy::of(&large().0);
        copy.write_entries(&entries, 300);
        copy.fit_hashes(&entries);
        prop_assert_eq!(copy.verify().findings.is_empty(), first.is_none());
    }
}

#[test]
fn nothing_edited_is_nothing_found() {
    let copy = Copy::of(&large().0);
    copy.write_entries(&large().1, 300);
    copy.fit_hashes(&large().1);
    assert_eq!(copy.verify().findings, []);
}

#[test]
fn log_rewritten_under_its_own_key_is_found_with_a_kept_checkpoint_alone() {
    use obscura_crypto::kms::KeyFile;
    use obscura_crypto::kms::KeyManagement as _;
    use obscura_crypto::kms::LocalKeyring;
    use obscura_crypto::kms::Secret;
    let folder = TempDir::new().unwrap();
    let key = Secret::KeyFile(KeyFile::create(&folder.path().join("key")).unwrap());
    let keyring = LocalKeyring::create(&folder.path().join("keyring"), &key).unwrap();
    let log = |name: &str, events: std::ops::Range<usize>| {
        let log = AuditLog::create(&folder.path().join(name), keyring.signer(ORIGIN).unwrap()).unwrap();
        log.append(events.map(event).collect()).unwrap();
        log
    };
    let honest = log("honest", 0..9);
    let kept = honest.checkpoint().unwrap().note.to_string();
    for (name, events, finding) in [
        ("rewritten", 1..20, Finding::Rewritten { kept: 9 }),
        ("shorter", 0..5, Finding::Truncated { kept: 9, size: 5 }),
    ] {
        let forged = log(name, events);
        assert_eq!(verify(forged.reader(), Against::default()).unwrap().findings, [], "{name}");
        assert_eq!(verify(forged.reader(), with(&kept)).unwrap().findings, [finding], "{name}");
    }
}
