//! `mobilevlm eval`: how often a model is right.

mod benchmarks;
mod world;

use crate::args::{EvalArgs, WORLD};
use crate::error::CliError;
use crate::terminal::Terminal;

pub(super) use benchmarks::scores;

pub(crate) fn run(args: &EvalArgs, terminal: Terminal) -> Result<(), CliError> {
    let usage = |wrong: &str, example: &str| Err(CliError::usage(wrong, example));
    let for_world = "mobilevlm eval world -m ./my-model --limit 100";
    let for_others = "mobilevlm eval gqa pope -m ./my-model --data data/benchmark_data";
    let (run, exam) = (&args.run, &args.world);
    if args.tasks == [WORLD] {
        if run.data.is_some() || run.out.is_some() || run.shard.is_some() || run.partial {
            let wrong = "--data, --out, --shard and --partial are for benchmarks: the world is made, \
                         not read";
            return usage(wrong, for_world);
        }
        return world::run(args, terminal);
    }
    if args.tasks.iter().any(|task| task == WORLD) {
        return usage("world is examined by itself", for_world);
    }
    if exam.limit.is_some() || exam.seed.is_some() || exam.size.is_some() || exam.answers.is_some()
    {
        let wrong = "--limit, --seed, --size and --answers are for the world: a benchmark is asked \
                     as it is";
        return usage(wrong, for_others);
    }
    let Some(data) = &run.data else {
        return usage(
            "where is the benchmarks' data? --data is missing",
            for_others,
        );
    };
    benchmarks::run(args, data, terminal)
}
