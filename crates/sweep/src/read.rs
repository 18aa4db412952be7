//! Bytes that can be read anywhere, so that an image of a card is never held in
//! memory.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};

/// Bytes that can be read anywhere: a file, a device, or what was unpacked in memory.
pub trait ReadAt {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Reads from `offset` as much as `buffer` takes or there is; 0 at the end.
    ///
    /// # Errors
    /// If the file or device cannot be read there.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the next bytes lie that are not in a hole, from `offset` on: the end if there
    /// are none. Holes read as zeros.
    fn data_from(&self, offset: u64) -> u64 {
        offset
    }

    /// Whether this is a device, and so a whole disk, card or partition.
    fn is_device(&self) -> bool {
        false
    }

    /// All of it, if it is in memory.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        ReadAt::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn data_from(&self, offset: u64) -> u64 {
        (**self).data_from(offset)
    }

    fn is_device(&self) -> bool {
        (**self).is_device()
    }

    fn in_memory(&self) -> Option<&[u8]> {
        (**self).in_memory()
    }
}

/// A file or a block device.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    bytes: u64,
    is_device: bool,
    /// All of it, if it does not say how long it is.
    held: Option<Vec<u8>>,
}

impl FileSource {
    /// # Errors
    /// If the file has no end that can be sought: a pipe, for instance.
    pub fn new(mut file: File) -> io::Result<Self> {
        // Not the metadata, which say 0 of a device.
        let bytes = file.seek(SeekFrom::End(0))?;
        let is_device = file.metadata()?.file_type().is_block_device();
        Ok(Self { file, bytes, is_device, held: None })
    }

    /// One that says nothing of its length, as in `/proc`: what it gives is kept.
    ///
    /// # Errors
    /// If it cannot be read, or gives more than `max` bytes.
    pub fn held(file: File, max: u64) -> io::Result<Self> {
        let mut held = Vec::new();
        (&file).take(max.saturating_add(1)).read_to_end(&mut held)?;
        let bytes = ReadAt::len(&held);
        if bytes > max {
            return Err(io::Error::other(format!("longer than {max} bytes")));
        }
        Ok(Self { file, bytes, is_device: false, held: Some(held) })
    }

    /// A name for what the file holds now, which changes whenever somebody writes to it.
    /// None of what has no such times: a device.
    pub fn state(&self) -> Option<String> {
        if !self.held.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        let metadata = self.file.metadata().ok().filter(Metadata::is_file)?;
        let (written, changed) =
            ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
        Some(format!("{}:{}:{}:{written:?}:{changed:?}", metadata.dev(), metadata.ino(), metadata.len()))
    }
}

impl ReadAt for FileSource {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(held) = &self.held {
            return held.read_at(offset, buffer);
        }
        loop {
            match self.file.read_at(buffer, offset) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn is_device(&self) -> bool {
        self.is_device
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.held.as_deref()
    }

    fn data_from(&self, offset: u64) -> u64 {
        if self.held.is_some() {
            return offset;
        }
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => data.max(offset),
            Err(rustix::io::Errno::NXIO) => self.bytes.max(offset),
            // Devices, and file systems that do not say.
            Err(_) => offset,
        }
    }
}
