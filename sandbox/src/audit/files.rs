//! The log's files: whole or not at all, and on disk when the call returns.
//! It knows paths and bytes, not what they mean.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;

use obscura_crypto::tiles::TILE_WIDTH;
use obscura_crypto::tiles::Tile;

/// Name of the file with the signed size and root.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// Name of the file with the newest checkpoint that witnesses cosigned.
pub(super) const COSIGNED: &str = "checkpoint.cosigned";
/// Held while appending, across processes.
pub(super) const LOCK: &str = ".lock";

/// Writes a file so that after a crash the old one or the new one is there, never a part of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = folder.join(name);
    let mut file = File::create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    sync_folder(folder)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes the names of all folders from `folder` up to `root` durable, for folders that were just made.
pub(super) fn sync_folders_up_to(root: &Path, folder: &Path) -> io::Result<()> {
    let mut folder = folder;
    while folder.starts_with(root) {
        sync_folder(folder)?;
        match folder.parent() {
            Some(parent) if folder != root => folder = parent,
            _ => break,
        }
    }
    Ok(())
}

/// Removes narrower, superseded files of a tile. The checkpoint that covers the new one must be durable.
pub(super) fn remove_superseded(root: &Path, tile: &Tile) -> io::Result<()> {
    let Some(full) = Tile::new(tile.content(), tile.index(), TILE_WIDTH) else {
        return Ok(());
    };
    let partials = root.join(format!("{}.p", full.path()));
    if tile.width() == TILE_WIDTH {
        return if partials.exists() { fs::remove_dir_all(partials) } else { Ok(()) };
    }
    let kept = tile.width().to_string();
    for entry in fs::read_dir(&partials)? {
        let entry = entry?;
        if entry.file_name() != kept.as_str() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
