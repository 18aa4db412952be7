//! What is on the disk for certain. Bytes are appended to many open recordings
//! and flushed together; a recording counts as stored when a flush after its
//! last byte has succeeded, and not before.
//!
//! A recording that could not be written is given up where it stands. Its file
//! stays, and is closed after its last whole chunk ([`crate::recovery`]) when
//! the volume takes bytes again, or by the next start.

use std::collections::BTreeMap;

use crate::recorder::Closed;

/// A volume that keeps files. The gateway has a disk; the simulation has one
/// that loses what was not flushed.
pub trait Volume {
    type File;
    type Error;

    /// Makes a file that must not exist yet, and its folders, and writes its
    /// beginning. After an error there is no such file.
    fn create(&mut self, path: &str, bytes: &[u8]) -> Result<Self::File, Self::Error>;

    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> Result<(), Self::Error>;

    /// When this returns well, all that was written before survives a power cut.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// Which recording, among those that are open.
pub type Number = u64;

/// A recording that is whole and flushed.
#[derive(Debug)]
pub struct Stored {
    /// Below the data folder.
    pub path: String,
    pub closed: Box<Closed>,
}

/// Appends to the recordings that are open.
#[derive(Debug)]
pub struct Writer<V: Volume> {
    volume: V,
    open: BTreeMap<Number, (String, V::File)>,
    /// Closed since the last flush.
    unflushed: Vec<Stored>,
    /// Paths of what was given up and nobody has looked at yet.
    abandoned: Vec<String>,
}

/// These recordings were given up, for the volume's reason.
#[derive(Debug)]
pub struct GivenUp<E> {
    pub recordings: Vec<Number>,
    pub error: E,
}

impl<V: Volume> Writer<V> {
    pub fn new(volume: V) -> Self {
        Writer { volume, open: BTreeMap::new(), unflushed: Vec::new(), abandoned: Vec::new() }
    }

    pub fn volume(&mut self) -> &mut V {
        &mut self.volume
    }

    pub fn begin(&mut self, number: Number, path: String, bytes: &[u8]) -> Result<(), V::Error> {
        let file = self.volume.create(&path, bytes)?;
        self.open.insert(number, (path, file));
        Ok(())
    }

    /// After an error the recording is given up. What is not open is passed over.
    pub fn append(&mut self, number: Number, bytes: &[u8]) -> Result<(), V::Error> {
        let Some((_, file)) = self.open.get_mut(&number) else { return Ok(()) };
        let written = self.volume.append(file, bytes);
        if written.is_err() {
            self.give_up(number);
        }
        written
    }

    /// Index, footer and trailer: it is whole once it is flushed.
    pub fn close(&mut self, number: Number, bytes: &[u8], closed: Box<Closed>) -> Result<(), V::Error> {
        self.append(number, bytes)?;
        if let Some((path, _)) = self.open.remove(&number) {
            self.unflushed.push(Stored { path, closed });
        }
        Ok(())
    }

    pub fn give_up(&mut self, number: Number) {
        self.abandoned.extend(self.open.remove(&number).map(|(path, _)| path));
    }

    /// Files that were given up since this was asked last.
    pub fn take_abandoned(&mut self) -> Vec<String> {
        std::mem::take(&mut self.abandoned)
    }

    /// What is stored from now on. After an error nobody knows what of the bytes
    /// since the last flush is there (a second try may succeed without them), so
    /// all that is open is given up and nothing of it counts as stored.
    pub fn flush(&mut self) -> Result<Vec<Stored>, GivenUp<V::Error>> {
        if self.open.is_empty() && self.unflushed.is_empty() {
            return Ok(Vec::new());
        }
        match self.volume.flush() {
            Ok(()) => Ok(std::mem::take(&mut self.unflushed)),
            Err(error) => {
                let open = std::mem::take(&mut self.open);
                let recordings = open.keys().copied().collect();
                let closed = self.unflushed.drain(..).map(|stored| stored.path);
                self.abandoned.extend(open.into_values().map(|(path, _)| path).chain(closed));
                Err(GivenUp { recordings, error })
            }
        }
    }
}
