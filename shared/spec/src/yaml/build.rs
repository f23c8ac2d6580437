//! Events of the YAML parser to trees, within a budget.
//!
//! The text is not trusted: bytes, depth, nodes, the length of a scalar and what aliases blow up to are bounded, and
//! what is over a bound is refused with its position.

use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};

use super::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, Sink};
use crate::render::short;
use crate::source::{Place, SourceFile};

/// Bytes of one file. The largest definition we have seen is 40 KB.
const MAX_BYTES: usize = 1 << 20;
/// Nodes of one file, aliases counted as often as they are used.
const MAX_NODES: usize = 50_000;
/// Keys of one mapping; each is compared with all before it.
const MAX_KEYS: usize = 2_000;
/// Mappings and lists in one another; a definition needs 12, a Kubernetes manifest 20.
const MAX_DEPTH: usize = 64;
/// Bytes of one scalar; a ConfigMap may hold a file.
const MAX_SCALAR: usize = 256 << 10;

/// The documents of a file; empty ones are left out. Nothing: the file could not be read to its end.
pub(crate) fn documents(file: &SourceFile, sink: &mut Sink) -> Option<Vec<Arc<Node>>> {
    match parse(file, sink) {
        Ok(documents) => Some(documents),
        Err(complaint) => {
            sink.push(*complaint);
            None
        }
    }
}

fn parse(file: &SourceFile, sink: &mut Sink) -> Result<Vec<Arc<Node>>, Box<Diagnostic>> {
    if file.text.len() > MAX_BYTES {
        let found = format!("a file of more than {} MiB", MAX_BYTES >> 20);
        let place = Place::start_of(&file.path);
        return Err(Box::new(
            Diagnostic::error(&place, found).expected("several smaller ones"),
        ));
    }
    let limits = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        file: Arc::from(file.path.as_str()),
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        done: Vec::new(),
        sink,
    };
    for next in Parser::new_from_str_with_options(&file.text, limits) {
        let (event, span) = next.map_err(|error| builder.scan_error(&error))?;
        builder.take(event, &span)?;
    }
    builder.done.retain(|node| !node.is_null());
    Ok(builder.done)
}

/// A mapping or list that is still open.
struct Open {
    place: Place,
    anchor: usize,
    size: usize,
    content: Content,
}

enum Content {
    List(Vec<Arc<Node>>),
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Place)>,
    },
}

struct Builder<'a> {
    file: Arc<str>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    nodes: usize,
    done: Vec<Arc<Node>>,
    sink: &'a mut Sink,
}

type Step = Result<(), Box<Diagnostic>>;

impl Builder<'_> {
    fn place(&self, span: &Span) -> Place {
        let one_line = span.start.line() == span.end.line();
        let width = if one_line {
            span.end.col().saturating_sub(span.start.col())
        } else {
            1
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: self.file.clone(),
            line: count(span.start.line().max(1)),
            column: count(span.start.col() + 1),
            width: count(width.max(1)),
        }
    }

    fn scan_error(&self, error: &ScanError) -> Box<Diagnostic> {
        let at = *error.marker();
        let place = self.place(&Span::empty(at));
        Box::new(Diagnostic::error(
            &place,
            format!("not YAML: {}", short(&error.info())),
        ))
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Step {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if text.len() > MAX_SCALAR {
                    let found = format!("a value of {} bytes", text.len());
                    let expected = format!("at most {MAX_SCALAR} bytes");
                    return Err(Box::new(Diagnostic::error(&place, found).expected(expected)));
                }
                self.refuse_tag(tag.is_some(), &place)?;
                let plain = style == ScalarStyle::Plain;
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.finish(Node { place, kind, size: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &place)?;
                self.open(place, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &place)?;
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                };
                self.open(place, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    let cost = node.size;
                    self.attach(node, &place, cost)
                }
                None => Err(Box::new(Diagnostic::error(
                    &place,
                    "an alias to a value that holds it",
                ))),
            },
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn refuse_tag(&self, tagged: bool, place: &Place) -> Step {
        if tagged {
            let found = "a YAML tag".to_owned();
            return Err(Box::new(
                Diagnostic::error(place, found).expected("a plain value"),
            ));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, content: Content) -> Step {
        if self.stack.len() >= MAX_DEPTH {
            let found = "values in one another too deep";
            return Err(Box::new(
                Diagnostic::error(&place, found).expected(format!("at most {MAX_DEPTH} levels")),
            ));
        }
        self.stack.push(Open {
            place,
            anchor,
            size: 1,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Step {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        let node = Node {
            place: open.place,
            kind,
            size: open.size,
        };
        self.finish(node, open.anchor)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Step {
        let node = Arc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let place = node.place.clone();
        self.attach(node, &place, 1)
    }

    /// Hangs a complete node into the one that is open around it; `cost` is what it adds to the budget.
    fn attach(&mut self, node: Arc<Node>, at: &Place, cost: usize) -> Step {
        self.nodes += cost;
        if self.nodes > MAX_NODES {
            let found = "too many values; aliases count as often as they are used";
            let expected = format!("at most {MAX_NODES}");
            return Err(Box::new(Diagnostic::error(at, found).expected(expected)));
        }
        let Some(open) = self.stack.last_mut() else {
            self.done.push(node);
            return Ok(());
        };
        open.size += node.size;
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                None => *key = Some(read_key(&node, at)?),
                Some((text, key_place)) if text == "<<" => merge(entries, &node, &key_place)?,
                Some((text, key_place)) => {
                    let entry = Entry {
                        key: text,
                        key_place,
                        value: node,
                        merged: false,
                    };
                    insert(entries, entry, self.sink)?;
                }
            },
        }
        Ok(())
    }
}

fn read_key(node: &Node, at: &Place) -> Result<(String, Place), Box<Diagnostic>> {
    match &node.kind {
        Kind::Scalar { text, .. } => Ok((text.clone(), at.clone())),
        _ => Err(Box::new(
            Diagnostic::error(at, format!("{} as a key", node.what())).expected("a word"),
        )),
    }
}

/// The first of two keys is kept: the rest of the file is read all the same.
fn insert(entries: &mut Vec<Entry>, entry: Entry, sink: &mut Sink) -> Step {
    if entries.len() >= MAX_KEYS {
        let expected = format!("at most {MAX_KEYS}");
        return Err(Box::new(
            Diagnostic::error(&entry.key_place, "too many keys in one mapping").expected(expected),
        ));
    }
    if let Some(first) = entries.iter_mut().find(|e| e.key == entry.key) {
        if first.merged {
            *first = entry;
            return Ok(());
        }
        let found = format!("key `{}` is written twice", short(&entry.key));
        let help = format!("the first is in line {}", first.key_place.line);
        sink.push(Diagnostic::error(&entry.key_place, found).help(help));
        return Ok(());
    }
    entries.push(entry);
    Ok(())
}

/// `<<: *defaults`: what is written in the mapping itself wins.
fn merge(entries: &mut Vec<Entry>, from: &Node, place: &Place) -> Step {
    for source in from.one_or_many() {
        if !matches!(source.kind, Kind::Map(_)) {
            let found = format!("`<<` with {}", source.what());
            return Err(Box::new(Diagnostic::error(place, found).expected("a mapping")));
        }
        for entry in source.entries() {
            if !entries.iter().any(|e| e.key == entry.key) {
                entries.push(Entry {
                    merged: true,
                    ..entry.clone()
                });
            }
        }
    }
    Ok(())
}
