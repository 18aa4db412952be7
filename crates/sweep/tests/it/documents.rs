//! Secrets in documents of offices and in databases, as programs write them.

use sweep::Rules;

use crate::support::{open_with, sh, within};
use crate::{ids, sweep};

const PASSWORD: &str = "t7Kq-Zw2x";

/// What a script in Python makes as `out`.
fn made(script: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("make.py"), script.replace("SECRET", PASSWORD)).expect("a script");
    sh(folder.path(), "python3 make.py");
    std::fs::read(folder.path().join("out")).expect("what the script made")
}

/// The password is found, once, in this place.
fn finds(file: &[u8], place: &str) {
    let (found, _) = sweep(&Rules::built_in(), file);
    let places: Vec<String> = found.iter().map(|one| one.location.chain.join("/")).collect();
    assert_eq!(found.len(), 1, "{:?} in {places:?}", ids(&found));
    assert_eq!(found[0].secret.reveal(), PASSWORD.as_bytes());
    assert!(places[0].contains(place), "{places:?}");
}

#[test]
fn a_password_in_runs_and_cells_of_a_letter_is_found() {
    for body in [
        "<w:p><w:r><w:t>Pass</w:t></w:r><w:r><w:t xml:space='preserve'>wort: </w:t></w:r><w:r><w:t>SECRET</w:t></w:r></w:p>",
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Kennwort</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>SECRET</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
    ] {
        let script = format!(
            "import zipfile\nz=zipfile.ZipFile('out','w',zipfile.ZIP_DEFLATED)\nz.writestr('word/document.xml',\"<w:document><w:body>{body}</w:body></w:document>\")\nz.close()"
        );
        finds(&made(&script), "word/document.xml");
    }
}

/// Sheets come before the texts that their cells name.
#[test]
fn a_password_in_a_column_of_a_workbook_is_found() {
    let script = r#"
import zipfile
texts = ['Kamera', 'IP', 'Passwort', 'Tor', '10.0.0.2', 'SECRET']
def cell(c, r, n): return f'<c r="{c}{r}" t="s"><v>{n}</v></c>'
rows = '<row r="1">' + cell('A',1,0) + cell('B',1,1) + cell('D',1,2) + '</row><row r="7">' + cell('A',2,3) + cell('B',2,4) + cell('D',2,5) + '</row>'
z = zipfile.ZipFile('out', 'w', zipfile.ZIP_DEFLATED)
z.writestr('xl/worksheets/sheet1.xml', f'<worksheet><sheetData>{rows}</sheetData></worksheet>')
z.writestr('xl/workbook.xml', '<workbook><sheets><sheet name="Kameras" sheetId="1" r:id="rId3"/></sheets></workbook>')
z.writestr('xl/_rels/workbook.xml.rels', '<Relationships><Relationship Id="rId3" Target="worksheets/sheet1.xml"/></Relationships>')
z.writestr('xl/sharedStrings.xml', '<sst>' + ''.join(f'<si><t>{t}</t></si>' for t in texts) + '</sst>')
z.close()
"#;
    let file = made(script);
    finds(&file, "xl/worksheets/sheet1.xml/(Kameras)/(sheet)");
    let (found, _) = sweep(&Rules::built_in(), &file);
    assert_eq!(found[0].location.line, Some(7), "the row");
}

const DATABASE: &str = r#"
import sqlite3
c = sqlite3.connect('out')
c.execute('PRAGMA encoding = "ENCODING"')
c.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)')
c.executemany('INSERT INTO notes (text) VALUES (?)', [('line %d of many' % n,) for n in range(2000)])
c.execute('CREATE TABLE cameras (id INTEGER PRIMARY KEY, url TEXT, "user" TEXT, pass TEXT, note TEXT, UNIQUE(url))')
c.executemany('INSERT INTO cameras (url, user, pass, note) VALUES (?,?,?,?)', ROWS)
c.commit()
"#;

fn database(encoding: &str, rows: &str) -> Vec<u8> {
    made(&DATABASE.replace("ENCODING", encoding).replace("ROWS", rows))
}

#[test]
fn a_password_in_a_row_of_a_database_is_found() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let row = "[('10.0.0.2','admin','SECRET','gate')]";
        finds(&database(encoding, row), "cameras");
    }
    // A record that goes on in pages of its own.
    let long = "[('10.0.0.2','admin','SECRET','x' * 20000), ('10.0.0.3','admin','','y')]";
    finds(&database("UTF-8", long), "cameras");
    let pairs = DATABASE.replace("CREATE TABLE cameras", "CREATE TABLE settings(name, value)')\nc.execute('INSERT INTO settings VALUES (\"smtp_password\",\"SECRET\")')\nc.execute('CREATE TABLE cameras");
    finds(&made(&pairs.replace("ENCODING", "UTF-8").replace("ROWS", "[]")), "settings");
}

/// The database has not taken over what it wrote, which stands in its `-wal` alone.
#[test]
fn rows_of_a_log_that_was_not_taken_over_are_read() {
    let script = |taken: &str| {
        format!(
            "import sqlite3, shutil\nc = sqlite3.connect('a.db')\nc.execute('PRAGMA journal_mode=WAL')\nc.execute('CREATE TABLE cameras (id INTEGER PRIMARY KEY, user TEXT, password TEXT)')\nc.commit()\n{taken}c.execute(\"INSERT INTO cameras VALUES (1,'admin','SECRET')\")\nc.commit()\nshutil.copy('a.db-wal', 'out')\n"
        )
    };
    finds(&made(&script("")), "cameras");
    // The table was made before: its names stand in the database.
    let (_, skipped) =
        sweep(&Rules::built_in(), &made(&script("c.execute('PRAGMA wal_checkpoint(TRUNCATE)')\n")));
    assert!(skipped.iter().any(|told| told.contains("the database of a -wal")), "{skipped:?}");
}

#[test]
fn masked_and_empty_passwords_in_a_database_are_none() {
    let rows =
        "[('10.0.0.2','admin','********','gate'), ('10.0.0.3','admin',None,'x'), ('a','b','password','')]";
    assert_eq!(ids(&sweep(&Rules::built_in(), &database("UTF-8", rows)).0), [""; 0]);
}

/// The attack: each byte of the pages that matter, turned; and pages that name each other.
#[test]
fn a_damaged_database_costs_no_more_than_a_whole_one() {
    use sweep::unpack::{Format, find};
    let data = database("UTF-8", "[('10.0.0.2','admin','SECRET','x' * 9000)]");
    assert!(find(&data).contains(&(0, Format::Sqlite)));
    let limits = sweep::Limits { entries: 20_000, ..sweep::Limits::default() };
    let check = |data: &[u8]| {
        let seen = open_with(Format::Sqlite, data, &limits);
        within(&seen, data, "a database");
        assert!(seen.bytes <= 16 * data.len() as u64 + (1 << 16), "{}", seen.bytes);
    };
    let mut random = fastrand::Rng::with_seed(9);
    for round in 0..60 {
        let mut data = data.clone();
        for _ in 0..1 + round / 8 {
            // Where headers and pointers of pages are.
            let at = random.usize(..data.len() / 4096) * 4096 + random.usize(..128);
            data[at] = random.u8(..);
        }
        check(&data);
        check(&data[..random.usize(..data.len())]);
    }
    // All cells of a leaf are one; a tree that is its own child.
    let mut same = data.clone();
    for page in same.chunks_mut(4096).skip(1).filter(|page| page[0] == 13) {
        let cell = [page[8], page[9]];
        page[3..5].copy_from_slice(&2000_u16.to_be_bytes());
        page[8..4008].chunks_mut(2).for_each(|pointer| pointer.copy_from_slice(&cell));
    }
    check(&same);
    let mut circle = data;
    for page in circle.chunks_mut(4096).skip(1) {
        page[0] = 5;
        page[3..5].copy_from_slice(&1000_u16.to_be_bytes());
        page[8..12].copy_from_slice(&2_u32.to_be_bytes());
    }
    check(&circle);
}
