//! XML of a rules file as a tree, each element with the line on which it begins.

use xml::common::Position;
use xml::reader::{EventReader, ParserConfig, XmlEvent};

/// Elements within each other. The schema has five levels.
const DEPTH_MAX: usize = 16;

/// Elements of all files: a thousand applications of twenty programs of ten elements. They take some fifty megabytes.
pub(super) const ELEMENTS_MAX: usize = 200_000;

/// An element, with what stands in it.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    /// The line at which it begins, counted from 1.
    pub line: u32,
    pub attributes: Vec<(String, String)>,
    /// The text before its first child, blanks at both ends removed.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Its children of that name.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document of at most `left` elements, and takes those that it has off it. Errors: a line, and what is wrong there.
pub(super) fn read(bytes: &[u8], left: &mut usize) -> Result<Element, (u32, String)> {
    let config = ParserConfig::new().ignore_comments(true).cdata_to_characters(true).trim_whitespace(false);
    let mut reader = EventReader::new_with_config(bytes, config);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.next();
        let line = u32::try_from(reader.position().row + 1).unwrap_or(u32::MAX);
        match event {
            Ok(XmlEvent::StartElement { name, attributes, .. }) => {
                if open.len() == DEPTH_MAX || *left == 0 {
                    return Err((line, "there are too many elements, or too deep ones".to_string()));
                }
                *left -= 1;
                let attributes = attributes.into_iter().map(|one| (one.name.local_name, one.value)).collect();
                open.push(Element { name: name.local_name, line, attributes, ..Element::default() });
            }
            Ok(XmlEvent::Characters(text) | XmlEvent::Whitespace(text)) => {
                if let Some(element) = open.last_mut().filter(|element| element.children.is_empty()) {
                    element.text.push_str(&text);
                }
            }
            Ok(XmlEvent::EndElement { .. }) => {
                let Some(mut element) = open.pop() else { continue };
                element.text = element.text.trim().to_string();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
            Ok(XmlEvent::EndDocument) => return Err((line, "there is no element".to_string())),
            Ok(_) => {}
            Err(error) => return Err((line, error.msg().to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Element, (u32, String)> {
        super::read(bytes, &mut { ELEMENTS_MAX })
    }

    #[test]
    fn lines_and_texts() {
        let root = read(b"<?xml version='1.0'?>\n<root>\n <a x='1'> t <!-- c --></a>\n<b/></root>").unwrap();
        assert_eq!((root.name.as_str(), root.line, root.children.len()), ("root", 2, 2));
        let a = &root.children[0];
        assert_eq!((a.line, a.text.as_str(), a.attribute("x"), a.attribute("y")), (3, "t", Some("1"), None));
        assert_eq!(root.children[1].line, 4);
        assert_eq!(root.all("b").count(), 1);
    }

    #[test]
    fn what_is_no_document() {
        for (text, line) in [("", 1), ("x", 1), ("<root>\n<a></root>", 2), ("<root>", 1)] {
            assert_eq!(read(text.as_bytes()).unwrap_err().0, line, "{text:?}");
        }
        assert!(read("<a>".repeat(DEPTH_MAX + 1).as_bytes()).unwrap_err().1.contains("too deep"));
        let mut left = 4;
        assert_eq!(super::read(b"<a><b/><b/></a>", &mut left).map(|_| ()), Ok(()));
        assert_eq!(left, 1);
        assert_eq!((super::read(b"<a><b/></a>", &mut left).unwrap_err().0, left), (1, 0));
    }
}
