//! A regular expression over running text: answered by the dictionary of words where it can be, and else by reading no
//! more texts than the dictionary lets through.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;
use parking_lot::Mutex;
use regex::Regex;
use tantivy::index::SegmentId;
use tantivy::postings::TermInfo;
use tantivy::query::BitSetDocSet;
use tantivy::query::doc_predicate_query::{
    ConstOrVariableSegmentPredicate, DocPredicate, SegmentDocPredicate,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::store::StoreReader;
use tantivy::{BitSet, DocId, DocSet, InvertedIndexReader, SegmentReader, TERMINATED, Term};

use super::QueryError;
use super::needs::{Need, Plan, loose, plan};
use super::pattern::anchored;
use super::scan::{Budget, after};
use super::text::{Quick, Source, source_in, text_of};
use crate::store::events::words::{MARK, lower};

/// Blocks of stored records that a search keeps unpacked.
const BLOCKS: usize = 8;

/// Every record whose text matches.
pub(crate) struct Expression {
    /// Its words.
    field: Field,
    /// What the record as it came calls the text.
    path: &'static str,
    /// Finds something in a text that matches.
    whole: Regex,
    way: Way,
    budget: Arc<Budget>,
    /// One search asks for the same segment several times.
    known: Mutex<HashMap<SegmentId, Arc<Candidates>>>,
}

enum Way {
    Word(regex::bytes::Regex),
    Read(Option<Need>),
}

/// The records of a segment that can match.
struct Candidates {
    /// These do.
    sure: BitSet,
    /// These and no others may: the sure ones are among them.
    all: BitSet,
}

impl Expression {
    /// # Errors
    /// The expression cannot be read.
    pub(crate) fn new(
        field: Field,
        path: &'static str,
        pattern: &str,
        budget: Arc<Budget>,
    ) -> Result<Self, QueryError> {
        let whole = anchored(pattern, true)?;
        let whole = loose(pattern).and_then(|loose| Regex::new(&loose).ok()).unwrap_or(whole);
        let way = match plan(pattern) {
            // It is a part of what was read above.
            Plan::Word(inside) => regex::bytes::Regex::new(&inside).map_or(Way::Read(None), Way::Word),
            Plan::Read(need) => Way::Read(need),
        };
        budget.will_read_records();
        Ok(Expression { field, path, whole, way, budget, known: Mutex::default() })
    }

    fn candidates(&self, reader: &SegmentReader) -> tantivy::Result<Arc<Candidates>> {
        if let Some(known) = self.known.lock().get(&reader.segment_id()) {
            return Ok(Arc::clone(known));
        }
        let nothing = || BitSet::with_max_value(reader.max_doc());
        let candidates = match &self.way {
            Way::Read(None) => {
                Candidates { sure: nothing(), all: BitSet::with_max_value_and_full(reader.max_doc()) }
            }
            Way::Read(Some(need)) => {
                let words = self.words(reader)?;
                let mut all = words.meeting(need)?;
                words.add(&words.missing(), &mut all)?;
                Candidates { sure: nothing(), all }
            }
            Way::Word(inside) => self.words(reader)?.containing(inside)?,
        };
        let candidates = Arc::new(candidates);
        // Cut short, it is good for this answer only, which says that it is not complete.
        self.known.lock().insert(reader.segment_id(), Arc::clone(&candidates));
        Ok(candidates)
    }

    fn words(&self, reader: &SegmentReader) -> tantivy::Result<Words<'_>> {
        Ok(Words {
            field: self.field,
            index: reader.inverted_index(self.field)?,
            max_doc: reader.max_doc(),
            budget: &self.budget,
        })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("whole", &self.whole).finish_non_exhaustive()
    }
}

impl DocPredicate for Expression {
    type SegmentDocPredicate = Check;

    fn doc_predicate(
        &self,
        reader: &SegmentReader,
    ) -> tantivy::Result<ConstOrVariableSegmentPredicate<Check>> {
        let candidates = self.candidates(reader)?;
        let all = BitSetDocSet::from(candidates.all.clone());
        if all.doc() == TERMINATED {
            return Ok(ConstOrVariableSegmentPredicate::Const(false));
        }
        let check = Check {
            candidates,
            store: reader.get_store_reader(BLOCKS)?,
            path: self.path,
            quick: Quick::new(self.path),
            whole: self.whole.clone(),
            budget: Arc::clone(&self.budget),
            seen: 0,
        };
        Ok(ConstOrVariableSegmentPredicate::Variable { predicate: check, necessary_condition: Box::new(all) })
    }
}

/// Decides about one record.
pub(crate) struct Check {
    candidates: Arc<Candidates>,
    store: StoreReader,
    path: &'static str,
    quick: Quick,
    whole: Regex,
    budget: Arc<Budget>,
    seen: u32,
}

impl SegmentDocPredicate for Check {
    fn eval(&mut self, doc: DocId) -> bool {
        if self.candidates.sure.contains(doc) {
            return true;
        }
        self.seen += 1;
        if self.seen.is_multiple_of(256) && self.budget.over() || self.budget.spent() {
            return false;
        }
        let Ok(stored) = self.store.get_document_bytes(doc) else { return false };
        if let Some(text) = source_in(&stored).and_then(|source| self.quick.look(source)) {
            return self.whole.is_match(&text);
        }
        let Ok(Source(source)) = self.store.get::<Source>(doc) else { return false };
        text_of(&source, self.path).is_some_and(|text| self.whole.is_match(&text))
    }

    fn cost(&self) -> u64 {
        10_000
    }
}

/// The dictionary of a field in one segment.
struct Words<'a> {
    field: Field,
    index: Arc<InvertedIndexReader>,
    max_doc: DocId,
    budget: &'a Budget,
}

impl Words<'_> {
    fn nothing(&self) -> BitSet {
        BitSet::with_max_value(self.max_doc)
    }

    /// The term of texts of which words are missing.
    fn missing(&self) -> Term {
        Term::from_field_text(self.field, MARK.encode_utf8(&mut [0; 4]))
    }

    /// Records in which a word, as it is written, contains a match of `inside`.
    fn containing(&self, inside: &regex::bytes::Regex) -> tantivy::Result<Candidates> {
        // A word in lower case stands for all its spellings. Where it is written otherwise there is a second term, so
        // what has no such term of which only the lower case matches was written in lower case.
        let (mut plain, mut written, mut doubtful) = (self.nothing(), self.nothing(), self.nothing());
        self.scan(&[], |word, info| {
            let to = match word.strip_prefix(&[MARK as u8]) {
                Some(original) if inside.is_match(original) => &mut written,
                Some(original) => {
                    let lower = lower(&String::from_utf8_lossy(original));
                    if !inside.is_match(lower.as_bytes()) {
                        return Ok(());
                    }
                    &mut doubtful
                }
                None if inside.is_match(word) => &mut plain,
                None => return Ok(()),
            };
            self.add_postings(info, to)
        })?;
        let mut sure = plain.clone();
        each(&doubtful, |doc| sure.remove(doc));
        each(&written, |doc| _ = sure.insert(doc));
        let mut all = sure.clone();
        each(&plain, |doc| _ = all.insert(doc));
        self.add(&self.missing(), &mut all)?;
        Ok(Candidates { sure, all })
    }

    /// Records whose words meet a need.
    fn meeting(&self, need: &Need) -> tantivy::Result<BitSet> {
        match need {
            Need::All(needs) => {
                let mut all: Option<BitSet> = None;
                for need in needs {
                    let more = self.meeting(need)?;
                    all = Some(all.map_or_else(|| more.clone(), |so_far| both(&so_far, &more)));
                }
                Ok(all.unwrap_or_else(|| self.nothing()))
            }
            Need::Any(needs) => {
                let mut any = self.nothing();
                for need in needs {
                    each(&self.meeting(need)?, |doc| _ = any.insert(doc));
                }
                Ok(any)
            }
            Need::Piece { text, begins, ends } => self.with_piece(text, *begins, *ends),
        }
    }

    fn with_piece(&self, text: &str, begins: bool, ends: bool) -> tantivy::Result<BitSet> {
        let mut found = self.nothing();
        if begins && ends {
            self.add(&Term::from_field_text(self.field, text), &mut found)?;
            return Ok(found);
        }
        let finder = Finder::new(text);
        self.scan(if begins { text.as_bytes() } else { &[] }, |word, info| {
            let fits =
                if ends { word.ends_with(text.as_bytes()) } else { begins || finder.find(word).is_some() };
            // Words as they are written are there in lower case too.
            if fits && word.first() != Some(&(MARK as u8)) {
                self.add_postings(info, &mut found)
            } else {
                Ok(())
            }
        })?;
        Ok(found)
    }

    /// Shows all words that begin with `prefix`.
    fn scan(
        &self,
        prefix: &[u8],
        mut show: impl FnMut(&[u8], &TermInfo) -> tantivy::Result<()>,
    ) -> tantivy::Result<()> {
        let mut range = self.index.terms().range().ge(prefix);
        if let Some(end) = after(prefix) {
            range = range.lt(end);
        }
        let mut terms = range.into_stream()?;
        let mut seen = 0_u32;
        while terms.advance() {
            seen += 1;
            if seen.is_multiple_of(1024) && self.budget.over() {
                break;
            }
            show(terms.key(), terms.value())?;
        }
        Ok(())
    }

    fn add(&self, term: &Term, to: &mut BitSet) -> tantivy::Result<()> {
        match self.index.get_term_info(term)? {
            Some(info) => self.add_postings(&info, to),
            None => Ok(()),
        }
    }

    fn add_postings(&self, info: &TermInfo, to: &mut BitSet) -> tantivy::Result<()> {
        let mut postings = self.index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            for &doc in postings.docs() {
                to.insert(doc);
            }
            postings.advance();
        }
        Ok(())
    }
}

fn each(docs: &BitSet, mut show: impl FnMut(DocId)) {
    let mut docs = BitSetDocSet::from(docs.clone());
    while docs.doc() != TERMINATED {
        show(docs.doc());
        docs.advance();
    }
}

fn both(a: &BitSet, b: &BitSet) -> BitSet {
    let mut both = BitSet::with_max_value(a.max_value());
    each(a, |doc| {
        if b.contains(doc) {
            both.insert(doc);
        }
    });
    both
}
