//! Names of inputs, the same however somebody spells the way there: `a`, `./a`, `b/../a`
//! and the absolute path. Reports show what was typed; baselines and other programs get
//! these.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder in which a sweep runs, and what was named to it.
#[derive(Debug, Clone, Default)]
pub struct Places {
    folder: PathBuf,
    named: Vec<Named>,
}

#[derive(Debug, Clone)]
struct Named {
    typed: PathBuf,
    whole: PathBuf,
}

impl Places {
    /// A link that was named keeps its name; links on the way to it do not.
    pub fn new(folder: &Path, named: &[PathBuf]) -> Places {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let named = named.iter().map(|typed| Named {
            // Names of inputs are text.
            typed: PathBuf::from(typed.to_string_lossy().into_owned()),
            whole: whole(&folder, typed),
        });
        Places { named: named.collect(), folder }
    }

    /// What a baseline keeps of an input: the way from the folder of the sweep, or, of what
    /// lies elsewhere, from what was named (a card is not always mounted at the same place).
    /// Names that are no paths stay as they are.
    pub fn name(&self, input: &str) -> String {
        let Some(whole) = self.whole(input) else { return input.to_owned() };
        let inside = whole.strip_prefix(&self.folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        inside.map_or_else(|| self.below(input), text)
    }

    /// The way from what was named alone; of a file that was named itself, its name.
    fn below(&self, input: &str) -> String {
        match self.named(input) {
            Some((_, rest)) if !rest.as_os_str().is_empty() => text(rest),
            Some((named, _)) => {
                named.whole.file_name().map_or_else(|| input.to_owned(), |name| text(name.as_ref()))
            }
            None => input.to_owned(),
        }
    }

    /// The address of an input for other programs: relative, or of what lies elsewhere
    /// with a scheme.
    pub(crate) fn address(&self, input: &str) -> (&'static str, String) {
        match self.whole(input) {
            Some(whole) if !whole.starts_with(&self.folder) => ("file://", text(&whole)),
            _ => ("", self.name(input)),
        }
    }

    fn whole(&self, input: &str) -> Option<PathBuf> {
        let (named, rest) = self.named(input)?;
        Some(named.whole.join(rest))
    }

    /// What was named that leads to an input, and the way from there.
    fn named<'a>(&'a self, input: &'a str) -> Option<(&'a Named, &'a Path)> {
        let below = |named: &'a Named| Some((named, Path::new(input).strip_prefix(&named.typed).ok()?));
        self.named.iter().filter_map(below).min_by_key(|(_, rest)| rest.as_os_str().len())
    }
}

fn whole(folder: &Path, typed: &Path) -> PathBuf {
    let path = folder.join(typed);
    let whole = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => fs::canonicalize(parent).map(|parent| parent.join(name)),
        _ => fs::canonicalize(&path),
    };
    whole.unwrap_or(path)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_name_however_it_is_spelt() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("here");
        for made in ["here/a/b", "elsewhere/card/etc"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        let whole = here.join("a");
        for typed in [Path::new("a"), Path::new("./a"), Path::new("a/"), Path::new("a/../a/."), &whole] {
            let places = Places::new(&here, &[typed.to_owned()]);
            let input = typed.join("b/cam.conf").to_string_lossy().into_owned();
            assert_eq!(places.name(&input), "a/b/cam.conf", "{input}");
            assert_eq!(places.below(&input), "b/cam.conf", "{input}");
            assert_eq!(places.address(&input), ("", "a/b/cam.conf".to_owned()));
        }
        let all = Places::new(&here, &[PathBuf::from(".")]);
        assert_eq!(all.name("./a/b/cam.conf"), "a/b/cam.conf");
        let file = Places::new(&here, &[PathBuf::from("a/b/../b/cam.conf")]);
        assert_eq!(file.name("a/b/../b/cam.conf"), "a/b/cam.conf");
        assert_eq!(file.below("a/b/../b/cam.conf"), "cam.conf");
        for card in [folder.path().join("elsewhere/card"), PathBuf::from("../elsewhere/card")] {
            let places = Places::new(&here, std::slice::from_ref(&card));
            let input = card.join("etc/passwd").to_string_lossy().into_owned();
            assert_eq!(places.name(&input), "etc/passwd", "wherever it is mounted");
            let (scheme, path) = places.address(&input);
            assert!(scheme == "file://" && path.ends_with("elsewhere/card/etc/passwd"), "{path}");
        }
        // A container, a camera and standard input are no paths.
        for other in ["-", "store.example/container/a", "192.0.2.1: parameters"] {
            assert_eq!(all.name(other), other);
        }
    }

    #[test]
    fn a_link_that_is_named_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("release-17")).unwrap();
        std::os::unix::fs::symlink("release-17", folder.path().join("current")).unwrap();
        let places = Places::new(folder.path(), &[PathBuf::from("./current")]);
        assert_eq!(places.name("./current/x"), "current/x");
    }
}
