//! How programs and libraries were built: what the linker wrote into ELF files
//! (System V ABI, gABI 4.1 and the GNU extensions).

use memchr::memmem;
use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};

use super::files::File;
use super::found::{Found, push};
use super::report::{Binary, BinaryKind, Hardening, Relro};
use super::text;
use crate::finding::Severity;

/// Entries of a dynamic section that are read; real ones have some forty.
const DYNAMIC_MAX: usize = 4096;
/// Of a path of libraries, in bytes.
const PATH_MAX: usize = 4096;

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    // Byte 4 is the width (EI_CLASS).
    let binary = match file.bytes {
        [0x7f, b'E', b'L', b'F', elf::ELFCLASS32, ..] => binary::<elf::FileHeader32<Endianness>>(file),
        [0x7f, b'E', b'L', b'F', elf::ELFCLASS64, ..] => binary::<elf::FileHeader64<Endianness>>(file),
        _ => return,
    };
    // What is damaged is told by its container; a program of no known kind is nothing to mend.
    let Some(binary) = binary else { return };
    if let Some(path) = binary.run_path.as_deref().filter(|path| is_writable(path)) {
        let title = format!("It loads libraries from {}", text::short(path, 80));
        let remedy = "Whoever writes there runs code in it. Ask the vendor to build it without this path.";
        found.issue("binary-run-path", Severity::Medium, file.place, (title, remedy));
    }
    push(&mut found.report.binaries, binary);
}

/// Relative, or where everybody may write.
fn is_writable(path: &str) -> bool {
    path.split(':').any(|path| {
        let is_fixed = path.starts_with('/') || path.starts_with("$ORIGIN") || path.starts_with("${ORIGIN}");
        !is_fixed
            || ["/tmp", "/var/tmp", "/mnt", "/media", "/home"].iter().any(|folder| path.starts_with(folder))
    })
}

fn binary<Elf: FileHeader<Endian = Endianness>>(file: &File<'_>) -> Option<Binary> {
    let data = file.bytes;
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    let linked = Linked::read::<Elf>(segments, endian, data);
    let kind = match header.e_type(endian) {
        elf::ET_REL => BinaryKind::Object,
        elf::ET_EXEC => BinaryKind::Program,
        elf::ET_DYN if has(elf::PT_INTERP) || linked.is_pie => BinaryKind::Program,
        elf::ET_DYN => BinaryKind::Library,
        _ => return None,
    };
    let stack = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_GNU_STACK);
    let is_both = |flags: u32| flags & (elf::PF_W | elf::PF_X) == elf::PF_W | elf::PF_X;
    let mut loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let relro = match (has(elf::PT_GNU_RELRO), linked.is_bound_at_once) {
        (false, _) => Relro::None,
        (true, false) => Relro::Partial,
        (true, true) => Relro::Full,
    };
    let is_stripped = header
        .section_headers(endian, data)
        .map_or(true, |sections| !sections.iter().any(|section| section.sh_type(endian) == elf::SHT_SYMTAB));
    let hardening = Hardening {
        pie: header.e_type(endian) == elf::ET_DYN,
        relro,
        canary: memmem::find(data, b"__stack_chk_").is_some(),
        // Without the note, the kernel makes the stack executable.
        nx: stack.is_some_and(|stack| stack.p_flags(endian) & elf::PF_X == 0)
            && !loaded.any(|segment| is_both(segment.p_flags(endian))),
        fortify: memmem::find(data, b"_chk\0").is_some(),
        stripped: is_stripped,
    };
    let machine =
        format!("{} {}", machine(header.e_machine(endian)), if header.is_type_64() { 64 } else { 32 });
    Some(Binary { place: file.place.to_owned(), machine, kind, hardening, run_path: linked.run_path })
}

fn machine(machine: u16) -> &'static str {
    match machine {
        elf::EM_ARM => "arm",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_MIPS | elf::EM_MIPS_RS3_LE => "mips",
        elf::EM_386 => "x86",
        elf::EM_X86_64 => "x86-64",
        elf::EM_PPC => "powerpc",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_RISCV => "riscv",
        elf::EM_XTENSA => "xtensa",
        elf::EM_SH => "sh",
        elf::EM_CRIS => "cris",
        elf::EM_ARC_COMPACT | elf::EM_ARC_COMPACT2 => "arc",
        elf::EM_CSKY => "c-sky",
        _ => "other",
    }
}

/// What the dynamic section says.
#[derive(Default)]
struct Linked {
    is_pie: bool,
    /// All functions are looked up at the start, so that the table can be read-only.
    is_bound_at_once: bool,
    run_path: Option<String>,
}

impl Linked {
    fn read<Elf: FileHeader<Endian = Endianness>>(
        segments: &[Elf::ProgramHeader],
        endian: Endianness,
        data: &[u8],
    ) -> Linked {
        let mut linked = Linked::default();
        let entries = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok().flatten());
        let (mut names, mut path) = (None, None);
        for entry in entries.unwrap_or_default().iter().take(DYNAMIC_MAX) {
            let value: u64 = entry.d_val(endian).into();
            match entry.d_tag(endian).into() {
                elf::DT_NULL => break,
                elf::DT_BIND_NOW => linked.is_bound_at_once = true,
                elf::DT_FLAGS => linked.is_bound_at_once |= value & u64::from(elf::DF_BIND_NOW) != 0,
                elf::DT_FLAGS_1 => {
                    linked.is_bound_at_once |= value & u64::from(elf::DF_1_NOW) != 0;
                    linked.is_pie |= value & u64::from(elf::DF_1_PIE) != 0;
                }
                elf::DT_STRTAB => names = Some(value),
                elf::DT_RPATH | elf::DT_RUNPATH => path = Some(value),
                _ => {}
            }
        }
        let at = names.zip(path).and_then(|(names, path)| names.checked_add(path));
        linked.run_path = at.and_then(|at| {
            let text = segments.iter().find_map(|segment| at_address::<Elf>(segment, endian, data, at))?;
            let text = text.get(..memchr::memchr(0, text)?)?;
            (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
        });
        linked
    }
}

/// Bytes from an address in memory on, of the segment in which it lies.
fn at_address<'a, Elf: FileHeader<Endian = Endianness>>(
    segment: &Elf::ProgramHeader,
    endian: Endianness,
    data: &'a [u8],
    address: u64,
) -> Option<&'a [u8]> {
    if segment.p_type(endian) != elf::PT_LOAD {
        return None;
    }
    let start: u64 = segment.p_vaddr(endian).into();
    let bytes = segment.data(endian, data).ok()?;
    let rest = bytes.get(usize::try_from(address.checked_sub(start)?).ok()?..)?;
    Some(&rest[..rest.len().min(PATH_MAX)])
}

/// One issue for each defence that programs lack: each program by itself would bury the
/// rest.
pub(super) fn judge(found: &mut Found) {
    type Lacks = fn(&Hardening) -> bool;
    const DEFENCES: [(&str, &str, Lacks); 4] = [
        ("binary-no-pie", "are always loaded at the same address (no PIE)", |of| !of.pie),
        ("binary-no-nx", "have memory that is both written and executed (no NX)", |of| !of.nx),
        ("binary-no-canary", "have no guard on the stack", |of| !of.canary),
        ("binary-no-relro", "leave their tables of functions writable (no RELRO)", |of| {
            of.relro == Relro::None
        }),
    ];
    let remedy = "Holes in them are easier to use. Ask the vendor to build with the compiler's defences; the list of \
                  programs says which.";
    let programs: Vec<Binary> =
        found.report.binaries.iter().filter(|binary| binary.kind == BinaryKind::Program).cloned().collect();
    for (id, what, lacks) in DEFENCES {
        let count = programs.iter().filter(|binary| lacks(&binary.hardening)).count();
        if count > 0 {
            let title = format!("{count} of {} programs {what}", programs.len());
            found.issue(id, Severity::Low, "", (title, remedy));
        }
    }
}
