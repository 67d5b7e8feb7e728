"""Records cases of SEED-Bench's image part: synthetic items, upstream's form of answers, and what
LLaVA's script makes of them.

    python reference/make_seed_bench.py convert_seed_for_submission.py

The script is LLaVA's `scripts/convert_seed_for_submission.py` at c121f043. It prints two digits
after the point; the figures at full precision are computed here and must agree with what it prints.
The pictures, with the statistics that upstream's code recorded of them, are those of GQA's cases.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "crates/mobilevlm-eval/tests/golden"
FOLDER = GOLDEN / "seed_bench"
TYPES = {"Scene Understanding": 1, "Instance Identity": 2, "Instance Location": 4,
         "Instances Counting": 5, "Spatial Relation": 6, "Visual Reasoning": 8,
         "Text Understanding": 9, "Action Recognition": 10}
THINGS = ["teapot", "lantern", "violin", "bucket", "ladder", "goose", "café", "clock"]
TEXTS = ["A", "B", "C", "D", "A.", "b", "The answer is C", "(D)", "", "B. teapot", " A </s>", "C</s>"]
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant "
          "gives helpful, detailed, and polite answers to the user's questions. USER: <image>\n")
WISH = "Answer with the option's letter from the given choices directly."


def strip_end(raw):
    """What upstream writes of a model's text."""
    text = raw.strip()
    return text.removesuffix("</s>").strip()


def answer(question, text, number):
    return {"question_id": question["question_id"], "prompt": question["text"], "text": text,
            "answer_id": f"seed{number:04}", "model_id": "mobilevlm_v2_micro", "metadata": {}}


def official(script, answers):
    """The image accuracy as the script prints it, or how it fails. It stops at a type of which every
    question is answered and none rightly, and after the figures where answers are missing."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "merge.jsonl"
        result.write_text("".join(json.dumps(one) + "\n" for one in answers))
        ran = subprocess.run(
            [sys.executable, script, "--annotation-file", FOLDER / "SEED-Bench.json",
             "--result-file", result, "--result-upload-file", Path(folder) / "upload.jsonl"],
            capture_output=True, text=True, check=False)
    printed = re.search(r"^image accuracy: (.*)%$", ran.stdout, re.M)
    failure = f"fails: {ran.stderr.strip().splitlines()[-1]}" if ran.stderr else None
    return printed[1] if printed else failure, ran.stdout.splitlines()


def figures(annotations, answers):
    said = {one["question_id"]: one["text"] for one in answers}
    of_type, items = {}, []
    for one in annotations:
        name = next(name for name, id in TYPES.items() if id == one["question_type_id"])
        id = int(one["question_id"]) if one["question_id"].isdecimal() else one["question_id"]
        score = float(said.get(id) == one["answer"])
        of_type.setdefault(name, []).append(score)
        items.append({"question_id": id, "post_processed": said.get(id), "answer": one["answer"],
                      "score": score})
    every = [score for scores in of_type.values() for score in scores]
    return {"accuracy": 100 * sum(every) / len(every), "questions": len(every),
            "types": {name: 100 * sum(scores) / len(scores) for name, scores in of_type.items()}}, items


def edited(answers, edit):
    answers = [dict(one) for one in answers]
    if edit.get("reverse"):
        answers.reverse()
    for number in edit.get("drop_lines", []):
        del answers[number - 1]
    if "append_copy_of_line" in edit:
        copy = dict(answers[edit["append_copy_of_line"] - 1])
        copy["text"] = edit.get("with_text", copy["text"])
        answers.append(copy)
    if "append" in edit:
        answers.append(edit["append"])
    for number, text in edit.get("set_text", {}).items():
        answers[int(number) - 1]["text"] = text
    if "set_all_texts" in edit:
        for one in answers:
            one["text"] = edit["set_all_texts"]
    return answers


def write(name, value):
    (FOLDER / name).write_text(json.dumps(value, indent=1) + "\n")


def main(script):
    random.seed(7)
    recorded = json.loads((GOLDEN / "gqa/prompts.json").read_text())
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "SEED-Bench-image").mkdir(parents=True)
    pictures = {}
    # SEED-Bench's pictures have no extension.
    for number, (path, about) in enumerate(sorted(recorded["pictures"].items())):
        name = f"SEED-Bench-image/14544{number}_25911{number}"
        shutil.copyfile(GOLDEN / "gqa" / path, FOLDER / name)
        pictures[name] = about

    annotations, questions = [], []
    for number in range(28):
        is_image = number % 9 != 5
        types = [id for id in TYPES.values() if (id < 10) == is_image]
        id = str(101_000 + number * 7) if number % 4 else f"q_{number}"
        options = random.sample(THINGS, 4)
        text = f"What is thing number {number}?"
        picture = random.choice(sorted(pictures)) if is_image else "SEED-Bench-video-image/3.jpg"
        annotations.append({
            **{f"choice_{letter}": option for letter, option in zip("abcd", options)},
            "answer": random.choice("ABCD"), "data_id": picture.rsplit("/", 1)[1],
            "data_type": "image" if is_image else "video", "question": text, "question_id": id,
            "question_type_id": random.choice(types)})
        lines = [text, *(f"{letter}. {option}" for letter, option in zip("ABCD", options)), WISH]
        questions.append({"question_id": int(id) if id.isdecimal() else id, "image": picture,
                          "text": "\n".join(lines), "category": annotations[-1]["question_type_id"]})
    random.shuffle(questions)
    # The types appear in the order of their numbers.
    annotations.sort(key=lambda one: one["question_type_id"])
    write("SEED-Bench.json", {"question_type": TYPES, "questions": annotations})
    (FOLDER / "llava-seed-bench.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in questions))

    asked = [one for one in questions if one["image"] in pictures]
    gold = {str(one["question_id"]): one["answer"] for one in annotations}
    raw = [gold[str(one["question_id"])] if random.random() < 0.4 else random.choice(TEXTS)
           for one in asked]
    answers = [answer(one, strip_end(text), number)
               for number, (one, text) in enumerate(zip(asked, raw))]
    (FOLDER / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    used = {one["image"] for one in asked}
    items = [{"line": number + 1, "question_id": one["question_id"], "picture": one["image"],
              "answers_file_prompt": one["text"], "prompt": f"{SYSTEM}{one['text']} ASSISTANT:",
              "raw_text": text, "text": strip_end(text)}
             for number, (one, text) in enumerate(zip(asked, raw))]
    write("prompts.json", {
        "task": "seed_bench", "program": "model_vqa_loader.py", "conversation": "v1",
        "generation": [{"max_new_tokens": 128}], "probe_places_yx": recorded["probe_places_yx"],
        "pictures": {name: about for name, about in pictures.items() if name in used},
        "items": items})

    of_images = [one for one in annotations if one["data_type"] == "image"]
    found, listing = figures(of_images, answers)
    printed, output = official(script, answers)
    assert printed == f"{found['accuracy']:.2f}", (printed, found)
    for name, figure in found["types"].items():
        assert f"{name}: {figure:.2f}%" in output, (name, figure, output)
    write("expected.json", {
        "task": "seed_bench", "paper_table_figure": found["accuracy"],
        "paper_table_figure_is": "accuracy", "paper_table_printed": f"{found['accuracy']:.1f}",
        "official_printed": f"{printed}%", "figures": found, "official_output": output,
        "items": listing})

    variants = []
    for name, edit in [
        ("reversed", {"reverse": True}),
        ("last_line_missing", {"drop_lines": [len(answers)]}),
        ("first_line_missing", {"drop_lines": [1]}),
        ("first_line_repeated_at_the_end", {"append_copy_of_line": 1}),
        ("first_line_again_with_another_text", {"append_copy_of_line": 1, "with_text": "zebra"}),
        ("unknown_question", {"append": {"question_id": "nowhere/1.png", "prompt": "What?",
                                         "text": "no"}}),
        ("several_lines_in_a_text", {"set_text": {"2": "A\nbecause of that"}}),
        ("tab_in_a_text", {"set_text": {"2": "A\tof course"}}),
        ("all_say_no", {"set_all_texts": "No"}),
    ]:
        lines = edited(answers, edit)
        rule = figures(of_images, lines)[0]["accuracy"]
        printed, _ = official(script, lines)
        assert printed == f"{rule:.2f}" or printed.startswith("fails: KeyError"), (name, printed)
        variants.append({"name": name, "edit_of_answers": edit, "official_scripts": printed,
                         "rule_in_full": rule})
    write("variants.json", variants)


if __name__ == "__main__":
    main(sys.argv[1])
