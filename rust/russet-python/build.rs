//! Tells the binding for which Python it is built, such as one without the global interpreter lock.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
