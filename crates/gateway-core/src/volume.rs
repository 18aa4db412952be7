//! What is on the disk for certain. Bytes are appended to many open recordings
//! and flushed together; a recording counts as stored when a flush after its
//! last byte has succeeded, and not before.
//!
//! A recording that could not be written is given up where it stands. Its file
//! stays, and is closed after its last whole chunk ([`crate::recovery`]) when
//! the volume takes bytes again, or by the next start.

use std::collections::BTreeMap;

use model::Timestamp;

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
    /// Closed since the last flush began.
    unflushed: Vec<Stored>,
    /// Closed before the flush that goes on.
    flushing: Vec<Stored>,
    /// Given up, and whoever records it has not heard of it yet.
    doomed: BTreeMap<Number, String>,
    /// What was given up and nobody has looked at yet.
    abandoned: Vec<Abandoned>,
}

/// A file that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// Below the data folder.
    pub path: String,
    /// Where the recording ends that was to be in it, if it was closed: whoever
    /// recorded it took it for whole.
    pub end: Option<Timestamp>,
}

/// These recordings were given up, for the volume's reason.
#[derive(Debug)]
pub struct GivenUp<E> {
    pub recordings: Vec<Number>,
    pub error: E,
}

impl<V: Volume> Writer<V> {
    pub fn new(volume: V) -> Self {
        Writer {
            volume,
            open: BTreeMap::new(),
            unflushed: Vec::new(),
            flushing: Vec::new(),
            doomed: BTreeMap::new(),
            abandoned: Vec::new(),
        }
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
            self.doom(number);
        }
        written
    }

    /// Index, footer and trailer: it is whole once it is flushed.
    pub fn close(&mut self, number: Number, bytes: &[u8], closed: Box<Closed>) -> Result<(), V::Error> {
        let written = self.append(number, bytes);
        if let Some((path, _)) = self.open.remove(&number) {
            self.unflushed.push(Stored { path, closed });
        } else if let Some(path) = self.doomed.remove(&number) {
            self.abandoned.push(Abandoned { path, end: Some(end_of(&closed)) });
        }
        written
    }

    fn doom(&mut self, number: Number) {
        self.doomed.extend(self.open.remove(&number).map(|(path, _)| (number, path)));
    }

    /// Nobody records into it any more.
    pub fn give_up(&mut self, number: Number) {
        self.doom(number);
        self.abandoned.extend(self.doomed.remove(&number).map(|path| Abandoned { path, end: None }));
    }

    /// A stored recording that nobody could be told of.
    pub fn abandon(&mut self, stored: Stored) {
        let end = Some(end_of(&stored.closed));
        self.abandoned.push(Abandoned { path: stored.path, end });
    }

    /// Puts back what was taken and could not be dealt with.
    pub fn abandon_again(&mut self, abandoned: Vec<Abandoned>) {
        self.abandoned.extend(abandoned);
    }

    /// Files that were given up since this was asked last.
    pub fn take_abandoned(&mut self) -> Vec<Abandoned> {
        std::mem::take(&mut self.abandoned)
    }

    /// What is stored from now on.
    pub fn flush(&mut self) -> Result<Vec<Stored>, GivenUp<V::Error>> {
        if !self.begin_flush() {
            return Ok(Vec::new());
        }
        let flushed = self.volume.flush();
        self.end_flush(flushed)
    }

    /// Whether there is anything to flush. Whoever flushes the volume elsewhere,
    /// while this goes on writing, says in [`Writer::end_flush`] how it went,
    /// before the next one begins.
    pub fn begin_flush(&mut self) -> bool {
        self.flushing.append(&mut self.unflushed);
        !self.open.is_empty() || !self.flushing.is_empty()
    }

    /// What was closed before the flush began is stored. After an error nobody
    /// knows what of the bytes since the last flush is there (a second try may
    /// succeed without them), so all that is open is given up and nothing of it
    /// counts as stored.
    pub fn end_flush(&mut self, flushed: Result<(), V::Error>) -> Result<Vec<Stored>, GivenUp<V::Error>> {
        let flushing = std::mem::take(&mut self.flushing);
        let Err(error) = flushed else { return Ok(flushing) };
        let recordings: Vec<Number> = self.open.keys().copied().collect();
        recordings.iter().for_each(|number| self.doom(*number));
        for stored in flushing.into_iter().chain(std::mem::take(&mut self.unflushed)) {
            self.abandon(stored);
        }
        Err(GivenUp { recordings, error })
    }
}

fn end_of(closed: &Closed) -> Timestamp {
    closed.header.started_at.plus_ms(closed.finished.footer.duration_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes everything.
    struct Anything;

    impl Volume for Anything {
        type File = ();
        type Error = &'static str;

        fn create(&mut self, _: &str, _: &[u8]) -> Result<(), Self::Error> {
            Ok(())
        }

        fn append(&mut self, (): &mut (), _: &[u8]) -> Result<(), Self::Error> {
            Ok(())
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    #[test]
    fn what_is_begun_during_a_flush_that_fails_is_given_up_with_the_rest() {
        let mut writer = Writer::new(Anything);
        assert!(!writer.begin_flush(), "nothing is there yet");
        writer.begin(1, "one".into(), b"").unwrap();
        assert!(writer.begin_flush());
        writer.begin(2, "two".into(), b"").unwrap();
        let given_up = writer.end_flush(Err("gone")).unwrap_err();
        assert_eq!(given_up.recordings, [1, 2]);
        writer.give_up(1);
        assert_eq!(writer.take_abandoned(), [Abandoned { path: "one".into(), end: None }]);
        writer.append(2, b"late").unwrap();
        assert!(!writer.begin_flush(), "what is given up is not flushed");
    }
}
