#!/usr/bin/env bash
# Compares the language models that `mobilevlm convert --split` writes with those of llama.cpp's
# `llama-quantize`, byte for byte, for every mix that both know.
#
# usage: bench/mixes.sh MOBILEVLM LLAMA_QUANTIZE MODEL...
set -euo pipefail
mobilevlm=$1 quantize=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mixes="f32 f16 bf16 q8_0 q6_k q5_1 q5_k_m q5_k_s q5_0 q4_1 q4_k_m q4_k_s q4_0 q3_k_l q3_k_m q3_k_s q2_k"
compared=0 different=0
for model in "$@"; do
  "$mobilevlm" -q convert "$model" -o "$folder/kept" --split --force \
    --language keep --vision keep --projector keep > "$folder/log"
  for mix in $mixes; do
    "$mobilevlm" -q convert "$model" -o "$folder/ours" --split --force --language "$mix" \
      --vision keep --projector keep > "$folder/log"
    "$quantize" "$folder/kept.gguf" "$folder/theirs.gguf" "${mix^^}" > "$folder/log" 2>&1 \
      || { cat "$folder/log"; exit 1; }
    compared=$((compared + 1))
    if ! cmp -s "$folder/ours.gguf" "$folder/theirs.gguf"; then
      echo "$(basename "$model") $mix: differ"
      different=$((different + 1))
    fi
  done
done
echo "$compared files compared, $different differ"
[ "$different" = 0 ]
