//! That several replicas on the CPU compute what one does.

use crate::toy::{Toy, assert_same, files, run};

#[test]
fn two_replicas_leave_the_bits_of_one_that_accumulates() {
    let toy = Toy::new();
    let of = |folder: &str, replicas: usize, accumulation: usize, stop: Option<u64>| {
        let set = [
            "data.group_by=\"none\"".to_owned(),
            format!("run.replicas={replicas}"),
            format!("train.gradient_accumulation_steps={accumulation}"),
        ];
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let recipe = toy.recipe(folder, &set);
        if stop.is_some() {
            run(&recipe, false, stop).unwrap();
        }
        run(&recipe, stop.is_some(), None).unwrap();
        let mut files = files(&toy.path(folder));
        files.retain(|name, _| name.starts_with("model/") && name.ends_with(".safetensors"));
        files
    };
    let one = of("one", 1, 4, None);
    assert!(!one.is_empty());
    // Two micro-batches of two replicas, and one of four.
    assert_same(&of("two", 2, 2, None), &one);
    assert_same(&of("four", 4, 1, None), &one);
    assert_same(&of("stopped", 2, 2, Some(3)), &one);
}
