//! The log as files: C2SP tlog-tiles paths, hash tiles and entry bundles.
//!
//! It names and encodes; reading and writing the files is the caller's. Bytes from storage are untrusted until the root
//! computed from them equals a verified checkpoint's.

use std::fmt;
use std::str::FromStr;

use crate::merkle::{NodeSource, root};
use crate::sha256::{HASH_BYTES, Hash};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Longest entry, in bytes: its length stands in 16 bits.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Tree levels that one tile level spans.
const TILE_HEIGHT: u8 = 8;
/// Highest tile level a 64-bit tree can have.
const LEVEL_MAX: u8 = 7;

/// Says what a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Hashes at a tile level; level 0 holds leaf hashes.
    Hashes(u8),
    /// Log entries.
    Entries,
}

/// Names one tile or bundle; its text form is its path, `tile/0/x001/067.p/12` or `tile/entries/000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    content: Content,
    index: u64,
    width: u16,
}

impl Tile {
    /// Names a tile; nothing when the level is above 7 or the width is not 1 to 256.
    #[must_use]
    pub fn new(content: Content, index: u64, width: u16) -> Option<Self> {
        let level_fits = match content {
            Content::Hashes(level) => level <= LEVEL_MAX,
            Content::Entries => true,
        };
        (level_fits && (1..=TILE_WIDTH).contains(&width)).then_some(Self { content, index, width })
    }

    /// Gives the tile at a position of the tree with `size` leaves, as wide as it is there; nothing when it is empty.
    #[must_use]
    pub fn at(content: Content, index: u64, size: u64) -> Option<Self> {
        let level = match content {
            Content::Hashes(level) => level,
            Content::Entries => 0,
        };
        let count = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))?;
        let start = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = count.checked_sub(start)?.min(u64::from(TILE_WIDTH));
        Self::new(content, index, u16::try_from(width).ok()?)
    }

    /// Lists what has to be written when a tree grows: every tile and bundle that is new or wider than before.
    ///
    /// Bundles come first and higher levels last, so that writing in this order never stores a hash before its entry.
    #[must_use]
    pub fn written_by_growth(old_size: u64, new_size: u64) -> Vec<Self> {
        let contents = std::iter::once(Content::Entries).chain((0..=LEVEL_MAX).map(Content::Hashes));
        let mut tiles = Vec::new();
        for content in contents {
            let shift = match content {
                Content::Hashes(level) => u32::from(level) * u32::from(TILE_HEIGHT),
                Content::Entries => 0,
            };
            let (old_count, new_count) = (old_size >> shift, new_size >> shift);
            if new_count > old_count {
                let width = u64::from(TILE_WIDTH);
                let range = old_count / width..new_count.div_ceil(width);
                tiles.extend(range.filter_map(|index| Self::at(content, index, new_size)));
            }
        }
        tiles
    }

    /// Says what it holds.
    #[must_use]
    pub fn content(&self) -> Content {
        self.content
    }

    /// Gives its position within the level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Counts its hashes or entries; fewer than 256 make it partial.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Gives the path under the log's folder.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Gives the bytes of a hash tile; nothing when it is a bundle or the source lacks a node.
    #[must_use]
    pub fn hash_bytes<S: NodeSource + ?Sized>(&self, source: &S) -> Option<Vec<u8>> {
        let Content::Hashes(level) = self.content else {
            return None;
        };
        let first = self.index.checked_mul(u64::from(TILE_WIDTH))?;
        let mut bytes = Vec::with_capacity(usize::from(self.width) * HASH_BYTES);
        for offset in 0..u64::from(self.width) {
            let node = source.node(level * TILE_HEIGHT, first.checked_add(offset)?)?;
            bytes.extend_from_slice(node.as_bytes());
        }
        Some(bytes)
    }

    /// Reads the hashes of a hash tile from exactly as many bytes as its width wants.
    #[must_use]
    pub fn hashes(&self, bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        let is_whole = rest.is_empty() && hashes.len() == usize::from(self.width);
        (is_whole && self.content != Content::Entries)
            .then(|| hashes.iter().copied().map(Hash::from_bytes).collect())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Hashes(level) => write!(formatter, "tile/{level}/")?,
            Content::Entries => formatter.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 {
                write!(formatter, "x{group:03}/")?;
            } else {
                write!(formatter, "{group:03}")?;
            }
        }
        if self.width < TILE_WIDTH {
            write!(formatter, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        parse_path(path).filter(|tile| tile.to_string() == path).ok_or(TileError::Path)
    }
}

/// Reads a path generously; the caller accepts only what prints the same.
fn parse_path(path: &str) -> Option<Tile> {
    let (content, position) = path.strip_prefix("tile/")?.split_once('/')?;
    let content =
        if content == "entries" { Content::Entries } else { Content::Hashes(content.parse().ok()?) };
    let (position, width) = match position.split_once(".p/") {
        Some((position, width)) => (position, width.parse().ok()?),
        None => (position, TILE_WIDTH),
    };
    let index = position.split('/').try_fold(0_u64, |index, group| {
        let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index.checked_mul(1000)?.checked_add(group)
    })?;
    Tile::new(content, index, width)
}

/// Gives the nodes of a stored tree of a known size by reading its tiles through `read`.
///
/// `read` gives the bytes of exactly the tile it is asked for; a file that is wider by now is cut by the caller.
pub struct StoredTree<R> {
    size: u64,
    read: R,
}

impl<R> fmt::Debug for StoredTree<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoredTree({} entries)", self.size)
    }
}

impl<R: Fn(&Tile) -> Option<Vec<u8>>> StoredTree<R> {
    /// Looks at the stored tree as it was with `size` leaves.
    pub fn new(size: u64, read: R) -> Self {
        Self { size, read }
    }
}

impl<R: Fn(&Tile) -> Option<Vec<u8>>> NodeSource for StoredTree<R> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let within = level % TILE_HEIGHT;
        let first = index.checked_mul(1 << within)?;
        let tile_index = first / u64::from(TILE_WIDTH);
        let tile = Tile::at(Content::Hashes(level / TILE_HEIGHT), tile_index, self.size)?;
        let hashes = tile.hashes(&(self.read)(&tile)?)?;
        let start = usize::try_from(first % u64::from(TILE_WIDTH)).ok()?;
        hashes.get(start..start.checked_add(1 << within)?).map(root)
    }
}

/// Encodes entries into a bundle: each with its length in 16 bits in front.
///
/// # Errors
///
/// Fails when an entry is longer than [`ENTRY_BYTES_MAX`].
pub fn encode_entries<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_cause| TileError::EntryLength)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Decodes a bundle into its entries.
///
/// # Errors
///
/// Fails when the bundle ends within an entry.
pub fn decode_entries(bundle: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk().ok_or(TileError::Bundle)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, tail) = tail.split_at_checked(length).ok_or(TileError::Bundle)?;
        entries.push(entry);
        rest = tail;
    }
    Ok(entries)
}

/// Says why a tile cannot be named, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The path is not one this log would write.
    #[error("the path does not name a tile")]
    Path,
    /// The entry does not fit.
    #[error("a log entry may have at most {ENTRY_BYTES_MAX} bytes")]
    EntryLength,
    /// The bundle is cut or damaged.
    #[error("the entry bundle ends within an entry")]
    Bundle,
}

#[cfg(test)]
mod tests;
