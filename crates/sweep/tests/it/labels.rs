//! Names of passwords in other languages and alphabets, in small and in capital letters.

use fastrand::Rng;
use sweep::Rules;

use crate::made::made;
use crate::sweep;

/// In small letters.
const NAMES: &[&str] = &[
    "passwort",
    "kennwort",
    "schlüssel",
    "wlan-schlüssel",
    "netzwerkschlüssel",
    "mot de passe",
    "clé de sécurité",
    "contraseña",
    "contrasenya",
    "clave",
    "senha",
    "palavra-passe",
    "parola",
    "parolă",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "passord",
    "lykilorð",
    "salasana",
    "salasõna",
    "parole",
    "slaptažodis",
    "hasło",
    "heslo",
    "jelszó",
    "geslo",
    "lozinka",
    "zaporka",
    "şifre",
    "mật khẩu",
    "пароль",
    "парола",
    "лозинка",
    "ключ",
    "κωδικός",
    "κωδικος",
    "密码",
    "密碼",
    "パスワード",
    "暗証番号",
    "비밀번호",
    "암호",
    "كلمة المرور",
    "סיסמה",
    "รหัสผ่าน",
    "पासवर्ड",
];

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Of Turkish, where the capital of `i` has a dot.
fn dotted(name: &str) -> String {
    name.replace('i', "İ").to_uppercase()
}

#[test]
fn a_name_in_another_alphabet_is_known_in_every_case() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(31);
    let mut wrong = Vec::new();
    for name in NAMES {
        let mut written = vec![(*name).to_owned(), title(name), name.to_uppercase()];
        written.extend((*name == "şifre").then(|| dotted(name)));
        written.extend((*name == "κωδικός").then(|| "ΚΩΔΙΚΌΣ".to_owned()));
        for written in written {
            for form in ["{}: {password}\n", "{}={password}\n", "{} : {password}\r\n", "* {}： {password}\n"]
            {
                let line = made(&form.replace("{}", &written), &mut rng);
                let secret = line.trim_end().rsplit([' ', '=', '：']).next().unwrap_or_default();
                let (found, _) = sweep(&rules, line.as_bytes());
                if !found.iter().any(|one| one.secret.reveal() == secret.as_bytes()) {
                    wrong.push(line);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} missed\n{}", wrong.len(), wrong.concat());
}

/// As old cameras and routers write them, in one byte a letter.
#[test]
fn a_name_in_latin_1_is_known_in_every_case() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(32);
    for name in ["schlüssel", "contraseña", "lösenord", "jelszó"] {
        for written in [name.to_owned(), title(name), name.to_uppercase()] {
            let secret = made("{password}", &mut rng);
            let line = format!("{written}: {secret}\n");
            let bytes: Vec<u8> = line.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect();
            let (found, _) = sweep(&rules, &bytes);
            assert_eq!(found.len(), 1, "{line}");
            assert_eq!(found[0].secret.reveal(), secret.as_bytes(), "{line}");
        }
    }
}

#[test]
fn words_beside_such_a_name_are_no_password() {
    let rules = Rules::built_in();
    for line in [
        "Пароль: неверный\n",
        "ПАРОЛЬ: ********\n",
        "HASŁO: wymagane\n",
        "LÖSENORD: krävs\n",
        "ŞİFRE: gerekli\n",
        "MẬT KHẨU: string\n",
        "ΚΩΔΙΚΌΣ: υποχρεωτικό\n",
        "密码：错误\n",
        "Ключ: значение\n",
    ] {
        assert!(sweep(&rules, line.as_bytes()).0.is_empty(), "{line}");
    }
}
