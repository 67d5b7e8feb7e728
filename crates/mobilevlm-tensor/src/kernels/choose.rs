//! Which table runs.

use super::{Kernels, list, portable};

/// The environment variable that names the table to use instead of the best one.
const VARIABLE: &str = "MOBILEVLM_KERNELS";

/// Why a kernel table cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// No table has this name.
    #[error("no kernel table is named {name:?}; the tables are: {known}", known = known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that exist, on any machine.
        known: Vec<&'static str>,
    },
    /// The table is for another processor architecture.
    #[error("kernel table {name:?} is for {architecture} processors, this is {here}; use one of: {usable}", usable = usable.join(", "))]
    Architecture {
        /// The name asked for.
        name: String,
        /// The architecture that the table is for.
        architecture: &'static str,
        /// The architecture that this program was built for.
        here: &'static str,
        /// The tables that this machine can run.
        usable: Vec<&'static str>,
    },
    /// The machine lacks features that the table needs.
    #[error("kernel table {name:?} needs {missing}, which this machine lacks; use one of: {usable}",
        missing = missing.join(", "), usable = usable.join(", "))]
    Missing {
        /// The name asked for.
        name: String,
        /// The features that the machine lacks.
        missing: Vec<&'static str>,
        /// The tables that this machine can run.
        usable: Vec<&'static str>,
    },
}

impl Kernels {
    /// The table that the environment variable `MOBILEVLM_KERNELS` names, else the best one that
    /// the machine can run.
    ///
    /// # Errors
    /// [`KernelError`] if the variable is set to a table that cannot be used.
    pub fn detect() -> Result<&'static Kernels, KernelError> {
        match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => Kernels::by_name(&name.to_string_lossy()),
            _ => Ok(Kernels::best()),
        }
    }

    /// The best table that the machine can run.
    pub fn best() -> &'static Kernels {
        // The last table of the list runs everywhere.
        list::COMPILED
            .iter()
            .copied()
            .find(|table| table.missing().is_empty())
            .unwrap_or(&portable::TABLE)
    }

    /// The table of this name.
    ///
    /// # Errors
    /// [`KernelError`] if there is none, or the machine cannot run it.
    pub fn by_name(name: &str) -> Result<&'static Kernels, KernelError> {
        let usable = || {
            list::COMPILED
                .iter()
                .filter(|table| table.missing().is_empty())
                .map(|table| table.name)
                .collect()
        };
        if let Some(&table) = list::COMPILED.iter().find(|table| table.name == name) {
            let missing = table.missing();
            return match missing.is_empty() {
                true => Ok(table),
                false => Err(KernelError::Missing {
                    name: name.into(),
                    missing,
                    usable: usable(),
                }),
            };
        }
        match list::NAMES.iter().find(|known| known.0 == name) {
            Some(&(_, architecture)) => Err(KernelError::Architecture {
                name: name.into(),
                architecture,
                here: std::env::consts::ARCH,
                usable: usable(),
            }),
            None => {
                let known = list::NAMES.iter().map(|known| known.0).collect();
                Err(KernelError::Unknown {
                    name: name.into(),
                    known,
                })
            }
        }
    }

    /// The features that the table needs and the machine lacks.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.features
            .iter()
            .filter(|feature| !(feature.present)())
            .map(|feature| feature.name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runnable_table_is_found_by_its_name() {
        for table in list::COMPILED {
            match Kernels::by_name(table.name) {
                Ok(found) => assert_eq!(found.name(), table.name),
                Err(KernelError::Missing { missing, .. }) => assert_eq!(missing, table.missing()),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(Kernels::by_name(Kernels::best().name()).is_ok());
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let message = Kernels::by_name("sse9").unwrap_err().to_string();
        assert_eq!(
            message,
            "no kernel table is named \"sse9\"; the tables are: amx, avx512, avx2, neon_i8mm, neon_dot, neon, portable"
        );
        let foreign = if cfg!(target_arch = "aarch64") {
            "avx2"
        } else {
            "neon"
        };
        let message = Kernels::by_name(foreign).unwrap_err().to_string();
        assert!(
            message.contains("processors, this is") && message.ends_with("portable"),
            "{message}"
        );
    }

    #[test]
    fn missing_features_are_named() {
        let error = KernelError::Missing {
            name: "avx2".into(),
            missing: vec!["fma", "f16c"],
            usable: vec!["portable"],
        };
        let expected =
            "kernel table \"avx2\" needs fma, f16c, which this machine lacks; use one of: portable";
        assert_eq!(error.to_string(), expected);
    }
}
