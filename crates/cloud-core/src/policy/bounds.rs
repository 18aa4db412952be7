//! What is looked at before the engine parses a file: its parser is recursive
//! and would run out of stack on a policy that is nested without end. This
//! only counts; whether the text is a policy, the engine says.

/// Brackets within brackets.
const NESTING_MAX: usize = 24;
/// Of one policy, up to its semicolon.
const POLICY_BYTES_MAX: usize = 8 << 10;
/// Of one policy. Each one nests what follows it.
const IFS_MAX: usize = 16;
const OPERATORS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) error: BoundsError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BoundsError {
    #[error("brackets are nested more than {NESTING_MAX} deep; split the policy")]
    Nesting,
    #[error("a policy has more than {POLICY_BYTES_MAX} bytes; split it")]
    Size,
    #[error("a policy has more than {IFS_MAX} times `if`; split it")]
    Ifs,
    #[error("a policy has more than {OPERATORS_MAX} operators; split it")]
    Operators,
}

#[derive(Default)]
struct Counts {
    depth: usize,
    bytes: usize,
    ifs: usize,
    operators: usize,
}

pub(super) fn check(text: &str) -> Result<(), Fault> {
    let mut counts = Counts::default();
    let mut line = 1;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = token(rest, next);
        let (taken, after) = rest.split_at(length);
        counts.add(next, taken).map_err(|error| Fault { line, error })?;
        line += taken.matches('\n').count();
        rest = after;
    }
    Ok(())
}

/// Bytes of the comment, string, word or single character that comes next.
fn token(rest: &str, next: char) -> usize {
    let until = |end: Option<usize>| end.unwrap_or(rest.len());
    match next {
        '/' if rest.starts_with("//") => until(rest.find('\n')),
        '"' => {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            until(end.map(|(at, _)| at + 1))
        }
        c if is_word(c) => until(rest.find(|c: char| !is_word(c))),
        c => c.len_utf8(),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Counts {
    fn add(&mut self, first: char, token: &str) -> Result<(), BoundsError> {
        if first == ';' {
            *self = Counts::default();
            return Ok(());
        }
        self.bytes += token.len();
        match first {
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '!' | '-' | '+' | '*' | '&' | '|' | '<' | '>' | '=' | '.' => self.operators += 1,
            _ => {}
        }
        match token {
            "if" => self.ifs += 1,
            "in" | "has" | "like" | "is" => self.operators += 1,
            _ => {}
        }
        match self {
            Counts { depth, .. } if *depth > NESTING_MAX => Err(BoundsError::Nesting),
            Counts { bytes, .. } if *bytes > POLICY_BYTES_MAX => Err(BoundsError::Size),
            Counts { ifs, .. } if *ifs > IFS_MAX => Err(BoundsError::Ifs),
            Counts { operators, .. } if *operators > OPERATORS_MAX => Err(BoundsError::Operators),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_or_remarked_counts_nothing() {
        let brackets = "(".repeat(NESTING_MAX + 1);
        assert_eq!(check(&format!("// {brackets}\nx \"\\\"{brackets}\" ;")), Ok(()));
        let fault = Fault { line: 2, error: BoundsError::Nesting };
        assert_eq!(check(&format!("\"a\\\\\"\n{brackets}")), Err(fault));
        assert_eq!(check("\"never closed"), Ok(()));
    }

    #[test]
    fn each_policy_is_counted_by_itself() {
        let one = "a && ".repeat(OPERATORS_MAX / 2);
        assert_eq!(check(&format!("{one};{one};")), Ok(()));
        let fault = |error| Err(Fault { line: 1, error });
        assert_eq!(check(&format!("{one}{one}")), fault(BoundsError::Operators));
        assert_eq!(check(&"if ".repeat(IFS_MAX + 1)), fault(BoundsError::Ifs));
        assert_eq!(check(&"a".repeat(POLICY_BYTES_MAX + 1)), fault(BoundsError::Size));
    }
}
