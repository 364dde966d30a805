//! The ways in: a file, or text with stand-ins for what surrounds it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::mistake::{Mistake, Mistakes, Notes};
use super::{Config, prove, raw};
use crate::types::limits::NAMED_FILE_BYTES_MAX;

/// A configuration that can be used, and what is probably not meant so.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Mistake>,
}

/// What a configuration may refer to outside its own text.
pub(super) struct Surroundings<'s> {
    pub(super) environment: &'s dyn Fn(&str) -> Option<String>,
    pub(super) read_file: &'s dyn Fn(&Path) -> std::io::Result<FoundFile>,
    /// Relative paths are relative to the configuration file.
    pub(super) resolve: &'s dyn Fn(&Path) -> PathBuf,
    /// If every user of the machine can read the configuration.
    pub(super) world_readable: bool,
}

/// A file that the configuration names.
pub(super) struct FoundFile {
    pub(super) text: String,
    pub(super) world_readable: bool,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Every mistake in it, or that it can't be read.
    pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
        let name = path.display().to_string();
        let text = read_text(path, &name)?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let world_readable = std::fs::metadata(path).is_ok_and(|metadata| is_world_readable(&metadata));
        from_text(&name, &text, &directory, world_readable, &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], but for looking at the file alone: secrets and certificates need not be there.
    ///
    /// # Errors
    /// Every mistake in it, or that it can't be read.
    pub fn load_alone(path: &Path) -> Result<Loaded, Mistakes> {
        let name = path.display().to_string();
        let text = read_text(path, &name)?;
        let placeholder = |_: &Path| Ok(FoundFile { text: "unknown".to_owned(), world_readable: false });
        parse(
            &name,
            &text,
            &Surroundings {
                environment: &|_| Some("unknown".to_owned()),
                read_file: &placeholder,
                resolve: &Path::to_path_buf,
                world_readable: false,
            },
        )
    }

    /// Reads text. Relative paths in it are relative to the working directory.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_toml(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Mistakes> {
        from_text("configuration", text, Path::new(""), false, environment)
    }
}

fn read_text(path: &Path, name: &str) -> Result<String, Mistakes> {
    std::fs::read_to_string(path).map_err(|error| Mistakes {
        file: name.to_owned(),
        mistakes: vec![Mistake {
            line: 1,
            column: 1,
            what: format!("the configuration can't be read: {error}"),
            remedy: "name it with --config FILE".to_owned(),
        }],
        warnings: Vec::new(),
    })
}

fn from_text(
    name: &str,
    text: &str,
    directory: &Path,
    world_readable: bool,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Mistakes> {
    let resolve = |path: &Path| directory.join(path);
    let read = |path: &Path| read_file(&resolve(path));
    parse(name, text, &Surroundings { environment, read_file: &read, resolve: &resolve, world_readable })
}

pub(super) fn parse(name: &str, text: &str, surroundings: &Surroundings<'_>) -> Result<Loaded, Mistakes> {
    let mut notes = Notes::new(text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    let is_toml = errors.is_empty();
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        notes.mistake(&at, format!("this is not TOML: {}", error.message()), remedy(error.message()));
    }
    let raw = raw::read(tree.get_ref(), &mut notes);
    // A tree with holes would be said to lack what stands in its unreadable lines.
    let config = is_toml.then(|| prove::prove(&raw, surroundings, &mut notes));
    let (mistakes, warnings) = notes.finish();
    match config {
        Some(config) if mistakes.is_empty() => Ok(Loaded { config, warnings }),
        _ => Err(Mistakes { file: name.to_owned(), mistakes, warnings }),
    }
}

fn remedy(message: &str) -> &'static str {
    if message.contains("duplicate") {
        "write each key once"
    } else {
        "write lines as in key = \"value\", under headers as in [server]"
    }
}

fn read_file(path: &Path) -> std::io::Result<FoundFile> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > NAMED_FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it has more than {NAMED_FILE_BYTES_MAX} bytes")));
    }
    let mut text = String::new();
    file.take(NAMED_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(FoundFile { text, world_readable: is_world_readable(&metadata) })
}

fn is_world_readable(metadata: &std::fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o004 != 0
}
