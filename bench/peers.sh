#!/usr/bin/env bash
# Measures mobilevlm beside llama.cpp and ik_llama.cpp, in rounds that alternate the programs.
#
#   bench/peers.sh --ours target/release/mobilevlm --models MODELS --image photo.jpg --out FOLDER \
#       --limits limits --llama DIR --llama-avx2 DIR --ik DIR --ik-avx2 DIR
#
# DIR has a peer's llama-bench, llama-batched-bench and llama-mtmd-cli, built natively and with
# nothing newer than AVX2; each may be left out. MODELS is what bench/make_peer_models.py makes.
# `limits` prints the machine's limits by simple loops as JSON, given a number of threads; it runs
# before, between and after the rounds.
#
# Further options:
#   --ours-model FILE  what `mobilevlm ask` opens, instead of MODELS/q4_k_m.gguf with its
#                      MODELS/mmproj-q8_0.gguf: a file from `mobilevlm convert` of the two
#   --kernels NAME     our table for the native side, "avx512" for instance; the machine's best
#                      one unless given; "avx2" stands for the other side
#   --weights LIST     of q4_k_m q4_0 q8_0; all unless given
#   --parts LIST       of language batch picture loaded; all unless given
#   --rounds N         3 unless given
#   --threads N        2 unless given
#   --quick            one round of few tokens, to see that everything runs
#
# FOLDER gets raw/ with every program's output, and from bench/summarise_peers.py summary.json and
# summary.md. Needs python3.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
ours='' models='' image='' out='' limits='' ours_model=''
declare -A peers=()
kernels='' weights='q4_k_m q4_0 q8_0' parts='language batch picture loaded'
rounds=3 threads=2 prompt=205 steps=24 quick=''

while [ $# -gt 0 ]; do
  case $1 in
    --ours) ours=$2 ;;
    --models) models=$2 ;;
    --image) image=$2 ;;
    --out) out=$2 ;;
    --limits) limits=$2 ;;
    --ours-model) ours_model=$2 ;;
    --llama) peers[llama.cpp native]=$2 ;;
    --llama-avx2) peers[llama.cpp avx2]=$2 ;;
    --ik) peers[ik native]=$2 ;;
    --ik-avx2) peers[ik avx2]=$2 ;;
    --kernels) kernels=$2 ;;
    --weights) weights=$2 ;;
    --parts) parts=$2 ;;
    --rounds) rounds=$2 ;;
    --threads) threads=$2 ;;
    --quick) quick=1 rounds=1 prompt=16 steps=4 weights=q4_k_m; shift; continue ;;
    *) echo "peers.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
for name in ours models image out; do
  [ -n "${!name}" ] || { echo "peers.sh: --$name is missing" >&2; exit 2; }
done

question='Please describe in one short sentence what you can see in this picture and say which colours are the most common.'
raw=$out/raw
mkdir -p "$raw"
printf '%s\n' "threads $threads" "prompt $prompt" "steps $steps" "rounds $rounds" "image $(basename "$image")" \
  "quick ${quick:-0}" >"$raw/settings.txt"
if [ -r /proc/cpuinfo ]; then
  grep -m1 'model name' /proc/cpuinfo >"$raw/machine.txt" || true
  uname -srm >>"$raw/machine.txt"
fi

wants() { [[ " $parts " == *" $1 "* ]]; }

note() { echo "$(date +%H:%M:%S) $*" >&2; }

# A program's output goes to raw/NAME.log, what it says on standard error to raw/NAME.err.
logged() {
  local name=$1
  shift
  note "$name"
  if ! "$@" >"$raw/$name.log" 2>"$raw/$name.err"; then
    note "FAILED: $name, see $raw/$name.err"
    echo "$name" >>"$raw/failed.txt"
  fi
}

measure_limits() {
  [ -z "$limits" ] || logged "limits-$1" "$limits" "$threads"
}

# File names: ROUND-PART-PROGRAM-SIDE[-rtr]-WEIGHTS, with "loaded" parts named alike.
ours_bench() { # round part side weights
  local table=()
  if [ "$3" = avx2 ]; then
    table=(--kernels avx2)
  elif [ -n "$kernels" ]; then
    table=(--kernels "$kernels")
  fi
  logged "$1-$2-ours-$3-$4" "$ours" bench --random 1.7b --language "$4" --vision q8_0 \
    --threads "$threads" --past 16 --json "${table[@]}"
}

ours_ask() { # round part side
  local table=() model=(-m "$models/q4_k_m.gguf" --mmproj "$models/mmproj-q8_0.gguf")
  if [ "$3" = avx2 ]; then
    table=(--kernels avx2)
  elif [ -n "$kernels" ]; then
    table=(--kernels "$kernels")
  fi
  [ -z "$ours_model" ] || model=(-m "$ours_model")
  logged "$1-$2-ours-$3-q8_0" python3 "$here/first_token.py" --log "$raw/$1-$2-ours-$3-q8_0.streams" -- \
    "$ours" ask --threads "$threads" --max-new-tokens 1 "${table[@]}" "${model[@]}" "$image" "$question"
}

peer_language() { # round part program side weights folder
  local variant rtr
  for variant in '' -rtr; do
    [ -z "$variant" ] || [ "$3" = ik ] || continue
    rtr=()
    [ -z "$variant" ] || rtr=(-rtr 1)
    logged "$1-$2-$3-$4$variant-$5" "$6/llama-bench" -m "$models/$5.gguf" -p "$prompt" -n "$steps" \
      -t "$threads" -r 1 -o json "${rtr[@]}"
  done
}

peer_batch() { # round program side weights folder
  local variant rtr
  for variant in '' -rtr; do
    [ -z "$variant" ] || [ "$2" = ik ] || continue
    rtr=()
    [ -z "$variant" ] || rtr=(-rtr)
    logged "$1-batch-$2-$3$variant-$4" "$5/llama-batched-bench" -m "$models/$4.gguf" -npp 16 \
      -ntg "$steps" -npl 1,8 -t "$threads" -c 2048 "${rtr[@]}"
  done
}

peer_picture() { # round part program side projector folder
  local variant extra
  for variant in '' -rtr; do
    [ -z "$variant" ] || [ "$3" = ik ] || continue
    extra=()
    [ -z "$variant" ] || extra=(-rtr)
    [ "$3" = ik ] || extra=(-fit off)
    logged "$1-$2-$3-$4$variant-$5" python3 "$here/first_token.py" \
      --log "$raw/$1-$2-$3-$4$variant-$5.streams" -- \
      "$6/llama-mtmd-cli" -m "$models/q4_k_m.gguf" --mmproj "$models/mmproj-$5.gguf" \
      --chat-template vicuna --image "$image" -p "$question" -n 1 -t "$threads" --temp 0 --no-warmup \
      "${extra[@]}"
  done
}

each_peer() { # command, with PROGRAM SIDE and FOLDER in their places
  local peer
  for peer in "${!peers[@]}"; do
    "$1" "${peer% *}" "${peer#* }" "${peers[$peer]}"
  done
}

language_of_peers() { peer_language "$round" language "$1" "$2" "$w" "$3"; }
batch_of_peers() { peer_batch "$round" "$1" "$2" "$w" "$3"; }
picture_of_peers() {
  peer_picture "$round" picture "$1" "$2" q8_0 "$3"
  peer_picture "$round" picture "$1" "$2" f16 "$3"
}
loaded_of_peers() {
  peer_language "$round" loaded "$1" "$2" q4_k_m "$3"
  peer_picture "$round" loadedpicture "$1" "$2" q8_0 "$3"
}

busy=''
stop_busy() {
  [ -z "$busy" ] || kill "$busy" 2>/dev/null || true
  busy=''
}
trap stop_busy EXIT

# Everything is read once, so that the files are in memory.
cat "$models"/*.gguf ${ours_model:+"$ours_model"} >/dev/null

measure_limits before
for ((round = 1; round <= rounds; round++)); do
  note "round $round of $rounds"
  for w in $weights; do
    if wants language || wants batch; then
      for side in native avx2; do
        ours_bench "$round" language "$side" "$w"
      done
    fi
    if wants language; then
      each_peer language_of_peers
    fi
    if wants batch; then
      each_peer batch_of_peers
    fi
  done
  if wants picture; then
    for side in native avx2; do
      ours_ask "$round" picture "$side"
    done
    each_peer picture_of_peers
  fi
  measure_limits "$round"
  if wants loaded; then
    (while :; do :; done) &
    busy=$!
    for side in native avx2; do
      ours_bench "$round" loaded "$side" q4_k_m
      ours_ask "$round" loadedpicture "$side"
    done
    each_peer loaded_of_peers
    stop_busy
  fi
done
measure_limits after
python3 "$here/summarise_peers.py" "$out"
