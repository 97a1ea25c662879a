//! The keywords of `russet.Sampler` and `russet.LogitsProcessors`.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use russet::sampling::{Dry, Filter, Mirostat, OnInvalid, Order, Parameters, SequenceBias};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::error::argument;

/// What the keywords gave.
pub struct Given {
    pub parameters: Parameters,
    /// `(row, ids so far) -> allowed ids`.
    pub prefix_allowed_tokens_fn: Option<Py<PyAny>>,
    /// `(ids so far, scores) -> scores`, each.
    pub logits_processor: Vec<Py<PyAny>>,
}

/// DRY's keywords, which are one parameter.
struct DryGiven {
    multiplier: f64,
    base: f64,
    allowed_length: usize,
    last_n: Option<usize>,
    sequence_breakers: Vec<Vec<u32>>,
}

impl Given {
    /// Reads keywords; those of filters and the draw only with `draws`.
    pub fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>, draws: bool) -> PyResult<Self> {
        let mut given = Self { parameters: Parameters::default(), prefix_allowed_tokens_fn: None, logits_processor: Vec::new() };
        let mut dry = DryGiven { multiplier: 0.0, base: 1.75, allowed_length: 2, last_n: None, sequence_breakers: Vec::new() };
        let (mut mirostat, mut tau, mut eta) = (0, 5.0, 0.1);
        let mut seed = None;
        for (name, value) in options.into_iter().flatten() {
            let name: Bound<'_, PyString> = name.cast_into()?;
            let name = known(name.to_str()?, draws)?;
            if value.is_none() {
                continue;
            }
            let parameters = &mut given.parameters;
            let taken = match name {
                "sequence_bias" => set(&mut parameters.sequence_bias, sequence_bias(&value)),
                "logit_bias" => set(&mut parameters.logit_bias, logit_bias(&value)),
                "repetition_penalty" => set(&mut parameters.repetition_penalty, number(&value).map(Some)),
                "presence_penalty" => set(&mut parameters.presence_penalty, number(&value).map(Some)),
                "frequency_penalty" => set(&mut parameters.frequency_penalty, number(&value).map(Some)),
                "penalty_last_n" => set(&mut parameters.penalty_last_n, last_n(&value)),
                "dry_multiplier" => set(&mut dry.multiplier, number(&value)),
                "dry_base" => set(&mut dry.base, number(&value)),
                "dry_allowed_length" => set(&mut dry.allowed_length, count(&value)),
                "dry_penalty_last_n" => set(&mut dry.last_n, last_n(&value)),
                "dry_sequence_breakers" => set(&mut dry.sequence_breakers, value.extract()),
                "no_repeat_ngram_size" => set(&mut parameters.no_repeat_ngram_size, count(&value).map(Some)),
                "bad_words_ids" => set(&mut parameters.bad_words_ids, value.extract()),
                "eos_token_id" => set(&mut parameters.eos_token_id, ids(&value)),
                "prompt_length" => set(&mut parameters.prompt_length, count(&value)),
                "min_length" => set(&mut parameters.min_length, count(&value).map(Some)),
                "min_new_tokens" => set(&mut parameters.min_new_tokens, count(&value).map(Some)),
                "max_length" => set(&mut parameters.max_length, count(&value).map(Some)),
                "forced_bos_token_id" => set(&mut parameters.forced_bos_token_id, value.extract().map(Some)),
                "forced_eos_token_id" => set(&mut parameters.forced_eos_token_id, ids(&value)),
                "remove_invalid_values" => set(&mut parameters.remove_invalid_values, value.extract()),
                "exponential_decay_length_penalty" => {
                    set(&mut parameters.exponential_decay_length_penalty, value.extract().map(Some))
                }
                "suppress_tokens" => set(&mut parameters.suppress_tokens, ids(&value)),
                "begin_suppress_tokens" => set(&mut parameters.begin_suppress_tokens, ids(&value)),
                "guidance_scale" => set(&mut parameters.guidance_scale, number(&value).map(Some)),
                "prefix_allowed_tokens_fn" => {
                    parameters.prefix_allowed_tokens = true;
                    set(&mut given.prefix_allowed_tokens_fn, callable(&value).map(Some))
                }
                "logits_processor" => {
                    let result = set(&mut given.logits_processor, callables(&value));
                    given.parameters.custom_processors = given.logits_processor.len();
                    result
                }
                "renormalize_logits" => set(&mut parameters.renormalize_logits, value.extract()),
                "temperature" => set(&mut parameters.temperature, number(&value).map(Some)),
                "top_k" => set(&mut parameters.top_k, count(&value).map(Some)),
                "top_p" => set(&mut parameters.top_p, number(&value).map(Some)),
                "min_p" => set(&mut parameters.min_p, number(&value).map(Some)),
                "typical_p" => set(&mut parameters.typical_p, number(&value).map(Some)),
                "epsilon_cutoff" => set(&mut parameters.epsilon_cutoff, number(&value).map(Some)),
                "eta_cutoff" => set(&mut parameters.eta_cutoff, number(&value).map(Some)),
                "top_h" => set(&mut parameters.top_h, number(&value).map(Some)),
                "top_n_sigma" => set(&mut parameters.top_n_sigma, number(&value).map(Some)),
                "xtc_probability" => set(&mut parameters.xtc_probability, number(&value).map(Some)),
                "xtc_threshold" => set(&mut parameters.xtc_threshold, number(&value).map(Some)),
                "xtc_special_tokens" => set(&mut parameters.xtc_special_tokens, ids(&value)),
                "mirostat" => set(&mut mirostat, value.extract()),
                "mirostat_tau" => set(&mut tau, number(&value)),
                "mirostat_eta" => set(&mut eta, number(&value)),
                "min_tokens_to_keep" => set(&mut parameters.min_tokens_to_keep, count(&value).map(Some)),
                "seed" => set(&mut seed, value.extract().map(Some)),
                "order" => set(&mut parameters.order, order(&value)),
                "on_invalid" => set(&mut parameters.on_invalid, on_invalid(&value)),
                other => return Err(argument(py, other, "is not read")),
            };
            taken.map_err(|error| named(py, name, &value, error))?;
        }
        let parameters = &mut given.parameters;
        parameters.seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        if mirostat != 0 {
            parameters.mirostat = Some(Mirostat { version: mirostat, tau, eta });
        }
        if dry.multiplier != 0.0 {
            let DryGiven { multiplier, base, allowed_length, last_n, sequence_breakers } = dry;
            let (multiplier, base) = (multiplier as f32, base as f32);
            parameters.dry = Some(Dry { multiplier, base, allowed_length, last_n, sequence_breakers });
        }
        Ok(given)
    }
}

/// The keyword of that name, if it is one.
fn known(name: &str, draws: bool) -> PyResult<&'static str> {
    const PROCESSORS: [&str; 27] = [
        "sequence_bias",
        "logit_bias",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "penalty_last_n",
        "dry_multiplier",
        "dry_base",
        "dry_allowed_length",
        "dry_penalty_last_n",
        "dry_sequence_breakers",
        "no_repeat_ngram_size",
        "bad_words_ids",
        "eos_token_id",
        "prompt_length",
        "min_length",
        "min_new_tokens",
        "max_length",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "remove_invalid_values",
        "exponential_decay_length_penalty",
        "suppress_tokens",
        "begin_suppress_tokens",
        "guidance_scale",
        "prefix_allowed_tokens_fn",
        "logits_processor",
    ];
    const OTHERS: [&str; 9] = [
        "xtc_threshold",
        "xtc_special_tokens",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "min_tokens_to_keep",
        "seed",
        "order",
        "on_invalid",
    ];
    let others: &[&str] = if draws { &OTHERS } else { &["renormalize_logits"] };
    let filter = Filter::from_name(name).filter(|_| draws).map(Filter::name);
    let known = PROCESSORS.iter().chain(others).copied().chain(filter).find(|known| *known == name);
    known.ok_or_else(|| PyTypeError::new_err(format!("got an unexpected keyword argument {name:?}")))
}

fn set<T>(place: &mut T, value: PyResult<T>) -> PyResult<()> {
    value.map(|value| *place = value)
}

/// An error of a keyword's value, with its name.
fn named(py: Python<'_>, name: &'static str, value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let message = format!("{name}: {}", error.value(py));
    if error.is_instance_of::<PyTypeError>(py) {
        return PyTypeError::new_err(format!("{message} (it is {})", value.get_type()));
    }
    argument(py, name, error.value(py).to_string())
}

/// A number; not a bool, which Python would take for one.
fn number(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("must be a number"));
    }
    value.extract()
}

fn count(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("must be an integer"));
    }
    value.extract()
}

/// A number of ids; -1 are all, as in llama.cpp.
fn last_n(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.extract::<i64>().is_ok_and(|number| number == -1) {
        return Ok(None);
    }
    count(value).map(Some)
}

/// One id, or a sequence of ids.
fn ids(value: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    value.extract::<u32>().map(|id| vec![id]).or_else(|_| value.extract())
}

fn callable(value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if value.is_callable() {
        Ok(value.clone().unbind())
    } else {
        Err(PyTypeError::new_err("must be callable"))
    }
}

/// One callable, or a sequence of them.
fn callables(value: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
    match value.try_iter() {
        Ok(items) => items.map(|item| callable(&item?)).collect(),
        Err(_) => callable(value).map(|one| vec![one]),
    }
}

/// `{(ids): bias}` or `[[ids, bias]]`.
fn sequence_bias(value: &Bound<'_, PyAny>) -> PyResult<Vec<SequenceBias>> {
    let pairs: Vec<(Vec<u32>, f32)> = match value.cast::<PyDict>() {
        Ok(dict) => dict.iter().map(|(ids, bias)| Ok((ids.extract()?, bias.extract()?))).collect::<PyResult<_>>()?,
        Err(_) => {
            let pair = |pair: PyResult<Bound<'_, PyAny>>| {
                let [ids, bias]: [Bound<'_, PyAny>; 2] = pair?.extract()?;
                Ok((ids.extract()?, bias.extract()?))
            };
            value.try_iter()?.map(pair).collect::<PyResult<_>>()?
        }
    };
    // As in a dictionary, the last one of equal sequences counts.
    let mut biases: Vec<SequenceBias> = Vec::with_capacity(pairs.len());
    let mut places = std::collections::HashMap::new();
    for (ids, bias) in pairs {
        let place = *places.entry(ids.clone()).or_insert(biases.len());
        match biases.get_mut(place) {
            Some(known) => known.bias = bias,
            None => biases.push(SequenceBias { ids, bias }),
        }
    }
    Ok(biases)
}

/// `{id: bias}`.
fn logit_bias(value: &Bound<'_, PyAny>) -> PyResult<Vec<(u32, f32)>> {
    value.cast::<PyDict>()?.iter().map(|(id, bias)| Ok((id.extract()?, bias.extract()?))).collect()
}

fn order(value: &Bound<'_, PyAny>) -> PyResult<Order> {
    let wrong = |value: &str| {
        PyValueError::new_err(format!(
            "{value:?} is not \"transformers\", \"mlx-lm\" or \"llama.cpp\", and no sequence of filters' names"
        ))
    };
    if let Ok(name) = value.extract::<String>() {
        return match name.as_str() {
            "transformers" => Ok(Order::Transformers),
            "mlx-lm" => Ok(Order::MlxLm),
            "llama.cpp" => Ok(Order::LlamaCpp),
            _ => Err(wrong(&name)),
        };
    }
    let names: Vec<String> = value.extract()?;
    names.iter().map(|name| Filter::from_name(name).ok_or_else(|| wrong(name))).collect::<PyResult<_>>().map(Order::Custom)
}

fn on_invalid(value: &Bound<'_, PyAny>) -> PyResult<OnInvalid> {
    match value.extract::<&str>()? {
        "error" => Ok(OnInvalid::Error),
        "mask" => Ok(OnInvalid::Mask),
        other => Err(PyValueError::new_err(format!("{other:?} is not \"error\" or \"mask\""))),
    }
}
