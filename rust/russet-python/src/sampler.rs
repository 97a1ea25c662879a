//! `russet.Sampler` and `russet.LogitsProcessors`.

use numpy::{AllowTypeChange, PyArray1, PyArrayLike2, PyArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use russet::sampling::{self, Custom, Input, Sampler, Scratch, State};
use russet::{Error, Result, Watch};
use std::cell::Cell;
use std::sync::Mutex;

use crate::detach::{self, lock};
use crate::error::{argument, exception};
use crate::inputs::{self, OutOfRange};
use crate::logits::{histories, masks, Rows, View};
use crate::parameters::Given;

/// From so many logits on, the interpreter is left.
const DETACH_LOGITS: usize = 1 << 16;

/// What calls of one thread use again.
#[derive(Default)]
struct Memory {
    scratch: Scratch,
    row: Vec<f32>,
    unconditional: Vec<f32>,
}

thread_local!(static MEMORY: Cell<Option<Box<Memory>>> = const { Cell::new(None) });

/// Gives the thread's memory to `work`: a processor that calls another sampler finds none, and makes some.
fn with_memory<T>(work: impl FnOnce(&mut Memory) -> T) -> T {
    let mut memory = MEMORY.take().unwrap_or_default();
    let result = work(&mut memory);
    MEMORY.set(Some(memory));
    result
}

/// Python's own processors.
struct Callables<'a, 'py> {
    py: Python<'py>,
    given: &'a Given,
    row: usize,
    raised: Option<PyErr>,
}

impl<'py> Callables<'_, 'py> {
    fn history(&self, history: &[u32]) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_iter(self.py, history.iter().map(|&id| i64::from(id)))
    }

    fn keep<T>(&mut self, result: PyResult<T>) -> Result<T> {
        result.map_err(|error| {
            self.raised = Some(error);
            Error::Interrupted
        })
    }
}

impl Custom for Callables<'_, '_> {
    fn allowed(&mut self, history: &[u32]) -> Result<Vec<u32>> {
        let py = self.py;
        let call = || {
            let Some(function) = &self.given.prefix_allowed_tokens_fn else { return Ok(Vec::new()) };
            inputs::ids(&function.bind(py).call1((self.row, self.history(history)))?, OutOfRange::Overflow)
        };
        let allowed = call();
        self.keep(allowed)
    }

    fn process(&mut self, index: usize, history: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let py = self.py;
        let mut call = || {
            let Some(processor) = self.given.logits_processor.get(index) else { return Ok(()) };
            let ids = self.history(history).reshape((1, history.len()))?;
            let scores = PyArray1::from_slice(py, logits).reshape((1, logits.len()))?;
            let result = processor.bind(py).call1((ids, scores))?;
            let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (result, "float32"))?;
            let array = array.cast_into::<numpy::PyUntypedArray>()?;
            let shape = numpy::PyUntypedArrayMethods::shape(&array).to_vec();
            if shape.iter().product::<usize>() != logits.len() {
                let message = format!("processor {index} gave scores of shape {shape:?} for (1, {})", logits.len());
                return Err(argument(py, "logits_processor", message));
            }
            let flat = array.call_method1(intern!(py, "reshape"), (-1,))?.cast_into::<PyArray1<f32>>()?;
            logits.clear();
            logits.extend(flat.try_readonly()?.as_array());
            Ok(())
        };
        let result = call();
        self.keep(result)
    }
}

/// Logits and what else a call has, by row.
struct Call<'py> {
    rows: Rows<'py>,
    unconditional: Option<Rows<'py>>,
    histories: Vec<Vec<u32>>,
    masks: Vec<Vec<u64>>,
    first_row: u32,
}

/// The same without Python, for work that is detached.
struct Plain<'a> {
    view: View,
    unconditional: Option<View>,
    histories: &'a [Vec<u32>],
    masks: &'a [Vec<u64>],
    first_row: u32,
}

impl Plain<'_> {
    fn with_row<T>(&self, index: usize, work: impl FnOnce(&Input<'_>, &mut Scratch) -> T) -> T {
        with_memory(|Memory { scratch, row, unconditional }| {
            let input = Input {
                logits: self.view.row(index, row),
                history: self.histories.get(index).map_or(&[], Vec::as_slice),
                row: self.first_row.wrapping_add(index as u32),
                mask: self.masks.get(index).map(Vec::as_slice),
                unconditional: self.unconditional.as_ref().map(|view| view.row(index, unconditional)),
            };
            work(&input, scratch)
        })
    }
}

impl<'py> Call<'py> {
    fn new(
        logits: &Bound<'py, PyAny>,
        history: Option<&Bound<'py, PyAny>>,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
        first_row: u32,
    ) -> PyResult<Self> {
        let rows = Rows::new(logits, "logits", dtype)?;
        let unconditional = unconditional.map(|logits| Rows::new(logits, "unconditional_logits", dtype)).transpose()?;
        if let Some(unconditional) = &unconditional {
            if unconditional.view.rows != rows.view.rows {
                let message = format!("{} rows, where logits have {}", unconditional.view.rows, rows.view.rows);
                return Err(argument(logits.py(), "unconditional_logits", message));
            }
        }
        let (histories, masks) = (histories(history, &rows)?, masks(mask, &rows)?);
        Ok(Self { rows, unconditional, histories, masks, first_row })
    }

    /// Does `work` with each row in turn. Rows without Python's processors are worked on detached if there is much to do.
    fn each(
        &self,
        py: Python<'py>,
        given: &Given,
        mut work: impl FnMut(&Input<'_>, &mut Scratch, Option<&mut dyn Custom>) -> Result<()> + Send,
    ) -> PyResult<()> {
        let rows = self.rows.view.rows;
        let plain = Plain {
            view: self.rows.view,
            unconditional: self.unconditional.as_ref().map(|rows| rows.view),
            histories: &self.histories,
            masks: &self.masks,
            first_row: self.first_row,
        };
        if given.prefix_allowed_tokens_fn.is_none() && given.logits_processor.is_empty() {
            let logits = rows.saturating_mul(plain.view.length);
            let bytes = if logits < DETACH_LOGITS { 0 } else { logits };
            return detach::run(py, bytes, |watch| {
                (0..rows).try_for_each(|row| {
                    watch.map_or(Ok(()), Watch::check)?;
                    plain.with_row(row, |input, scratch| work(input, scratch, None))
                })
            });
        }
        for row in 0..rows {
            let mut callables = Callables { py, given, row, raised: None };
            let result = plain.with_row(row, |input, scratch| work(input, scratch, Some(&mut callables)));
            result.map_err(|error| callables.raised.take().unwrap_or_else(|| exception(py, &error)))?;
        }
        Ok(())
    }
}

/// Draws tokens from logits. The keywords have the names of `GenerationConfig`; what is not given is off.
///
/// `order` is "transformers", "mlx-lm", "llama.cpp" or a list of filters' names; `on_invalid` is "error" or "mask". Every call takes
/// logits of shape (V,) or (B, V) in float32, float16 or bfloat16 (an array of `ml_dtypes`, or uint16 with `dtype="bfloat16"`); the
/// ids so far, one sequence for each row; `mask`, the allowed ids as booleans or as bits of 32-bit words; `unconditional_logits` for
/// `guidance_scale`. With `step` a call depends on nothing but its arguments and the seed; without, the sampler counts. Raises
/// `InvalidLogitsError` for NaN and infinity, and where no token is left. The rules are in docs/sampling.md.
#[pyclass(frozen, module = "russet", name = "Sampler")]
pub struct PySampler {
    core: Sampler,
    given: Given,
    state: Mutex<State>,
}

impl PySampler {
    /// The state of a call: its own with a step, which is not kept.
    fn at(&self, step: Option<u64>) -> State {
        let state = *lock(&self.state);
        State { step: step.unwrap_or(state.step), ..state }
    }

    /// Does `work` with each row in the state of a call. Without a step the sampler is in the state after it then.
    fn draw(
        &self,
        py: Python<'_>,
        call: &Call<'_>,
        step: Option<u64>,
        mut work: impl FnMut(&Input<'_>, &mut State, &mut Scratch, Option<&mut dyn Custom>) -> Result<()> + Send,
    ) -> PyResult<()> {
        if self.core.has_feedback() && (call.rows.view.rows > 1 || step.is_some()) {
            let message = "mirostat follows one sequence: give one row, and no step";
            return Err(argument(py, "mirostat", message));
        }
        let begin = self.at(step);
        let mut state = begin;
        call.each(py, &self.given, |input, scratch, custom| {
            state = begin;
            work(input, &mut state, scratch, custom)
        })?;
        if step.is_none() {
            *lock(&self.state) = state;
        }
        Ok(())
    }
}

#[pymethods]
impl PySampler {
    #[new]
    #[pyo3(signature = (**options), text_signature = "(*, temperature=None, top_k=None, top_p=None, min_p=None, typical_p=None, epsilon_cutoff=None, \
                                 eta_cutoff=None, top_h=None, top_n_sigma=None, \
                                 xtc_probability=None, xtc_threshold=None, xtc_special_tokens=None, \
                                 mirostat=None, mirostat_tau=None, mirostat_eta=None, \
                                 min_tokens_to_keep=None, seed=None, order=None, on_invalid=None, \
                                 guidance_scale=None, sequence_bias=None, logit_bias=None, \
                                 repetition_penalty=None, presence_penalty=None, \
                                 frequency_penalty=None, penalty_last_n=None, dry_multiplier=None, \
                                 dry_base=None, dry_allowed_length=None, dry_penalty_last_n=None, \
                                 dry_sequence_breakers=None, no_repeat_ngram_size=None, \
                                 bad_words_ids=None, eos_token_id=None, prompt_length=None, \
                                 min_length=None, min_new_tokens=None, max_length=None, \
                                 prefix_allowed_tokens_fn=None, forced_bos_token_id=None, \
                                 forced_eos_token_id=None, remove_invalid_values=None, \
                                 exponential_decay_length_penalty=None, suppress_tokens=None, \
                                 begin_suppress_tokens=None, logits_processor=None)")]
    fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let given = Given::new(py, options, true)?;
        let core = Sampler::new(given.parameters.clone()).map_err(|error| exception(py, &error))?;
        let state = Mutex::new(core.start());
        Ok(Self { core, given, state })
    }

    /// Draws a token: an int for `(V,)`, an int64 array for `(B, V)`.
    #[pyo3(signature = (logits, history=None, *, step=None, row=0, mask=None, unconditional_logits=None, dtype=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        history: Option<&Bound<'py, PyAny>>,
        step: Option<u64>,
        row: u32,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(logits, history, mask, unconditional_logits, dtype, row)?;
        let mut ids = Ids::new(call.rows.is_batch, call.rows.view.rows);
        self.draw(py, &call, step, |input, state, scratch, custom| {
            ids.push(self.core.sample(input, state, scratch, custom)?);
            Ok(())
        })?;
        ids.into_python(py)
    }

    /// The same with a number from 0 to below 1 instead of a random one. The state stays.
    #[pyo3(signature = (logits, u, history=None, *, step=None, row=0, mask=None, unconditional_logits=None, dtype=None))]
    fn sample_with_uniform<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        u: f64,
        history: Option<&Bound<'py, PyAny>>,
        step: Option<u64>,
        row: u32,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(logits, history, mask, unconditional_logits, dtype, row)?;
        let begin = self.at(step);
        let mut ids = Ids::new(call.rows.is_batch, call.rows.view.rows);
        call.each(py, &self.given, |input, scratch, custom| {
            ids.push(self.core.sample_with_uniform(input, u, &mut begin.clone(), scratch, custom)?);
            Ok(())
        })?;
        ids.into_python(py)
    }

    /// Draws a token and tells what it was drawn from: a `Choice` for `(V,)`, a list of them for `(B, V)`.
    #[pyo3(signature = (logits, history=None, *, top_n=0, step=None, row=0, mask=None, unconditional_logits=None, dtype=None))]
    fn choose<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        history: Option<&Bound<'py, PyAny>>,
        top_n: usize,
        step: Option<u64>,
        row: u32,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(logits, history, mask, unconditional_logits, dtype, row)?;
        let mut choices = Vec::with_capacity(call.rows.view.rows);
        self.draw(py, &call, step, |input, state, scratch, custom| {
            choices.push(self.core.choose(input, top_n, state, scratch, custom)?);
            Ok(())
        })?;
        one_or_list(&call.rows, choices.into_iter().map(|choice| Ok(Bound::new(py, PyChoice(choice))?.into_any())))
    }

    /// The ids that can be drawn, ascending: an int64 array for `(V,)`, a list of them for `(B, V)`.
    #[pyo3(signature = (logits, history=None, *, step=None, row=0, mask=None, unconditional_logits=None, dtype=None))]
    fn kept<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        history: Option<&Bound<'py, PyAny>>,
        step: Option<u64>,
        row: u32,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(logits, history, mask, unconditional_logits, dtype, row)?;
        let state = self.at(step);
        let mut kept = Vec::with_capacity(call.rows.view.rows);
        call.each(py, &self.given, |input, scratch, custom| {
            let mut ids = Vec::new();
            self.core.kept(input, &state, scratch, custom, &mut ids)?;
            kept.push(ids);
            Ok(())
        })?;
        let array = |ids: &Vec<u32>| PyArray1::from_iter(py, ids.iter().map(|&id| i64::from(id))).into_any();
        one_or_list(&call.rows, kept.iter().map(|ids| Ok(array(ids))))
    }

    /// The probabilities that a token is drawn with, zero for what cannot be drawn: float64, of the shape of the logits.
    #[pyo3(signature = (logits, history=None, *, step=None, row=0, mask=None, unconditional_logits=None, dtype=None))]
    fn probs<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        history: Option<&Bound<'py, PyAny>>,
        step: Option<u64>,
        row: u32,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(logits, history, mask, unconditional_logits, dtype, row)?;
        let state = self.at(step);
        let length = call.rows.view.length;
        let mut all = Vec::with_capacity(call.rows.view.rows * length);
        call.each(py, &self.given, |input, scratch, custom| {
            let begin = all.len();
            all.resize(begin + length, 0.0);
            self.core.probabilities(input, &state, scratch, custom, |id, probability| all[begin + id as usize] = probability)
        })?;
        shaped(py, all, &call.rows)
    }

    /// The seed of the draws.
    #[getter]
    fn seed(&self) -> u64 {
        self.given.parameters.seed
    }

    /// What a call changes, to be saved and set again: the number of the next step, and mirostat's limit in bits.
    #[getter(state)]
    fn get_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = *lock(&self.state);
        let dict = PyDict::new(py);
        dict.set_item("step", state.step)?;
        dict.set_item("mu", state.mu)?;
        Ok(dict)
    }

    #[setter(state)]
    fn set_state(&self, py: Python<'_>, value: &Bound<'_, PyDict>) -> PyResult<()> {
        let item = |name: &'static str| value.get_item(name)?.ok_or_else(|| argument(py, "state", format!("{name:?} is missing")));
        let state = State { step: item("step")?.extract()?, mu: item("mu")?.extract()? };
        if !state.mu.is_finite() {
            return Err(argument(py, "state", format!("mu is {}", state.mu)));
        }
        *lock(&self.state) = state;
        Ok(())
    }

    /// Goes back to the state before the first call.
    fn reset(&self) {
        *lock(&self.state) = self.core.start();
    }
}

/// The drawn ids, without a list for one row.
enum Ids {
    One(u32),
    Many(Vec<i64>),
}

impl Ids {
    fn new(is_batch: bool, rows: usize) -> Self {
        if is_batch {
            Self::Many(Vec::with_capacity(rows))
        } else {
            Self::One(0)
        }
    }

    fn push(&mut self, id: u32) {
        match self {
            Self::One(one) => *one = id,
            Self::Many(ids) => ids.push(i64::from(id)),
        }
    }

    fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::One(id) => Ok(id.into_pyobject(py)?.into_any()),
            Self::Many(ids) => Ok(PyArray1::from_vec(py, ids).into_any()),
        }
    }
}

/// What there is for one row, or the list of what there is for each row of a batch.
fn one_or_list<'py>(
    rows: &Rows<'py>,
    mut of_rows: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyAny>> {
    match of_rows.next() {
        Some(only) if !rows.is_batch => only,
        first => Ok(PyList::new(rows.py(), first.into_iter().chain(of_rows).collect::<PyResult<Vec<_>>>()?)?.into_any()),
    }
}

/// An array with the shape of the logits.
fn shaped<'py, T: numpy::Element>(py: Python<'py>, all: Vec<T>, rows: &Rows<'py>) -> PyResult<Bound<'py, PyAny>> {
    let array = PyArray1::from_vec(py, all);
    if !rows.is_batch {
        return Ok(array.into_any());
    }
    Ok(array.reshape((rows.view.rows, rows.view.length))?.into_any())
}

/// A chosen token, and what it was chosen from.
#[pyclass(frozen, module = "russet", name = "Choice")]
pub struct PyChoice(sampling::Choice);

#[pymethods]
impl PyChoice {
    /// The token.
    #[getter]
    fn id(&self) -> u32 {
        self.0.id
    }

    /// The natural logarithm of its probability.
    #[getter]
    fn logprob(&self) -> f64 {
        self.0.logprob
    }

    /// The entropy of the distribution it was drawn from, in nats.
    #[getter]
    fn entropy(&self) -> f64 {
        self.0.entropy
    }

    /// How many tokens could have been drawn.
    #[getter]
    fn kept(&self) -> usize {
        self.0.kept
    }

    /// The most probable tokens and the logarithms of their probabilities, the most probable first.
    #[getter]
    fn top(&self) -> Vec<(u32, f64)> {
        self.0.top.clone()
    }

    fn __repr__(&self) -> String {
        let sampling::Choice { id, logprob, entropy, kept, .. } = &self.0;
        format!("Choice(id={id}, logprob={logprob:.4}, entropy={entropy:.4}, kept={kept})")
    }
}

/// What changes logits before filters choose among them, as a callable of its own.
#[pyclass(frozen, module = "russet", name = "LogitsProcessors")]
pub struct PyLogitsProcessors {
    core: Sampler,
    given: Given,
}

#[pymethods]
impl PyLogitsProcessors {
    #[new]
    #[pyo3(signature = (**options), text_signature = "(*, guidance_scale=None, sequence_bias=None, logit_bias=None, repetition_penalty=None, \
                                 presence_penalty=None, frequency_penalty=None, penalty_last_n=None, \
                                 dry_multiplier=None, dry_base=None, dry_allowed_length=None, \
                                 dry_penalty_last_n=None, dry_sequence_breakers=None, \
                                 no_repeat_ngram_size=None, bad_words_ids=None, eos_token_id=None, \
                                 prompt_length=None, min_length=None, min_new_tokens=None, \
                                 max_length=None, prefix_allowed_tokens_fn=None, \
                                 forced_bos_token_id=None, forced_eos_token_id=None, \
                                 remove_invalid_values=None, exponential_decay_length_penalty=None, \
                                 suppress_tokens=None, begin_suppress_tokens=None, \
                                 logits_processor=None, renormalize_logits=None)")]
    fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let given = Given::new(py, options, false)?;
        let core = Sampler::new(given.parameters.clone()).map_err(|error| exception(py, &error))?;
        Ok(Self { core, given })
    }

    /// The changed logits as float32, of the same shape; what is given stays as it is.
    #[pyo3(signature = (input_ids, scores, *, mask=None, unconditional_logits=None, dtype=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        input_ids: Option<&Bound<'py, PyAny>>,
        scores: &Bound<'py, PyAny>,
        mask: Option<&Bound<'py, PyAny>>,
        unconditional_logits: Option<&Bound<'py, PyAny>>,
        dtype: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::new(scores, input_ids, mask, unconditional_logits, dtype, 0)?;
        let mut all = Vec::with_capacity(call.rows.view.rows * call.rows.view.length);
        call.each(py, &self.given, |input, scratch, custom| self.core.process(input, scratch, custom, &mut all))?;
        shaped(py, all, &call.rows)
    }
}

/// Which drafted tokens are accepted, and the token after them.
///
/// `draft_ids` has n ids, `draft_probs` (n, V) the probabilities they were drawn with, `target_probs` (n + 1, V) those they should
/// have. Returns how many are accepted, and the next id. Whatever the draft is, the tokens have the target's distribution.
#[pyfunction]
#[pyo3(signature = (draft_ids, draft_probs, target_probs, *, seed, step=0, row=0))]
pub fn accept_draft<'py>(
    py: Python<'py>,
    draft_ids: &Bound<'py, PyAny>,
    draft_probs: PyArrayLike2<'py, f64, AllowTypeChange>,
    target_probs: PyArrayLike2<'py, f64, AllowTypeChange>,
    seed: u64,
    step: u64,
    row: u32,
) -> PyResult<(usize, u32)> {
    let ids = inputs::ids(draft_ids, OutOfRange::Overflow)?;
    let (draft, target) = (draft_probs.as_array(), target_probs.as_array());
    if draft.ncols() != target.ncols() {
        let message = format!("{} and {} columns", draft.ncols(), target.ncols());
        return Err(argument(py, "target_probs", message));
    }
    let flat = |array: &numpy::ndarray::ArrayView2<'_, f64>| array.iter().copied().collect::<Vec<f64>>();
    let accepted = sampling::accept(&ids, &flat(&draft), &flat(&target), target.ncols(), (seed, step, row));
    accepted.map(|found| (found.accepted, found.next)).map_err(|error| exception(py, &error))
}
