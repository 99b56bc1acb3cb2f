//! The operational status of an application: a formula over its processes (V-170, V-171), text to tree and tree to truth.

use regex_lite::Regex;

use super::pattern::pattern;

/// Parentheses, calls and `not` within each other.
const DEPTH_MAX: usize = 64;

/// Names, words and signs: a thousand processes with what joins them. Each name is looked for among all processes of its
/// application.
const TOKENS_MAX: usize = 4_000;

/// A formula of names, numbers and operators, read once.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Name(Name),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Any(Box<Node>),
    All(Box<Node>),
    /// Something that is an expression elsewhere and has no meaning here.
    Foreign(String),
}

/// A process by name, or processes by a pattern.
#[derive(Clone, Debug)]
struct Name {
    text: String,
    /// Compiled once, for a formula is looked at whenever somebody asks how an application is; `None` if it is none.
    pattern: Option<Regex>,
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.text == other.text
    }
}

/// A process, and whether it is as it should be.
pub type Fact<'a> = (&'a str, bool);

impl Formula {
    /// Reads a formula. One that uses what is not known here is read, and is an error when it is looked at.
    ///
    /// Errors: it is no expression at all.
    pub fn parse(text: &str) -> Result<Formula, String> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
        let node = parser.or()?;
        match parser.tokens.get(parser.at) {
            None => Ok(Formula(node)),
            // An operator with nothing behind it is no expression anywhere.
            Some(Token::Other(_)) if parser.at + 1 == parser.tokens.len() => Err("it ends too early".to_string()),
            Some(Token::Other(text)) => Ok(Formula(Node::Foreign(text.clone()))),
            Some(_) => Err("an operator is missing".to_string()),
        }
    }

    /// Whether it holds.
    ///
    /// Errors: it names nothing that is there, or uses what is not known here.
    pub fn holds(&self, facts: &[Fact<'_>]) -> Result<bool, String> {
        single(&self.0, facts)
    }
}

/// The truth of what stands for exactly one.
fn single(node: &Node, facts: &[Fact<'_>]) -> Result<bool, String> {
    match several(node, facts)?.as_slice() {
        [one] => Ok(*one),
        many => Err(format!("{} processes are meant where one is expected: any() or all() is missing", many.len())),
    }
}

/// The truth of each process that a name stands for; of anything else its own.
fn several(node: &Node, facts: &[Fact<'_>]) -> Result<Vec<bool>, String> {
    Ok(match node {
        Node::Name(name) => return named(name, facts),
        Node::Not(inner) => vec![!single(inner, facts)?],
        Node::And(parts) => {
            for part in parts {
                if !single(part, facts)? {
                    return Ok(vec![false]);
                }
            }
            vec![true]
        }
        Node::Or(parts) => {
            for part in parts {
                if single(part, facts)? {
                    return Ok(vec![true]);
                }
            }
            vec![false]
        }
        Node::Any(inner) => vec![several(inner, facts)?.contains(&true)],
        Node::All(inner) => vec![!several(inner, facts)?.contains(&false)],
        Node::Foreign(what) => return Err(format!("{what} is not known in a formula")),
    })
}

fn named(name: &Name, facts: &[Fact<'_>]) -> Result<Vec<bool>, String> {
    let Name { text: name, pattern } = name;
    if let Some((_, truth)) = facts.iter().find(|(process, _)| process == name) {
        return Ok(vec![*truth]);
    }
    let regex = pattern.as_ref().ok_or_else(|| format!("'{name}' is no pattern"))?;
    let found: Vec<bool> =
        facts.iter().filter(|(process, _)| regex.is_match(process)).map(|(_, truth)| *truth).collect();
    if found.is_empty() { Err(format!("'{name}' is no process")) } else { Ok(found) }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Any,
    All,
    Text(String),
    /// A word or a sign without a meaning here.
    Other(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if tokens.len() == TOKENS_MAX {
            return Err(format!("it has more than {TOKENS_MAX} names, words and signs"));
        }
        let length = match first {
            '(' | ')' => {
                tokens.push(if first == '(' { Token::Open } else { Token::Close });
                1
            }
            '"' | '\'' => {
                let inside = &rest[1..];
                let end = inside.find(first).ok_or("a quotation mark is missing")?;
                tokens.push(Token::Text(inside[..end].to_string()));
                end + 2
            }
            c if c == '_' || c.is_alphanumeric() => {
                let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                tokens.push(match &rest[..end] {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "not" => Token::Not,
                    "any" => Token::Any,
                    "all" => Token::All,
                    word => Token::Other(word.to_string()),
                });
                end
            }
            sign => {
                tokens.push(Token::Other(sign.to_string()));
                sign.len_utf8()
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn take(&mut self, token: &Token) -> bool {
        let is_it = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(is_it);
        is_it
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.and()?];
        while self.take(&Token::Or) {
            parts.push(self.and()?);
        }
        Ok(joined(parts, Node::Or))
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.not()?];
        while self.take(&Token::And) {
            parts.push(self.not()?);
        }
        Ok(joined(parts, Node::And))
    }

    fn not(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is more than {DEPTH_MAX} levels deep"));
        }
        let node = if self.take(&Token::Not) { Node::Not(Box::new(self.not()?)) } else { self.atom()? };
        self.depth -= 1;
        Ok(node)
    }

    fn atom(&mut self) -> Result<Node, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("it ends too early")?;
        self.at += 1;
        let inside = |parser: &mut Parser| {
            let node = parser.or()?;
            if parser.take(&Token::Close) { Ok(node) } else { Err("a parenthesis is missing".to_string()) }
        };
        match token {
            Token::Text(text) => {
                let pattern = pattern(&format!("^(?:{text})$")).ok();
                Ok(Node::Name(Name { text, pattern }))
            }
            Token::Open => inside(self),
            Token::Any | Token::All => {
                if !self.take(&Token::Open) {
                    return Ok(Node::Foreign("any or all without parentheses".to_string()));
                }
                let node = Box::new(inside(self)?);
                Ok(if token == Token::Any { Node::Any(node) } else { Node::All(node) })
            }
            Token::Other(word) => {
                // A call of something else has its argument, too.
                if self.take(&Token::Open) {
                    inside(self)?;
                }
                Ok(Node::Foreign(word))
            }
            Token::Close | Token::And | Token::Or | Token::Not => Err("an operand is missing".to_string()),
        }
    }
}

fn joined(mut parts: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_and_their_truth() {
        let facts = [("a", true), ("b", false), ("w1", true), ("w2", false)];
        let rows = [
            ("'a'", Some(true)),
            ("\"b\"", Some(false)),
            ("not 'b'", Some(true)),
            ("'a' and 'b'", Some(false)),
            ("'a' or 'b'", Some(true)),
            ("'a' and (not 'b' or any('w.*')) and not all(\"w[12]\")", Some(true)),
            ("any('w.*')", Some(true)),
            ("all('w.*')", Some(false)),
            // One match is one process.
            ("'w[13]'", Some(true)),
            ("'w.*'", None),
            ("'ghost'", None),
            ("'b' and 'ghost'", Some(false)),
            ("'a' and 'ghost'", None),
            ("len('a')", None),
            ("'a' + 'b'", None),
            ("a", None),
            ("'['", None),
        ];
        for (text, expected) in rows {
            let holds = Formula::parse(text).map(|formula| formula.holds(&facts).ok());
            assert_eq!(holds, Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_formula() {
        let deep = "(".repeat(DEPTH_MAX + 1);
        let long = ["'a'"; TOKENS_MAX].join(" or ");
        for text in ["", "and", "'a' and", "('a'", "'a", "'a' 'b'", "not", "any('a'", &deep, &long] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
    }
}
