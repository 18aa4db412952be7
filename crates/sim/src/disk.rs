//! A disk that loses what was not flushed, fills up, goes away, and lies about
//! a flush after one has failed, as real ones do.

use std::collections::BTreeMap;

use fastrand::Rng;
use gateway_core::volume::Volume;

/// What a power cut leaves of bytes that were not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Torn {
    /// A part of them.
    Part,
    /// As many zeros.
    Zeros,
    /// Bytes of other files.
    Garbage,
    /// Later bytes are there, and earlier ones are not.
    Hole,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) full: bool,
    pub(crate) read_only: bool,
    pub(crate) gone: bool,
    /// Each n-th write fails.
    pub(crate) every: Option<u32>,
    pub(crate) flush: bool,
}

#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    /// So many survive a power cut.
    durable: usize,
    /// Survives one at all.
    named: bool,
    /// A flush failed: the system counts these bytes as written, and they never
    /// will be.
    forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskError(pub(crate) &'static str);

#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    pub(crate) faults: Faults,
    /// Says that it has flushed, and has not.
    pub(crate) lies: bool,
    writes: u32,
}

impl Disk {
    fn may_write(&mut self, some: bool) -> Result<(), DiskError> {
        self.writes = self.writes.wrapping_add(1);
        let nth = self.faults.every.is_some_and(|n| self.writes.is_multiple_of(n));
        match self.faults {
            Faults { gone: true, .. } => Err(DiskError("no such device")),
            Faults { read_only: true, .. } => Err(DiskError("read-only file system")),
            Faults { full: true, .. } if some => Err(DiskError("no space left on device")),
            _ if nth => Err(DiskError("input/output error")),
            _ => Ok(()),
        }
    }

    pub(crate) fn read(&self, path: &str) -> Result<Option<&[u8]>, DiskError> {
        if self.faults.gone {
            return Err(DiskError("no such device"));
        }
        Ok(self.files.get(path).map(|file| file.bytes.as_slice()))
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    pub(crate) fn put_aside(&mut self, path: &str) -> Result<(), DiskError> {
        self.may_write(false)?;
        if let Some(file) = self.files.remove(path) {
            self.files.insert(format!("damaged/{path}"), file);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.may_write(false)?;
        self.files.remove(path);
        Ok(())
    }

    /// Cuts a file and appends to it, or writes all of it anew; on the disk when
    /// this returns.
    pub(crate) fn close(&mut self, path: &str, bytes: Vec<u8>, anew: bool) -> Result<(), DiskError> {
        self.may_write(true)?;
        if self.faults.flush {
            return Err(DiskError("input/output error"));
        }
        let file = self.files.entry(path.to_owned()).or_insert(File {
            bytes: Vec::new(),
            durable: 0,
            named: true,
            forgotten: false,
        });
        let was_forgotten = file.forgotten && !anew;
        let durable = if was_forgotten { file.durable } else { bytes.len() };
        *file = File { bytes, durable, named: true, forgotten: was_forgotten };
        Ok(())
    }

    pub(crate) fn power_cut(&mut self, torn: Torn, rng: &mut Rng) {
        self.files.retain(|_, file| file.named || file.durable > 0 || rng.bool());
        for file in self.files.values_mut() {
            let lost = file.bytes.len() - file.durable;
            let kept = if file.forgotten { 0 } else { rng.usize(..=lost) };
            match torn {
                Torn::Part => file.bytes.truncate(file.durable + kept),
                Torn::Zeros => file.bytes[file.durable..].fill(0),
                Torn::Hole => {
                    let end = file.durable + lost / 2;
                    file.bytes[file.durable..end].fill(0);
                }
                Torn::Garbage => file.bytes[file.durable..].fill_with(|| rng.u8(..)),
            }
            (file.durable, file.named, file.forgotten) = (file.bytes.len(), true, false);
        }
    }

    /// One bit of a file turns over.
    pub(crate) fn rot(&mut self, path: &str, rng: &mut Rng) {
        if let Some(file) = self.files.get_mut(path)
            && !file.bytes.is_empty()
        {
            let at = rng.usize(..file.bytes.len());
            file.bytes[at] ^= 1 << rng.u8(..8);
        }
    }

    /// Somebody deletes a file.
    pub(crate) fn vanish(&mut self, path: &str) {
        self.files.remove(path);
    }
}

impl Volume for Disk {
    type File = String;
    type Error = DiskError;

    fn create(&mut self, path: &str, bytes: &[u8]) -> Result<String, DiskError> {
        self.may_write(true)?;
        assert!(!self.files.contains_key(path), "{path} is there already");
        let file = File { bytes: bytes.to_vec(), durable: 0, named: false, forgotten: false };
        self.files.insert(path.to_owned(), file);
        Ok(path.to_owned())
    }

    fn append(&mut self, path: &mut String, bytes: &[u8]) -> Result<(), DiskError> {
        let may = self.may_write(true);
        let Some(file) = self.files.get_mut(path) else { return Err(DiskError("no such file")) };
        // A write that fails may have written a part.
        let written = if may.is_ok() { bytes.len() } else { bytes.len() / 3 };
        if !self.faults.gone && !self.faults.read_only {
            file.bytes.extend_from_slice(&bytes[..written]);
        }
        may
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if self.faults.gone || self.faults.flush || self.faults.read_only {
            for file in self.files.values_mut().filter(|file| file.durable < file.bytes.len()) {
                file.forgotten = true;
            }
            return Err(DiskError("input/output error"));
        }
        if self.lies {
            return Ok(());
        }
        for file in self.files.values_mut().filter(|file| !file.forgotten) {
            (file.durable, file.named) = (file.bytes.len(), true);
        }
        Ok(())
    }
}
