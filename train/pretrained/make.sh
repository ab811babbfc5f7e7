#!/bin/sh
# Makes the files of the pretrained model: make.sh RUN MANIFEST
#
# RUN is a trained run of recipe english. MANIFEST is the speech that it was trained on, which
# speech.py makes. The language model has a script of its own, make_lm.sh. docs/model-card.md says
# where speech and text come from.
set -eu
run=$1 manifest=$2 here=$(dirname "$(readlink -f "$0")")
runtime=$here/../../runtime

python "$here/pack.py" "$run" "$here"
ds2edge convert "$run" --chunk-steps 4 --calibration "$manifest" -o "$runtime/pretrained.tflite"
ds2edge convert "$run" --chunk-steps 4 --calibration "$manifest" --mode armv7 -o "$runtime/pretrained-armv7.tflite"
