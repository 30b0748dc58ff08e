//! The text of a PDF (ISO 32000-1 §9), in the order in which its pages draw it: for words, not for
//! layout. A gap on a line is a space, a step to another line a line end.

use std::collections::HashMap;

use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as Op;
use hayro_syntax::object::dict::Dict;
use hayro_syntax::object::{Array, Number, Object, ObjectIdentifier, Stream};
use hayro_syntax::page::Resources;
use hayro_syntax::{LoadPdfError, Pdf, object};

use crate::pdf_font::Font;
use crate::{Limits, Unreadable};

/// Drawings within one another.
const DEPTH_MAX: usize = 8;
/// Fonts of a document.
const FONTS_MAX: usize = 1024;
/// A gap on a line that is a space, as a part of the size.
const SPACE: f32 = 0.2;

pub fn text(bytes: Vec<u8>, limits: &Limits) -> Result<String, Unreadable> {
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(_) => Unreadable::Encrypted,
        LoadPdfError::Invalid => Unreadable::Broken,
    })?;
    let mut drawing =
        Drawing { out: String::new(), fonts: HashMap::new(), operators: 0, unpacked: 0, limits };
    for page in pdf.pages().iter().take(limits.pages_max) {
        if drawing.is_over() {
            break;
        }
        drawing.operators = 0;
        if let Some(content) = page.page_stream() {
            drawing.content(content, page.resources(), 0);
        }
        drawing.out.push('\n');
    }
    Ok(drawing.out)
}

struct Drawing<'l> {
    out: String,
    fonts: HashMap<ObjectIdentifier, Option<std::rc::Rc<Font>>>,
    operators: usize,
    unpacked: usize,
    limits: &'l Limits,
}

/// ISO 32000-1 §9.3, §9.4: what text is drawn with.
#[derive(Clone, Default)]
struct State {
    font: Option<std::rc::Rc<Font>>,
    size: f32,
    leading: f32,
    char_space: f32,
    word_space: f32,
    /// The begin of the line, and of what is drawn next: a, b, c, d, e, f.
    line: [f32; 6],
    here: [f32; 6],
    /// Where the text before ended; none before the first.
    end: Option<(f32, f32)>,
}

const IDENTITY: [f32; 6] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

impl State {
    /// ISO 32000-1 §9.4.2: to another place from the line's begin.
    fn step(&mut self, x: f32, y: f32) {
        let [a, b, c, d, e, f] = self.line;
        self.line = [a, b, c, d, x * a + y * c + e, x * b + y * d + f];
        self.here = self.line;
    }

    /// On along the line.
    fn along(&mut self, x: f32) {
        let [a, b, c, d, e, f] = self.here;
        self.here = [a, b, c, d, x * a + e, x * b + f];
    }

    /// How large the letters are.
    fn height(&self) -> f32 {
        let [_, _, c, d, _, _] = self.here;
        (self.size * c.hypot(d)).abs().max(0.01)
    }
}

impl Drawing<'_> {
    fn is_over(&self) -> bool {
        self.out.len() >= self.limits.text_bytes_max
            || self.unpacked >= self.limits.unpacked_bytes_max
    }

    fn content(&mut self, content: &[u8], resources: &Resources<'_>, depth: usize) {
        self.unpacked += content.len();
        let mut state = State { line: IDENTITY, here: IDENTITY, ..State::default() };
        let mut saved = Vec::new();
        let mut operators = TypedIter::new(content);
        while let Some(operator) = operators.next() {
            self.operators += 1;
            if self.operators > self.limits.operators_max || self.is_over() {
                return;
            }
            let number = |number: &Number| number.as_f32();
            match operator {
                Op::SaveState(_) if saved.len() < 256 => saved.push(state.clone()),
                Op::RestoreState(_) => {
                    let end = state.end;
                    if let Some(before) = saved.pop() {
                        state = State { end, ..before };
                    }
                }
                Op::BeginText(_) => (state.line, state.here) = (IDENTITY, IDENTITY),
                Op::TextFont(font) => {
                    state.font = self.font(font.0, resources);
                    state.size = number(&font.1);
                }
                Op::CharacterSpacing(by) => state.char_space = number(&by.0),
                Op::WordSpacing(by) => state.word_space = number(&by.0),
                Op::TextLeading(by) => state.leading = number(&by.0),
                Op::SetTextMatrix(m) => {
                    state.line = [&m.0, &m.1, &m.2, &m.3, &m.4, &m.5].map(number);
                    state.here = state.line;
                }
                Op::NextLine(by) => state.step(number(&by.0), number(&by.1)),
                Op::NextLineAndSetLeading(by) => {
                    state.leading = -number(&by.1);
                    state.step(number(&by.0), number(&by.1));
                }
                Op::NextLineUsingLeading(_) => state.step(0.0, -state.leading),
                Op::ShowText(text) => self.show(&mut state, text.0),
                Op::NextLineAndShowText(text) => {
                    state.step(0.0, -state.leading);
                    self.show(&mut state, text.0);
                }
                Op::ShowTextWithParameters(text) => {
                    state.word_space = number(&text.0);
                    state.char_space = number(&text.1);
                    state.step(0.0, -state.leading);
                    self.show(&mut state, text.2);
                }
                Op::ShowTexts(texts) => self.show_all(&mut state, texts.0),
                Op::XObject(name) if depth < DEPTH_MAX => {
                    if let Some(form) = resources.get_x_object(name.0) {
                        self.form(&form, resources, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// ISO 32000-1 §8.10: a drawing of its own; pictures are none.
    fn form(&mut self, form: &Stream<'_>, resources: &Resources<'_>, depth: usize) {
        let is_form = form.dict().get::<object::Name<'_>>("Subtype");
        if is_form.is_none_or(|name| name.as_str() != "Form") {
            return;
        }
        let Ok(content) = form.decoded_data() else { return };
        match form.dict().get::<Dict<'_>>("Resources") {
            Some(own) => self.content(&content, &Resources::new(own), depth),
            None => self.content(&content, resources, depth),
        }
    }

    fn font(
        &mut self,
        name: &object::Name<'_>,
        resources: &Resources<'_>,
    ) -> Option<std::rc::Rc<Font>> {
        let font = resources.get_font(name)?;
        let Some(id) = font.obj_id() else { return Some(std::rc::Rc::new(Font::read(&font))) };
        if self.fonts.len() >= FONTS_MAX && !self.fonts.contains_key(&id) {
            return None;
        }
        let known = self.fonts.entry(id);
        known.or_insert_with(|| Some(std::rc::Rc::new(Font::read(&font)))).clone()
    }

    /// ISO 32000-1 §9.4.3 TJ: strings, and how far to go back between them.
    fn show_all(&mut self, state: &mut State, texts: &Array<'_>) {
        for item in texts.iter::<Object<'_>>() {
            match item {
                Object::String(text) => self.show(state, &text),
                Object::Number(back) => state.along(-back.as_f32() / 1000.0 * state.size),
                _ => {}
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn show(&mut self, state: &mut State, text: &object::String<'_>) {
        let Some(font) = state.font.clone() else { return };
        let ([.., x, y], height) = (state.here, state.height());
        if let Some((end_x, end_y)) = state.end {
            let (dx, dy) = (x - end_x, y - end_y);
            if dy.abs() > height * 0.5 {
                self.break_with('\n');
            } else if dx > height * SPACE || dx < -height {
                self.break_with(' ');
            }
        }
        let (length, codes, spaces) = font.write(text.as_bytes(), &mut self.out);
        let spacing = codes as f32 * state.char_space + spaces as f32 * state.word_space;
        state.along(length / 1000.0 * state.size + spacing);
        let [.., x, y] = state.here;
        state.end = Some((x, y));
    }

    fn break_with(&mut self, c: char) {
        if !self.out.is_empty() && !self.out.ends_with(char::is_whitespace) {
            self.out.push(c);
        }
    }
}
