//! Numbers: storage formats, kernels per instruction set, and the thread pool they run on.
