//! Whole runs of a model that is as small as one can be.

mod broken_rows;
mod chain;
mod interrupted;
mod learning;
mod replicas;
mod starts;
mod toy;
