//! Rows under a heading, and tuples of SQL, that have a column of passwords: each is
//! told as `column password=value`, for the rules to judge.

use std::borrow::Cow;
use std::ops::Range;

use crate::decode::{self, Decoded};

/// Of a heading, in bytes.
const HEADING_MAX: usize = 1024;
/// Of a row.
const ROW_MAX: usize = 4096;
const ROWS_MAX: usize = 10_000;
const CELLS_MAX: usize = 128;
/// Rows one after another that have another number of cells.
const OTHERS_MAX: u32 = 3;
/// What the name of such a column ends with, in lower case, signs left out.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "pw",
    "passwort",
    "kennwort",
    "passphrase",
    "psk",
    "secret",
    "token",
    "apikey",
    "wachtwoord",
    "motdepasse",
    "senha",
    "pin",
    "wifikey",
    "haslo",
    "heslo",
    "sifre",
    "parola",
    "contrasena",
    "clave",
    "lozinka",
    "salasana",
    "passord",
    "losenord",
    "adgangskode",
    "zugangscode",
    "sicherheitscode",
    "verifizierungscode",
    "verificationcode",
    "hasło",
    "contraseña",
    "contrasenya",
    "palavrapasse",
    "parolă",
    "lösenord",
    "lykilorð",
    "slaptažodis",
    "jelszó",
    "schlüssel",
    "geslo",
    "zaporka",
    "şifre",
    "пароль",
    "парола",
    "лозинка",
    "κωδικός",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "暗証番号",
    "비밀번호",
    "암호",
    "كلمةالمرور",
    "סיסמה",
    "รหัสผ่าน",
    "mậtkhẩu",
];
/// What the column of a heading is called that stands beside it: rows of a list of
/// packages have none.
const BESIDE: &[&str] = &[
    "user",
    "username",
    "userid",
    "login",
    "account",
    "name",
    "ip",
    "ipaddress",
    "ipv4address",
    "address",
    "host",
    "hostname",
    "device",
    "devicename",
    "devicetype",
    "camera",
    "mac",
    "port",
    "url",
    "model",
    "location",
    "id",
    "email",
    "server",
    "ssid",
    "benutzer",
    "benutzername",
    "utilisateur",
    "usuario",
    "kamera",
    "cam",
    "site",
    "serial",
    "note",
    "notes",
    "channel",
    "no",
    "role",
    "utente",
    "uzivatel",
    "pouzivatel",
    "uzytkownik",
    "gebruikersnaam",
    "gerät",
    "standort",
    "bezeichnung",
    "raum",
    "ort",
    "nom",
    "appareil",
    "dispositif",
    "caméra",
    "adresse",
    "nombre",
    "dispositivo",
    "cámara",
    "dirección",
    "nome",
    "endereço",
    "naam",
    "gebruiker",
    "nazwa",
    "użytkownik",
    "urządzenie",
    "uživatel",
    "användare",
    "bruker",
    "kullanıcı",
    "kullanıcıadı",
    "cihaz",
    "имя",
    "логин",
    "пользователь",
    "адрес",
    "камера",
    "устройство",
    "用户名",
    "用户",
    "用戶名",
    "帳號",
    "账号",
    "设备",
    "地址",
    "名称",
    "ユーザー名",
    "ユーザー",
    "カメラ",
    "アドレス",
    "사용자",
    "아이디",
    "카메라",
    "주소",
];
/// Before each value.
pub(crate) const COLUMN: &[u8] = b"column password=";
const SEPARATORS: &[u8] = b";\t|,";

/// `at` lies in the name of the column. Returns where the table ends.
pub(crate) fn rows(bytes: &[u8], at: usize, emit: &mut dyn FnMut(Decoded)) -> usize {
    let sign = |byte: &&u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    let at = at + bytes[at..].iter().take(4).take_while(sign).count();
    let from = at.saturating_sub(HEADING_MAX);
    let start = memchr::memrchr(b'\n', &bytes[from..at]).map_or(from, |end| from + end + 1);
    if let Some(end) = tuples(bytes, start, at, emit) {
        return end;
    }
    for &separator in SEPARATORS {
        let (cells, heading) = record(bytes, start, separator, at - start + HEADING_MAX);
        let Some(cell) = cells.iter().find(|cell| cell.contains(&at)) else { continue };
        let beside = || cells.iter().any(|cell| is_beside(&bytes[cell.clone()]));
        if cells.len() >= 2 && cells.len() <= 64 && is_name(&bytes[cell.clone()]) && beside() {
            return below(bytes, heading, separator, &columns(bytes, &cells), cells.len(), emit);
        }
    }
    at
}

/// Which cells of a heading are names of passwords.
fn columns(bytes: &[u8], cells: &[Range<usize>]) -> Vec<usize> {
    (0..cells.len()).filter(|column| is_name(&bytes[cells[*column].clone()])).collect()
}

fn below(
    bytes: &[u8],
    heading: usize,
    separator: u8,
    columns: &[usize],
    count: usize,
    emit: &mut dyn FnMut(Decoded),
) -> usize {
    let (mut end, mut others) = (heading, 0);
    for _ in 0..ROWS_MAX {
        let start = end + 1;
        if start >= bytes.len() {
            break;
        }
        let cells;
        (cells, end) = record(bytes, start, separator, ROW_MAX);
        // A comment, or a comma in a cell without quotes.
        if cells.len() != count {
            others += 1;
            if others > OTHERS_MAX {
                break;
            }
            continue;
        }
        others = 0;
        columns.iter().for_each(|column| tell(bytes, cells[*column].clone(), emit));
    }
    end
}

/// `insert into t (a, password) values ('x', 'y'), (…)`.
fn tuples(bytes: &[u8], start: usize, at: usize, emit: &mut dyn FnMut(Decoded)) -> Option<usize> {
    let open = start + memchr::memrchr(b'(', &bytes[start..at])?;
    let close = at + memchr::memchr(b')', &bytes[at..bytes.len().min(at + HEADING_MAX)])?;
    let heading: Vec<_> = cells(bytes, open + 1..close, b',').collect();
    let columns = columns(bytes, &heading);
    columns.iter().find(|column| heading[**column].contains(&at))?;
    let after = &bytes[close + 1..bytes.len().min(close + 32)];
    let word = after.trim_ascii_start();
    // A dump of PostgreSQL: `COPY cameras (host, password) FROM stdin;`.
    if word.get(..10).is_some_and(|word| word.eq_ignore_ascii_case(b"from stdin")) {
        let heading_end = line_end(bytes, close, HEADING_MAX);
        return Some(below(bytes, heading_end, b'\t', &columns, heading.len(), emit));
    }
    if !word.get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"values")) {
        return None;
    }
    let mut end = close + 1 + (after.len() - word.len()) + 6;
    for _ in 0..ROWS_MAX {
        let rest = &bytes[end..];
        let blank = rest.iter().take(16).take_while(|b| b.is_ascii_whitespace() || **b == b',').count();
        if rest.get(blank) != Some(&b'(') {
            break;
        }
        let first = end + blank + 1;
        let values = values(bytes, first);
        let Some(last) = values.last() else { break };
        end = last.end + 1;
        let told = columns.iter().filter_map(|column| values.get(*column));
        told.for_each(|value| tell(bytes, value.clone(), emit));
    }
    Some(end)
}

/// Of one tuple, up to its end.
fn values(bytes: &[u8], first: usize) -> Vec<Range<usize>> {
    let (mut values, mut start) = (Vec::new(), first);
    let mut quote = None;
    let mut skip = false;
    for (at, &byte) in bytes.iter().enumerate().skip(first).take(ROW_MAX) {
        match (quote, byte) {
            _ if skip => skip = false,
            (Some(_), b'\\') => skip = true,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b',' | b')') => {
                values.push(start..at);
                start = at + 1;
                if byte == b')' {
                    return values;
                }
            }
            (None, _) => {}
        }
    }
    Vec::new()
}

fn tell(bytes: &[u8], cell: Range<usize>, emit: &mut dyn FnMut(Decoded)) {
    let value = plain(&bytes[cell.clone()]);
    if !(4..=256).contains(&value.len()) || value.iter().any(u8::is_ascii_control) {
        return;
    }
    // In quotes, if it holds what would end it: in those that it has not.
    let quote: &[u8] = match value.iter().any(|byte| b"\"'<>".contains(byte)) {
        false => b"",
        true if value.contains(&b'"') => b"'",
        true => b"\"",
    };
    let text = [COLUMN, quote, &value, quote, b"\n"].concat();
    emit(Decoded { encoding: "table", place: cell, bytes: text, steps: Vec::new() });
}

fn line_end(bytes: &[u8], at: usize, most: usize) -> usize {
    let end = bytes.len().min(at + most);
    memchr::memchr(b'\n', &bytes[at..end]).map_or(end, |len| at + len)
}

/// Cells of a row of `most` bytes at most, and where it ends. In quotes, a cell may hold
/// separators, ends of lines and, doubled, quotes (RFC 4180, 2.6 and 2.7).
fn record(bytes: &[u8], start: usize, separator: u8, most: usize) -> (Vec<Range<usize>>, usize) {
    let bytes = &bytes[..bytes.len().min(start + most)];
    let (mut cells, mut from) = (Vec::new(), start);
    // After one that nothing closes, quotes are signs like any others.
    let mut quotes = true;
    loop {
        let closed = if quotes { closed(bytes, from, separator, &mut quotes) } else { None };
        let ends = || memchr::memchr2(separator, b'\n', &bytes[from..]).map_or(bytes.len(), |len| from + len);
        let end = closed.unwrap_or_else(ends);
        cells.push(from..end);
        if bytes.get(end) != Some(&separator) || cells.len() == CELLS_MAX {
            return (cells, line_end(bytes, end, most));
        }
        from = end + 1;
    }
}

/// Where a cell ends that begins with a quote, if it ends with one as well.
fn closed(bytes: &[u8], from: usize, separator: u8, quotes: &mut bool) -> Option<usize> {
    let blanks = |at: usize| {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r') && **byte != separator;
        at + bytes[at..].iter().take_while(blank).count()
    };
    let mut at = blanks(from);
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    loop {
        let Some(len) = memchr::memchr(b'"', &bytes[at + 1..]) else {
            *quotes = false;
            return None;
        };
        at += 1 + len;
        match bytes.get(at + 1) {
            Some(b'"') => at += 1,
            _ => break,
        }
    }
    let end = blanks(at + 1);
    bytes.get(end).is_none_or(|byte| *byte == separator || *byte == b'\n').then_some(end)
}

fn cells(bytes: &[u8], line: Range<usize>, separator: u8) -> impl Iterator<Item = Range<usize>> {
    let mut start = line.start;
    let ends = memchr::memchr_iter(separator, &bytes[line.clone()]);
    let ends: Vec<usize> = ends.map(|at| line.start + at).chain([line.end]).take(CELLS_MAX).collect();
    ends.into_iter().map(move |end| {
        let cell = start..end;
        start = end + 1;
        cell
    })
}

/// What a cell holds, without its quotes; inside, they are doubled.
fn plain(cell: &[u8]) -> Cow<'_, [u8]> {
    let value = trimmed(cell);
    if let Some(bytes) = in_hex(value) {
        return Cow::Owned(bytes);
    }
    let quote = match cell.trim_ascii() {
        [quote @ (b'"' | b'\''), ..] if value.len() < cell.trim_ascii().len() => *quote,
        _ => return Cow::Borrowed(value),
    };
    let mut doubled = false;
    let mut once = |byte: &u8| {
        doubled = *byte == quote && !doubled;
        !doubled
    };
    match memchr::memchr(quote, value) {
        None => Cow::Borrowed(value),
        // The second of two is kept.
        Some(_) => Cow::Owned(value.iter().copied().filter(|byte| once(byte)).collect()),
    }
}

/// Text as `X'…'` of standard SQL or `0x…` of MySQL.
fn in_hex(value: &[u8]) -> Option<Vec<u8>> {
    let digits = match value {
        [b'0', b'x' | b'X', digits @ ..] => digits,
        [b'x' | b'X', b'\'', digits @ .., b'\''] => digits,
        _ => return None,
    };
    decode::hex(digits).filter(|text| decode::is_printable(text))
}

fn trimmed(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    let unquoted = |quote: &[u8]| cell.strip_prefix(quote)?.strip_suffix(quote);
    [b"\"".as_slice(), b"'", b"`"].into_iter().find_map(unquoted).unwrap_or(cell)
}

/// Whether a cell is the name of a column that stands beside one of passwords.
pub(crate) fn is_beside(cell: &[u8]) -> bool {
    let name = letters(cell);
    // `HardwareAddress`.
    let words = cell.split(|byte| *byte == b' ').count();
    let ends = |end: &&str| words <= 2 && name.len() <= 24 && name.ends_with(end);
    BESIDE.contains(&name.as_str()) || ["address", "username"].iter().any(ends)
}

/// Whether a cell is the name of a column of passwords, or of a value beside it.
pub(crate) fn is_name(cell: &[u8]) -> bool {
    /// In bytes: of ASCII, and of other alphabets.
    const NAME_MAX: [usize; 2] = [24, 48];
    let cell = trimmed(cell);
    if cell.len() > NAME_MAX[usize::from(!cell.is_ascii())] {
        return false;
    }
    let name: String = match std::str::from_utf8(cell) {
        Ok(text) => text.chars().filter(|c| !"_- .`".contains(*c)).flat_map(char::to_lowercase).collect(),
        Err(_) => return false,
    };
    // Marks above and below letters are none by themselves.
    let is_letter = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii();
    name.chars().all(is_letter) && NAMES.iter().any(|end| name.ends_with(end))
}

/// Letters and digits of a cell, in lower case.
fn letters(cell: &[u8]) -> String {
    const CELL_MAX: usize = 64;
    let text = String::from_utf8_lossy(&cell[..cell.len().min(CELL_MAX)]);
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, at: &str) -> Vec<String> {
        let mut told = Vec::new();
        let at = text.find(at).expect("the name");
        rows(text.as_bytes(), at, &mut |row| {
            let text = String::from_utf8_lossy(&row.bytes[COLUMN.len()..]).trim_end().to_owned();
            let quote =
                text.chars().next().filter(|first| ['"', '\''].contains(first) && text.ends_with(*first));
            told.push(quote.map_or(text.as_str(), |_| &text[1..text.len() - 1]).to_owned());
        });
        told
    }

    #[test]
    fn each_row_under_a_heading_tells_its_password() {
        let text =
            "Name;IP;Password;Place\nGate;10.0.0.2;alpha1;North\nDock;10.0.0.3;\"beta22\";South\n\nx;y";
        assert_eq!(told(text, "Password"), ["alpha1", "beta22"]);
        let text = "| Cam | Password |\n|---|---|\n| Gate | alpha1 |\n";
        assert_eq!(told(text, "Password"), ["alpha1"]);
        assert_eq!(told("user\tpwd\r\ncam\talpha1\r\n", "pwd"), ["alpha1"]);
        // A comment ends nothing.
        let text = "Name,IP,Password\nGate,10.0.0.2,alpha1\n# old\nYard,10.0.0.4,gamma33\n";
        assert_eq!(told(text, "Password"), ["alpha1", "gamma33"]);
        assert!(told("the password, the user\nand more, of it\n", "password").is_empty());
    }

    #[test]
    fn each_column_of_passwords_is_told() {
        let text = "ip,web password,snmp pin,RTSP password\n10.0.0.2,alpha1,4711,beta22\n";
        assert_eq!(told(text, "RTSP"), ["alpha1", "4711", "beta22"]);
        let text = "INSERT INTO c (pw, id, token) VALUES ('alpha1', 2, X'62657461'), (0x6761, 3, 'x''y1z');";
        assert_eq!(told(text, "pw"), ["alpha1", "beta", "x'y1z"]);
    }

    /// RFC 4180, 2.5 to 2.7.
    #[test]
    fn cells_in_quotes_may_hold_anything() {
        let head = "\"Name\",\"IP, port\",\"Password\"\r\n";
        for (rows, passwords) in [
            ("\"a,b\",\"c\",\"alpha1\"\r\n", vec!["alpha1"]),
            ("Gate,10.0.0.2,alpha1\n\"Dock, north\",\"10.0.0.3, 80\",beta22\n", vec!["alpha1", "beta22"]),
            ("a,b,\"al,pha1\"\nc,d,\"be;ta2\"\n", vec!["al,pha1", "be;ta2"]),
            ("a,b,\"al\"\"pha1\"\n", vec!["al\"pha1"]),
            ("a,b,\"alpha1\"\"\"\n", vec!["alpha1\""]),
            ("a,b,\"\"\"alpha1\"\n", vec!["\"alpha1"]),
            ("a,b,\"it's1a\"\n", vec!["it's1a"]),
            ("\"two\nlines\",b,alpha1\nc,d,beta22\n", vec!["alpha1", "beta22"]),
            ("  \"a,b\" , \"c\" , \"alpha1\" \n", vec!["alpha1"]),
            ("\"\",\"\",\"alpha1\"", vec!["alpha1"]),
            // Quotes that are no quotes.
            ("5\" lens,b,alpha1\nc,d,beta22\n", vec!["alpha1", "beta22"]),
            ("\"a\" b,c,alpha1\n", vec!["alpha1"]),
            ("\"open,b,alpha1\nc,d,beta22\n", vec!["alpha1", "beta22"]),
        ] {
            assert_eq!(told(&format!("{head}{rows}"), "Password"), passwords, "{rows}");
        }
    }

    /// The attack: quotes that nothing closes.
    #[test]
    fn quotes_without_end_cost_no_more_than_others() {
        for row in ["\"", "\"\"\",", "\"a\"\",", "\",\"", "\"\"\"\"", ",\"a"] {
            let text = format!("Name,Password\n{}", row.repeat((4 << 20) / row.len()));
            let before = std::time::Instant::now();
            told(&text, "Password");
            assert!(before.elapsed().as_secs() < 20, "{row}");
        }
    }

    #[test]
    fn each_tuple_tells_its_password() {
        let text = "INSERT INTO c (`a`, `password`, n) VALUES ('x, (y)', 'alpha1', 2),('z','be''ta2',3);";
        assert_eq!(told(text, "password"), ["alpha1", "be'ta2"]);
        assert!(told("insert into c (password) select 1", "password").is_empty());
        assert!(told("insert into c (a, password) values ('x", "password").is_empty());
    }
}
