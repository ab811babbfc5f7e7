# stage.sh SHARD...: decodes in the background
export PYTHONPATH=/tmp/site:/tmp/w LABELS=/tmp/w/gpu/labels.jsonl
mkdir -p /tmp/shards; for f in "$@"; do mv $f /tmp/shards/; done
for f in "$@"; do setsid nohup python3 /tmp/w/gpu/decode.py /tmp/blocks /tmp/shards/$(basename $f) > /tmp/decode-$(basename $f).log 2>&1 < /dev/null & done
