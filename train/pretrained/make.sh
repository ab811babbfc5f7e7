#!/bin/sh
# Makes the pretrained models anew: make.sh DATA NOISE TEXT, in a folder of its own. Interrupted, it goes on.
#
# DATA holds a folder with a manifest.jsonl for each corpus below; NOISE the folders background and rooms, each with
# audio and manifest.jsonl; TEXT is a file with a sentence a line. docs/model-card.md says where they come from.
set -eu
data=$(readlink -f "$1") noise=$(readlink -f "$2") text=$3 here=$(dirname "$(readlink -f "$0")")

links() { # NAME MANIFEST FILTER: noise/NAME with links to the sound files whose line in the manifest passes
  mkdir -p "noise/$1"
  jq -r "select($3) | .audio" "$2/manifest.jsonl" | while read -r file; do ln -sf "$2/$file" "noise/$1/"; done
}
# Some kinds of noise and some rooms are kept out of training, to test on.
held_out='IN(.kind; "babble", "kitchen", "train", "helicopter", "keyboard", "running tap", "crowd")'
links background "$noise/background" "$held_out | not"
links held-out "$noise/background" "$held_out"
links rooms "$noise/rooms" '.rt60_t20 < 0.7 and (.audio | test("but_|speechbrain|surrey.*_R") | not)'

manifests=
rm -f all.jsonl # one manifest of them all, to calibrate on
for corpus in librispeech_train_clean_5 librispeech_tc100_extra librispeech_heldout4 commonvoice_v1_valid_dev kathleen \
  ljspeech_part synthetic_kokoro; do
  manifests="$manifests $data/$corpus/manifest.jsonl"
  jq -c --arg folder "$data/$corpus" '.audio = $folder + "/" + .audio' "$data/$corpus/manifest.jsonl" >>all.jsonl
done

learn() { # RUN PARENT OPTIONS: trains RUN from the weights of PARENT, or from none; or goes on with it
  run=$1 parent=${2:+--init-from $2}
  shift 2
  [ ! -e "$run/last.keras" ] || parent=--resume
  # shellcheck disable=SC2086  # lists of words
  ds2edge train edge-cpu $manifests -o "$run" --cache cache $parent "$@"
}
learn begun ""
learn run begun --epochs 10 --learning-rate 1.5e-3
python "$here/pack.py" run "$here"
runtime=$here/../../runtime
ds2edge convert run --chunk-steps 6 --calibration all.jsonl -o "$runtime/pretrained.tflite"
ds2edge convert run --chunk-steps 6 --calibration all.jsonl --mode armv7 -o "$runtime/pretrained-armv7.tflite"
"$here/make_lm.sh" "$data" "$text" all.jsonl
