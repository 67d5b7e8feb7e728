use super::{Cache, LanguageModel};

/// One forward pass: rows of any number of sequences go in, logits of the rows asked come out.
///
/// Prompts and single decoded tokens of different sequences share a pass, so their rows go through
/// the same linear layers. A pass keeps its buffers: once it has seen its largest number of rows,
/// it allocates nothing.
///
/// ```text
/// pass.clear();
/// pass.begin(0); pass.push_embeds(&picture); pass.push_token(&model, 319); pass.want_last();
/// pass.begin(1); pass.push_token(&model, 29901); pass.want_last();
/// model.forward(&compute, &mut pass, &mut caches);
/// pass.logits(0); pass.logits(1);
/// ```
#[derive(Default)]
pub struct Pass {
    pub(super) segments: Vec<Segment>,
    /// Position of each row in its sequence.
    pub(super) positions: Vec<usize>,
    /// `[rows, hidden]`: the residual stream, at first the embeddings.
    pub(super) x: Vec<f32>,
    pub(super) buffers: Buffers,
    /// `[wanted rows, vocab]`
    pub(super) logits: Vec<f32>,
    vocab: usize,
}

/// The rows of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Index of the sequence's cache.
    pub(super) cache: usize,
    /// Whether they are those of a decode step.
    step: bool,
    pub(super) rows: usize,
    /// Position of the first row.
    pub(super) first: usize,
    /// How many of the last rows need logits.
    pub(super) wanted: usize,
}

/// Intermediate values, each `[rows, width of its layer]`; as long as the largest pass so far.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) normed: Vec<f32>,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
}

impl Pass {
    /// An empty pass.
    pub fn new() -> Pass {
        Pass::default()
    }

    /// Takes out all rows and logits.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.positions.clear();
        self.x.clear();
        self.logits.clear();
    }

    /// Makes room for `rows` rows and their logits, so that a pass of so many allocates nothing.
    pub fn reserve(&mut self, model: &LanguageModel, rows: usize) {
        let missing = |length: usize, held: usize| length.saturating_sub(held);
        self.segments.reserve(missing(rows, self.segments.len()));
        self.positions.reserve(missing(rows, self.positions.len()));
        self.x.reserve(missing(rows * model.hidden(), self.x.len()));
        self.logits
            .reserve(missing(rows * model.vocab(), self.logits.len()));
        self.buffers.fit(model, rows);
    }

    /// Number of rows pushed since [`Pass::clear`].
    pub fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows).sum()
    }

    /// Starts the rows of the sequence whose cache has index `cache`, at most once for each cache.
    /// Returns the index to ask [`Pass::logits`] for.
    pub fn begin(&mut self, cache: usize) -> usize {
        self.start_segment(cache, false)
    }

    /// As [`Pass::begin`] for the rows of a decode step: the token that was chosen last, and
    /// guesses of those behind it. Such rows come before all others of a pass, and may round
    /// otherwise; see [`Compute::with_steps`](mobilevlm_tensor::Compute::with_steps).
    ///
    /// # Panics
    /// If other rows were begun.
    pub fn begin_step(&mut self, cache: usize) -> usize {
        assert!(
            self.segments.iter().all(|segment| segment.step),
            "the rows of steps come first"
        );
        self.start_segment(cache, true)
    }

    fn start_segment(&mut self, cache: usize, step: bool) -> usize {
        self.segments.push(Segment {
            cache,
            step,
            rows: 0,
            first: 0,
            wanted: 0,
        });
        self.segments.len() - 1
    }

    /// Appends the embedding of a token to the sequence begun last.
    ///
    /// # Panics
    /// If no sequence was begun, or `id` is not below the model's vocabulary.
    pub fn push_token(&mut self, model: &LanguageModel, id: u32) {
        self.segment().rows += 1;
        let start = self.x.len();
        self.x.resize(start + model.hidden(), 0.0);
        model.embed(id, &mut self.x[start..]);
    }

    /// Appends one row of image embeds (`[d]`) to the sequence begun last.
    ///
    /// # Panics
    /// If no sequence was begun.
    pub fn push_embed(&mut self, row: &[f32]) {
        self.segment().rows += 1;
        self.x.extend_from_slice(row);
    }

    /// Asks for the logits of the last row of the sequence begun last.
    ///
    /// # Panics
    /// If no sequence was begun or it has no row.
    pub fn want_last(&mut self) {
        let segment = self.segment();
        assert!(segment.rows > 0, "logits of the last row need a row");
        segment.wanted = 1;
    }

    /// Asks for the logits of all rows of the sequence begun last.
    ///
    /// # Panics
    /// If no sequence was begun.
    pub fn want_all(&mut self) {
        let segment = self.segment();
        segment.wanted = segment.rows;
    }

    /// The logits of the rows asked of a sequence, `[wanted rows, vocab]`, after
    /// [`LanguageModel::forward`].
    ///
    /// # Panics
    /// If `segment` was not returned by [`Pass::begin`] since the last [`Pass::clear`].
    pub fn logits(&self, segment: usize) -> &[f32] {
        let before: usize = self.segments[..segment]
            .iter()
            .map(|segment| segment.wanted)
            .sum();
        &self.logits[before * self.vocab..][..self.segments[segment].wanted * self.vocab]
    }

    /// How many of the rows, the first ones, are those of decode steps.
    pub(super) fn steps(&self) -> usize {
        let steps = self.segments.iter().take_while(|segment| segment.step);
        steps.map(|segment| segment.rows).sum()
    }

    fn segment(&mut self) -> &mut Segment {
        self.segments
            .last_mut()
            .expect("Pass::begin comes before the rows of a sequence")
    }

    /// Gives each row its position, behind what its cache holds, and the buffers their size.
    pub(super) fn start(&mut self, model: &LanguageModel, caches: &[Cache]) {
        for segment in &mut self.segments {
            segment.first = caches[segment.cache].len();
            self.positions
                .extend(segment.first..segment.first + segment.rows);
        }
        self.vocab = model.vocab();
        self.buffers.fit(model, self.positions.len());
    }

    /// Drops every row whose logits nobody asked for, from the residual stream (`[rows, hidden]`)
    /// and the queries (`[rows, query]`).
    pub(super) fn keep_wanted(&mut self, hidden: usize, query: usize) {
        let (mut from, mut to) = (0, 0);
        for segment in &mut self.segments {
            let skipped = segment.rows - segment.wanted;
            from += skipped;
            let rows = from..from + segment.wanted;
            self.positions.copy_within(rows.clone(), to);
            let values = rows.start * hidden..rows.end * hidden;
            self.x.copy_within(values, to * hidden);
            let values = rows.start * query..rows.end * query;
            self.buffers.query.copy_within(values, to * query);
            from += segment.wanted;
            to += segment.wanted;
            segment.first += skipped;
            segment.rows = segment.wanted;
        }
        self.positions.truncate(to);
        self.x.truncate(to * hidden);
    }
}

impl Buffers {
    fn fit(&mut self, model: &LanguageModel, rows: usize) {
        let widths = model.widths();
        for (buffer, width) in [
            (&mut self.normed, widths.hidden),
            (&mut self.query, widths.query),
            (&mut self.key, widths.key),
            (&mut self.value, widths.key),
            (&mut self.attended, widths.query),
            (&mut self.gate, widths.ffn),
            (&mut self.up, widths.ffn),
        ] {
            if buffer.len() < rows * width {
                buffer.resize(rows * width, 0.0);
            }
        }
    }
}
